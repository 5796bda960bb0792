/**
 * Plans the checks of linked items. A check is a row's `check_at`:
 *
 *   not planned (null) ──plan──▶ planned ──its time comes──▶ claimed (check_at = when the lease ends) ──finish──▶ planned
 *                                              ▲                             │
 *                                              └──── the process died ───────┘
 *
 * Several processes share the checks and their rate. All times are the database's.
 */
import type { Queryable } from "../database/types.ts";
import { CLAIM_CHECKS, COUNT_CHECKED, FINISH_CHECK, PLAN_BATCH, PLAN_CHECKS } from "./check-queries.ts";

/** What a check read from Plaid's `status` of the item; instants are Plaid's own texts. */
export interface Seen {
  /** `last_webhook.sent_at` */
  last_webhook?: string | null;
  /** `last_successful_update` by product */
  updates?: Record<string, string>;
}

/** A check that this process has claimed. */
export interface Check {
  integrationId: string;
  itemId: string;
  linkedAt: Date;
  /** what the last check read */
  seen: Seen;
  /** since when it has been due */
  lateSeconds: number;
  /** when its lease ends, as Postgres writes it; it identifies the claim */
  lease: string;
}

/** Seconds after which another process may claim an unfinished check. */
const LEASE_SECONDS = 300;
const COUNT_SECONDS = 600;
/** One call plans at most this many batches; the next call continues. */
const PLAN_BATCHES = 20;

/** Plans checks that are not planned yet, so that each linked item has one within `windowSeconds`. */
export async function planChecks(q: Queryable, windowSeconds: number): Promise<void> {
  // A lease may end after a short window; it is not a plan.
  const beyond = Math.max(windowSeconds, LEASE_SECONDS);
  for (let batch = 0; batch < PLAN_BATCHES; batch += 1) {
    const { rowCount } = await q.query(PLAN_CHECKS, [beyond, windowSeconds]);
    if (rowCount < PLAN_BATCH) break;
  }
  await q.query(COUNT_CHECKED, [Math.min(COUNT_SECONDS, windowSeconds / 20)]);
}

interface CheckRow {
  integration_id: string;
  item_id: string;
  linked_at: Date;
  seen: Seen;
  late_seconds: number;
  lease: string;
}

/** Claims up to `count` due checks, within the rate. */
export async function claimChecks(q: Queryable, windowSeconds: number, count: number): Promise<Check[]> {
  const { rows } = await q.query<CheckRow>(CLAIM_CHECKS, [windowSeconds, count, LEASE_SECONDS]);
  return rows.map((row) => ({
    integrationId: row.integration_id,
    itemId: row.item_id,
    linkedAt: row.linked_at,
    seen: row.seen,
    lateSeconds: row.late_seconds,
    lease: row.lease,
  }));
}

/**
 * Ends a check, in the transaction that records its result.
 * @param seen what Plaid's `status` said; null where Plaid did not answer: the check then does not count
 * @returns whether this process still held the claim of a linked item; otherwise nothing was written, and the caller must write nothing
 */
export async function finishCheck(
  q: Queryable,
  { integrationId, itemId, lease }: Check,
  nextInSeconds: number,
  seen: Seen | null,
): Promise<boolean> {
  const values = [integrationId, itemId, seen !== null, nextInSeconds, seen && JSON.stringify(seen), lease];
  return (await q.query(FINISH_CHECK, values)).rowCount > 0;
}
