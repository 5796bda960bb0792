/** The live log of deliveries: one line for each attempt, printed when it has ended. */
import { setTimeout as delay } from "node:timers/promises";
import type { Queryable } from "../../database/types.ts";
import { listDeliveries, type DeliveryFilter, type DeliveryRecord } from "../../relay/ledger/deliveries.ts";
import { answerOf } from "./deliveries.ts";
import { ago, cyan, dim, short, yellow } from "./print.ts";

const POLL_MS = 400;
/** More than usually change between two polls; a log that falls behind shows the newest. */
const AT_ONCE = 200;

interface FollowOptions {
  filter: Omit<DeliveryFilter, "limit" | "cursor">;
  /** whether existing deliveries are reported too */
  fromTheStart: boolean;
  signal: AbortSignal;
  onAttempt(delivery: DeliveryRecord): void;
}

/** Reports a delivery each time that an attempt of it has ended, until `signal` aborts. */
export async function followDeliveries(
  q: Queryable,
  { filter, fromTheStart, signal, onAttempt }: FollowOptions,
): Promise<void> {
  const poll = async () => (await listDeliveries(q, { ...filter, limit: AT_ONCE })).data.toReversed();
  const keyOf = ({ id, status, attempts, finished_at }: DeliveryRecord) => `${id} ${status} ${attempts} ${finished_at}`;
  let reported = new Set(fromTheStart ? [] : (await poll()).map(keyOf));
  while (!signal.aborted) {
    const found = await poll();
    for (const delivery of found) {
      if (reported.has(keyOf(delivery)) || delivery.attempts === 0) continue;
      onAttempt(delivery);
    }
    reported = new Set(found.map(keyOf));
    await delay(POLL_MS, undefined, { signal }).catch(() => undefined);
  }
}

const NAME_WIDTH = 24;

export function describeDelivery(delivery: DeliveryRecord): string {
  const { event_type, item_id, destination_id, status, due_at, attempts } = delivery;
  const time = dim(new Date().toTimeString().slice(0, 8));
  const about = `${time}  ${cyan(event_type.padEnd(NAME_WIDTH))}  ${dim(short(item_id, 14).padEnd(14))}  ${dim("→")} ${short(destination_id, 14)}`;
  const next = status === "scheduled" ? yellow(` again ${ago(due_at)}`) : "";
  return `${about}  ${answerOf(delivery)}${next}${attempts > 1 ? dim(`  attempt ${attempts}`) : ""}`;
}
