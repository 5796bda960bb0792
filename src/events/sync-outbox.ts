/**
 * The outbox's part for sync: arrivals that sync has not marked yet. The commit that accepts them writes a row; the transaction in
 * which sync marks their subjects deletes it.
 */
import type { Queryable } from "../database/types.ts";
import { COUNT_UNMARKED, DROP_UNMARKED, KEEP_UNMARKED, LOCK_UNMARKED, NOTE_NOTICE } from "./queries.ts";

/** A genuine webhook that was refused for its age; sync checks its subject. */
export interface Notice {
  integration_id: string;
  /** kind and id of the subject */
  kind: string;
  id: string;
  type: string | null;
  code: string | null;
  requested: readonly string[];
}

export interface UnmarkedRow {
  id: number;
  /** UUIDs */
  webhooks: string[];
  notices: Notice[];
}

/** The bounds of one transaction: rows, and arrivals after which it takes no further row. */
const ROWS_MAX = 100;
const ARRIVALS_MAX = 2000;

export async function noteNotice(q: Queryable, notice: Notice): Promise<void> {
  await q.query(NOTE_NOTICE, [JSON.stringify([notice])]);
}

/**
 * Locks the oldest rows that no other transaction has locked.
 * @returns the rows, and whether there may be more
 */
export async function takeUnmarked(tx: Queryable): Promise<{ rows: UnmarkedRow[]; more: boolean }> {
  const { rows } = await tx.query<UnmarkedRow>(LOCK_UNMARKED, [ROWS_MAX]);
  let arrivals = 0;
  const beyond = rows.findIndex(
    ({ webhooks, notices }, index) => (arrivals += webhooks.length + notices.length) > ARRIVALS_MAX && index > 0,
  );
  const taken = beyond === -1 ? rows : rows.slice(0, beyond);
  return { rows: taken, more: beyond !== -1 || rows.length === ROWS_MAX };
}

/** Deletes the rows; arrivals that wait for another transaction go into a new row. */
export async function settleUnmarked(
  tx: Queryable,
  rows: readonly UnmarkedRow[],
  rest: Pick<UnmarkedRow, "webhooks" | "notices">,
): Promise<void> {
  const ids = rows.map(({ id }) => id);
  if (rest.webhooks.length + rest.notices.length > 0)
    await tx.query(KEEP_UNMARKED, [rest.webhooks, JSON.stringify(rest.notices), ids]);
  await tx.query(DROP_UNMARKED, [ids]);
}

export interface Unmarked {
  /** webhooks and notices; of the oldest 10,000 commits */
  arrivals: number;
  /** since when the oldest waits; 0 when none does */
  oldest_seconds: number;
}

/** What sync has not marked yet, of all processes together. */
export async function countUnmarked(q: Queryable): Promise<Unmarked> {
  return { arrivals: 0, oldest_seconds: 0, ...(await q.query<Unmarked>(COUNT_UNMARKED)).rows[0] };
}
