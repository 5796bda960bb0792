/** Work on many rows in parts, each a statement of its own, so that no transaction is long and a part that is done stays done. */
import type { Queryable, Statement } from "./types.ts";

/** How many rows one statement deletes where many are deleted. */
export const DELETED_AT_ONCE = 5000;

/** Runs a statement that deletes some rows at a time until it finds none. */
export async function untilNone(
  q: Queryable,
  statement: string | Statement,
  values: readonly unknown[],
): Promise<void> {
  while ((await q.query(statement, values)).rowCount > 0);
}
