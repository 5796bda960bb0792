/**
 * The live feed: each webhook in one line, once its run is over, with what the run changed. One run serves all webhooks
 * that wait for its item; the first of them says what it changed, the others that they were served with it.
 */
import { setTimeout as delay } from "node:timers/promises";
import type { Database } from "../database/types.ts";
import { listWebhooks } from "../journal/records.ts";
import type { WebhookFilter, WebhookRecord } from "../model/records.ts";
import { describeWebhook } from "./describe.ts";

const LOOK_EVERY_MS = 400;
/** More than arrive between two looks at a calm pace; a feed that falls behind shows the newest. */
const AT_ONCE = 500;

interface FeedOptions {
  filter: Omit<WebhookFilter, "limit" | "cursor">;
  /** whether webhooks that were there before are told too */
  fromTheStart: boolean;
  signal: AbortSignal;
  tell(line: string, webhook: WebhookRecord): void;
}

/** Tells webhooks until `signal` aborts. */
export async function feed(database: Database, { filter, fromTheStart, signal, tell }: FeedOptions): Promise<void> {
  const look = async () => (await listWebhooks(database, { ...filter, limit: AT_ONCE })).data.toReversed();
  let told = new Set(fromTheStart ? [] : (await look()).map(({ id }) => id));
  let run = "";
  while (!signal.aborted) {
    const webhooks = await look();
    for (const webhook of webhooks) {
      if (told.has(webhook.id) || !webhook.processed_at) continue;
      told.add(webhook.id);
      const itsRun = `${webhook.item_id} ${webhook.processed_at}`;
      tell(describeWebhook(webhook, itsRun === run), webhook);
      run = itsRun;
    }
    // What has left the window can not come back, so it need not be remembered.
    told = new Set(webhooks.map(({ id }) => id).filter((id) => told.has(id)));
    await delay(LOOK_EVERY_MS, undefined, { signal }).catch(() => undefined);
  }
}
