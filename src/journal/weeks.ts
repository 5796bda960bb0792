/**
 * Drops the weeks of webhooks that are past the retention time and that nothing needs: no run, no dispatch, and no other folder.
 * Those folders are above this one, so the caller passes functions that ask them.
 */
import { cancellable, cancellableTransaction } from "../database/cancellable.ts";
import { take } from "../database/locks.ts";
import type { Database, Queryable } from "../database/types.ts";
import type { WeekNeed } from "../model/statuses.ts";
import {
  DELETE_EARLIER,
  DROP_WEEK,
  HAS_UNPROCESSED,
  OLD_EARLIER,
  OLD_WEEKS,
  SHORT_LOCK_WAIT,
  WEEK,
} from "./queries.ts";
import type { KeptWeek, NeedsWebhooks } from "./retention.ts";

export interface OldWeeks {
  database: Database;
  /** age of whole weeks to delete; 0: none */
  retentionDays: number;
  neededBy: readonly NeedsWebhooks[];
}

const ROWS_AT_ONCE = 5000;
const LEAST_UUID = "00000000-0000-0000-0000-000000000000";

/**
 * Examines each old week and drops it, the oldest first, each in its own transaction: a week that takes too long, or a
 * process that ends, undoes no earlier week.
 * @returns the weeks that are kept, the oldest first, and what went wrong with others
 */
export async function dropOldWeeks(
  weeks: OldWeeks,
  signal?: AbortSignal,
): Promise<{ kept: KeptWeek[]; failures: unknown[] }> {
  const { database, retentionDays } = weeks;
  const kept: KeptWeek[] = [];
  const failures: unknown[] = [];
  const old = retentionDays === 0 ? [] : (await database.query<{ week: string }>(OLD_WEEKS, [retentionDays])).rows;
  for (const { week } of old) {
    // A week that cannot be read does not stop the others. One that cannot be dropped does: the next waits for the same lock.
    const found = await lookAt(weeks, week, signal).catch((error: unknown) => {
      signal?.throwIfAborted();
      failures.push(error);
    });
    if (found === undefined) continue;
    const needed_for = found ?? (await dropWeek(weeks, week, signal));
    if (needed_for !== null) kept.push({ week, needed_for });
  }
  if (retentionDays > 0) await trimEarlier(weeks, signal);
  return { kept, failures };
}

/** What the week is needed for; null: nothing. Reads the week until it finds something unprocessed, and locks nothing. */
async function lookAt({ database, neededBy }: OldWeeks, week: string, signal?: AbortSignal): Promise<WeekNeed | null> {
  const q = cancellable(database, signal);
  const needed = await neededByOthers(q, week, neededBy);
  if (needed !== null) return needed;
  const { rows } = await q.query<{ unprocessed: boolean }>(HAS_UNPROCESSED, [week]);
  return rows[0]?.unprocessed ? "unprocessed" : null;
}

/**
 * Drops a week in which nothing is unprocessed. A job that brings deliveries back shares the lock `retention`: the webhooks that it
 * needs are needed from then on, so the others are asked again under that lock.
 * @returns null once the week is dropped, or else what needs it now
 */
const dropWeek = ({ database, neededBy }: OldWeeks, week: string, signal?: AbortSignal): Promise<WeekNeed | null> =>
  cancellableTransaction(database, signal, async (tx) => {
    await tx.query(SHORT_LOCK_WAIT);
    await tx.query(take("partitions", "retention"));
    const needed = await neededByOthers(tx, week, neededBy);
    if (needed === null) await tx.query(DROP_WEEK, [week]);
    return needed;
  });

async function neededByOthers(
  q: Queryable,
  week: string,
  neededBy: readonly NeedsWebhooks[],
): Promise<WeekNeed | null> {
  type Row = { first: string; behind: string; undispatched: boolean };
  const [found] = (await q.query<Row>(WEEK, [week])).rows;
  if (!found) return null;
  if (found.undispatched) return "undispatched";
  for (const { neededFor, between } of neededBy) {
    if (await between(q, found.first, found.behind)) return neededFor;
  }
  return null;
}

/** Deletes webhooks that are older than all weeks, in batches, so that no transaction is long. */
async function trimEarlier(weeks: OldWeeks, signal?: AbortSignal): Promise<void> {
  const q = cancellable(weeks.database, signal);
  for (let behind = LEAST_UUID; ;) {
    const { rows } = await q.query<{ id: string }>(OLD_EARLIER, [weeks.retentionDays, behind, ROWS_AT_ONCE]);
    const last = rows.at(-1);
    if (!last) return;
    behind = last.id;
    await deleteUnneeded(
      weeks,
      rows.map(({ id }) => id),
      signal,
    );
  }
}

const deleteUnneeded = (
  { database, neededBy }: OldWeeks,
  ids: readonly string[],
  signal?: AbortSignal,
): Promise<void> =>
  cancellableTransaction(database, signal, async (tx) => {
    await tx.query(take("retention"));
    const needed = new Set<string>();
    for (const { among } of neededBy) for (const id of await among(tx, ids)) needed.add(id);
    await tx.query(DELETE_EARLIER, [ids.filter((id) => !needed.has(id))]);
  });
