/** Pages of a list that is short enough to be read whole, such as the integrations; long ones are paged by Postgres. */
import { TartanError } from "../errors.ts";

/**
 * @param keyOf what orders the rows and tells them apart; the cursor holds the last row's, so that rows which come and go
 *   between two pages move no other row into or out of them
 * @throws TartanError `invalid_request` when the cursor is not one of a page before
 */
export function pageOf<Row>(
  rows: readonly Row[],
  { limit, cursor }: { limit: number; cursor?: string },
  keyOf: (row: Row) => readonly string[],
): { data: Row[]; next_cursor: string | null } {
  const after = cursor === undefined ? null : readCursor(cursor);
  const ordered = rows.toSorted((one, other) => (isBehind(keyOf(one), keyOf(other)) ? 1 : -1));
  const rest = after === null ? ordered : ordered.filter((row) => isBehind(keyOf(row), after));
  const data = rest.slice(0, limit);
  const last = data.at(-1);
  const more = last !== undefined && rest.length > limit;
  return { data, next_cursor: more ? Buffer.from(JSON.stringify(keyOf(last))).toString("base64url") : null };
}

function isBehind(key: readonly string[], after: readonly unknown[]): boolean {
  const at = key.findIndex((part, index) => part !== after[index]);
  return at >= 0 && (key[at] ?? "") > String(after[at] ?? "");
}

function readCursor(cursor: string): unknown[] {
  try {
    const key: unknown = JSON.parse(Buffer.from(cursor, "base64url").toString());
    if (Array.isArray(key) && key.length > 0 && key.every((part) => typeof part === "string")) return key;
  } catch {
    // not ours
  }
  throw new TartanError("invalid_request", "The cursor is not one of a page before.", {
    fields: { cursor: "must be the next_cursor of the page before" },
  });
}
