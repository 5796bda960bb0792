/** Pages of a list that is short enough to be read whole, such as the integrations. Postgres pages long lists. */
import { fromKeyCursor, toKeyCursor } from "../../model/cursors.ts";

const PAGED = "paged";

/**
 * @param keyOf the unique key that orders the rows; the cursor holds the last row's key, so rows that appear or vanish
 *   between two pages move no other row into or out of a page
 * @throws TartanError `invalid_request` when the cursor is not that of an earlier page
 */
export function pageOf<Row>(
  rows: readonly Row[],
  { limit, cursor }: { limit: number; cursor?: string | undefined },
  keyOf: (row: Row) => readonly string[],
): { data: Row[]; next_cursor: string | null } {
  const after = cursor === undefined ? null : fromKeyCursor(PAGED, cursor);
  const ordered = rows.toSorted((one, other) => (isBehind(keyOf(one), keyOf(other)) ? 1 : -1));
  const rest = after === null ? ordered : ordered.filter((row) => isBehind(keyOf(row), after));
  const data = rest.slice(0, limit);
  const last = data.at(-1);
  const more = last !== undefined && rest.length > limit;
  return { data, next_cursor: more ? toKeyCursor(PAGED, keyOf(last)) : null };
}

function isBehind(key: readonly string[], after: readonly unknown[]): boolean {
  const at = key.findIndex((part, index) => part !== after[index]);
  return at >= 0 && (key[at] ?? "") > String(after[at] ?? "");
}
