/**
 * Deletes old runs, and subjects of items that nobody linked: webhooks came for such an item, its access token was not known, and
 * nothing followed for a month. A later webhook makes its subject anew.
 */
import type { Queryable, Statement } from "../database/types.ts";
import { TRIM_FULL_CHECKS } from "./full-check-queries.ts";
import { TRIM_RUNS, TRIM_SUBJECTS } from "./queries.ts";

const KEPT_DAYS = 30;
const RUNS_KEPT_DAYS = 30;
const ROWS_AT_ONCE = 5000;

/** @returns how many were deleted */
export const pruneSubjects = (q: Queryable, signal?: AbortSignal): Promise<number> =>
  prune(q, TRIM_SUBJECTS, KEPT_DAYS, signal);

/** Deletes old runs, and full checks as old. @returns how many were deleted */
export const pruneRuns = async (q: Queryable, signal?: AbortSignal): Promise<number> =>
  (await prune(q, TRIM_FULL_CHECKS, RUNS_KEPT_DAYS, signal)) + (await prune(q, TRIM_RUNS, RUNS_KEPT_DAYS, signal));

/** In batches, so that no transaction is long. */
async function prune(q: Queryable, statement: string | Statement, days: number, signal?: AbortSignal): Promise<number> {
  let gone = 0;
  for (;;) {
    const { rowCount } = await q.query(statement, [days, ROWS_AT_ONCE]);
    gone += rowCount;
    if (rowCount < ROWS_AT_ONCE || signal?.aborted) return gone;
  }
}
