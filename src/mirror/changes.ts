/**
 * The rows that a run has changed, for the events about them. Postgres makes the text out of the rows themselves; here
 * is only which rows those are.
 */
import type { Statement } from "../database/types.ts";
import { changedRows, PART_BYTES } from "./change-queries.ts";
import { KEYS_MAX } from "./queries.ts";
import type { Mirrored } from "./rows.ts";
import type { Applied, Scope } from "./types.ts";

/** What a run starts from. */
export const UNTOUCHED: Applied = { changes: { added: 0, modified: 0, removed: 0 }, keys: [], bytes: 0, before: null };

/** Two steps of a run as one. */
export function both(one: Applied, other: Applied): Applied {
  const keys = one.keys === null || other.keys === null ? null : [...one.keys, ...other.keys];
  return {
    changes: {
      added: one.changes.added + other.changes.added,
      modified: one.changes.modified + other.changes.modified,
      removed: one.changes.removed + other.changes.removed,
    },
    keys: keys !== null && keys.length <= KEYS_MAX ? keys : null,
    bytes: one.bytes + other.bytes,
    before: one.before ?? other.before,
    ...(one.compared && { compared: one.compared }),
  };
}

/**
 * A SELECT of what changed, to be run in the transaction that applied it: rows of `part`, from 1, and `data`, the JSON
 * text of `{ run_id, part, parts, counts, added, modified, removed }` with the rows as Plaid gave them. Null when nothing
 * has changed.
 */
export function selectChanges(
  { integrationId, subjectId }: Scope,
  of: Mirrored,
  { changes, keys, bytes }: Applied,
  runId: string,
): { select: Statement; values: unknown[]; partsMax: number } | null {
  const rows = changes.added + changes.modified + changes.removed;
  if (rows === 0) return null;
  const values = [integrationId, subjectId, runId, JSON.stringify(changes)];
  if (keys !== null && (rows === 1 || bytes < PART_BYTES))
    return { select: changedRows(of, "one_part"), values: [...values, [...new Set(keys)]], partsMax: 1 };
  return {
    select: changedRows(of, keys === null ? "all" : "keys"),
    values: keys === null ? values : [...values, [...new Set(keys)]],
    // A part has one row at least.
    partsMax: rows,
  };
}
