/**
 * Retention of the relay, a step of the janitor's round: deletes what is older than is kept. Rows that something still needs
 * stay. Each folder deletes its own rows.
 */
import type { Database } from "../database/types.ts";
import { forgetEvents, forgetOutbox, type Part, type Passed } from "../events/retention.ts";
import { forgetDestinations } from "./destinations/retention.ts";
import { cancelLongPausedJobs, forgetJobs, forgetMembers } from "./jobs/retention.ts";
import { neededOf } from "./needs.ts";
import { FORGET_DELIVERIES, KEPT_SINCE, LOCK_RETENTION } from "./retention-queries.ts";
import { forgetRoutes } from "./routing/retention.ts";

export interface RetentionOptions {
  database: Database;
  /** older events and finished deliveries are deleted */
  retentionDays: number;
}

const AT_ONCE = 5000;
const LEAST_UUID = "00000000-0000-0000-0000-000000000000";

/**
 * Deletes finished deliveries with their attempts, dead letters included, by the time when they finished; events, unless
 * something still needs them; their rows in the outbox; jobs; and deleted routes and destinations. It works in batches, so that
 * no transaction is long. It compares the ages of rows, so call it only after the database's clock was found to be right: as a
 * step of the janitor's round.
 * @returns how many of each were deleted
 */
export async function forget(
  { database, retentionDays }: RetentionOptions,
  signal?: AbortSignal,
): Promise<{ deliveries: number; events: number; outbox: number }> {
  const before = (await database.query<{ before: Date }>(KEPT_SINCE, [retentionDays])).rows[0]?.before;
  if (before === undefined) return { deliveries: 0, events: 0, outbox: 0 };
  const part = (behind: string): Part => ({ before, behind, atOnce: AT_ONCE });
  await cancelLongPausedJobs(database, before);
  const deliveries = await inBatches(
    LEAST_UUID,
    async (behind) => (await database.query<Passed>(FORGET_DELIVERIES, [before, behind, AT_ONCE])).rows[0],
    signal,
  );
  // Before the events, so that a reader of a feed whose events go now is refused, and never misses them unnoticed.
  const outbox = await inBatches("0", (behind) => forgetOutbox(database, part(behind)), signal);
  const events = await inBatches(
    LEAST_UUID,
    (behind) =>
      database.transaction(async (tx) => {
        await tx.query(LOCK_RETENTION);
        return await forgetEvents(tx, part(behind), neededOf);
      }),
    signal,
  );
  await forgetMembers(database, signal);
  await forgetJobs(database, before);
  await forgetRoutes(database, before);
  await forgetDestinations(database, before);
  return { deliveries, events, outbox };
}

/** Calls `batch` from `first` on until it reaches the end. @returns how many rows were deleted */
async function inBatches(
  first: string,
  batch: (behind: string) => Promise<Passed | undefined>,
  signal: AbortSignal | undefined,
): Promise<number> {
  let gone = 0;
  let behind: string | null = first;
  while (behind !== null) {
    if (signal?.aborted) break;
    const passed = await batch(behind);
    gone += passed?.gone ?? 0;
    behind = passed?.last ?? null;
  }
  return gone;
}
