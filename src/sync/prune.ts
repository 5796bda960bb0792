/**
 * Forgets subjects of items that nobody linked: webhooks came for them, a run found no access token, and nothing followed
 * for a month. A webhook that comes after all makes such a subject anew.
 */
import type { Queryable } from "../database/types.ts";
import { TRIM_SUBJECTS } from "./queries.ts";

const KEPT_DAYS = 30;
const ROWS_AT_ONCE = 5000;

/** @returns how many went */
export async function pruneSubjects(q: Queryable, signal?: AbortSignal): Promise<number> {
  let gone = 0;
  for (;;) {
    const { rowCount } = await q.query(TRIM_SUBJECTS, [KEPT_DAYS, ROWS_AT_ONCE]);
    gone += rowCount;
    if (rowCount < ROWS_AT_ONCE || signal?.aborted) return gone;
  }
}
