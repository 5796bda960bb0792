/**
 * The live log of webhooks: one line for each webhook, printed when its run has ended, with what the run changed. One run
 * serves all webhooks that wait for its item: the line of the first says what changed, the others refer to the same run.
 */
import { setTimeout as delay } from "node:timers/promises";
import type { Records, WebhookFilter, WebhookRecord } from "../../model/records.ts";
import { describeWebhook } from "./describe.ts";

const POLL_MS = 400;
/** More than usually arrive between two polls; a log that falls behind shows the newest. */
const AT_ONCE = 500;

interface WebhookLogOptions {
  filter: Omit<WebhookFilter, "limit" | "cursor">;
  /** whether existing webhooks are reported too */
  fromTheStart: boolean;
  signal: AbortSignal;
  onWebhook(line: string, webhook: WebhookRecord): void;
}

/** Reports webhooks until `signal` aborts. */
export async function followWebhooks(
  records: Records,
  { filter, fromTheStart, signal, onWebhook }: WebhookLogOptions,
): Promise<void> {
  const poll = async () => (await records.list({ ...filter, limit: AT_ONCE })).data.toReversed();
  let reported = new Set(fromTheStart ? [] : (await poll()).map(({ id }) => id));
  let run = "";
  while (!signal.aborted) {
    const webhooks = await poll();
    for (const webhook of webhooks) {
      if (reported.has(webhook.id) || !webhook.processed_at) continue;
      reported.add(webhook.id);
      const itsRun = `${webhook.subject?.kind} ${webhook.subject?.id} ${webhook.processed_at}`;
      onWebhook(describeWebhook(webhook, itsRun === run), webhook);
      run = itsRun;
    }
    // A webhook that has left the page cannot come back, so its id can be dropped.
    reported = new Set(webhooks.map(({ id }) => id).filter((id) => reported.has(id)));
    await delay(POLL_MS, undefined, { signal }).catch(() => undefined);
  }
}
