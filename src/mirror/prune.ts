/**
 * Forgets rows of the mirror that Plaid removed long ago. They are kept for ever unless somebody asks for this: what was
 * removed at Plaid may still stand in your own books.
 */
import type { Queryable } from "../database/types.ts";
import { RESOURCES } from "../resources/index.ts";
import { nameOf, tablesOf } from "./rows.ts";

/** Small enough that no transaction is long. */
const ROWS_AT_ONCE = 5000;

/**
 * Deletes the rows of all resources that were removed more than `days` ago, by the database's clock.
 * @returns how many went
 */
export async function pruneRemoved(q: Queryable, days: number, signal?: AbortSignal): Promise<number> {
  let gone = 0;
  for (const of of RESOURCES.flatMap(tablesOf)) {
    const statement = deleteRemoved(nameOf(of));
    for (;;) {
      const { rowCount } = await q.query(statement, [days, ROWS_AT_ONCE]);
      gone += rowCount;
      if (signal?.aborted) return gone;
      if (rowCount < ROWS_AT_ONCE) break;
    }
  }
  return gone;
}

/** It checks the age again once the row is locked: a run may just have restored it. */
const deleteRemoved = (table: string): string => `
delete from ${table} where removed_at < now() - $1 * interval '1 day' and ctid = any (array(
  select ctid from ${table} where removed_at < now() - $1 * interval '1 day' limit $2 for update skip locked))`;
