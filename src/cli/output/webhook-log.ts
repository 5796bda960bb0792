/**
 * The live log of webhooks: one line for each webhook, printed when its run has ended, with what the run changed. One run
 * serves all webhooks that wait for its item: the line of the first says what changed, the others refer to the same run.
 */
import { setTimeout as delay } from "node:timers/promises";
import { TartanError } from "../../errors.ts";
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

/**
 * Reports webhooks until `signal` aborts. While Postgres is away it reports nothing; it reports afterwards what came meanwhile.
 * @throws TartanError `database_unavailable` where Postgres is away from the start
 */
export async function followWebhooks(
  records: Records,
  { filter, fromTheStart, signal, onWebhook }: WebhookLogOptions,
): Promise<void> {
  const poll = async () => (await records.list({ ...filter, limit: AT_ONCE })).data.toReversed();
  const pause = () => delay(POLL_MS, undefined, { signal }).catch(() => undefined);
  let reported = new Set(fromTheStart ? [] : (await poll()).map(({ id }) => id));
  let run = "";
  while (!signal.aborted) {
    const webhooks = await poll().catch(orAway);
    if (webhooks === null) {
      await pause();
      continue;
    }
    for (const webhook of webhooks) {
      if (reported.has(webhook.id) || !webhook.processed_at) continue;
      reported.add(webhook.id);
      const itsRun = `${webhook.subject?.kind} ${webhook.subject?.id} ${webhook.processed_at}`;
      onWebhook(describeWebhook(webhook, itsRun === run), webhook);
      run = itsRun;
    }
    // A webhook that has left the page cannot come back, so its id can be dropped.
    reported = new Set(webhooks.map(({ id }) => id).filter((id) => reported.has(id)));
    await pause();
  }
}

/** The database says in the log that it cannot be reached. */
function orAway(error: unknown): null {
  if (error instanceof TartanError && error.code === "database_unavailable") return null;
  throw error;
}
