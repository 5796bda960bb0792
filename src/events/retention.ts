/**
 * Retention of events and of the outbox. What is deleted is older than an instant by the database's clock, is dispatched, and
 * nobody needs it any more: the caller says who that is, since those who need events stand above this folder.
 */
import type { Queryable } from "../database/types.ts";
import { DELETE_EVENTS, FORGET_OUTBOX, OLD_EVENTS } from "./retention-queries.ts";

/** A part of what is old: what comes after the place `behind`, `atOnce` rows at most. */
export interface Part {
  before: Date;
  /** an id; the least there is at first */
  behind: string;
  atOnce: number;
}

export interface Passed {
  /** the last row that was read, where the next part begins; null at the end */
  last: string | null;
  /** how many rows were deleted */
  gone: number;
}

/** Those of the ids that are needed. Asked in the transaction that deletes the others. */
export type Needed = (tx: Queryable, ids: readonly string[]) => Promise<readonly string[]>;

/**
 * Deletes old events, except those that wait for dispatch and those that are needed. The caller's transaction holds the lock
 * `retention`, so that nothing that needs an event comes into being meanwhile.
 */
export async function forgetEvents(tx: Queryable, { before, behind, atOnce }: Part, needed: Needed): Promise<Passed> {
  const { rows } = await tx.query<{ id: string }>(OLD_EVENTS, [before, behind, atOnce]);
  const ids = rows.map(({ id }) => id);
  if (ids.length === 0) return { last: null, gone: 0 };
  const kept = new Set(await needed(tx, ids));
  const { rowCount } = await tx.query(DELETE_EVENTS, [ids.filter((id) => !kept.has(id))]);
  return { last: ids.at(-1) ?? null, gone: rowCount };
}

/** Deletes old rows of the outbox that were dispatched, and stores how far they went, for those who read the outbox by position. */
export async function forgetOutbox(q: Queryable, { before, behind, atOnce }: Part): Promise<Passed> {
  const { rows } = await q.query<Passed>(FORGET_OUTBOX, [before, behind, atOnce]);
  return rows[0] ?? { last: null, gone: 0 };
}
