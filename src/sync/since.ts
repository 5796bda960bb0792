/**
 * Which rows changed at Plaid since the mirror's state: the increment from the stored cursor, asked for behind a full reading. A row that
 * changed before that reading is named here, so what differs and is not named was wrong in the mirror.
 */
import { PlaidError } from "../plaid/errors.ts";
import type { CursorFetch, Resource, Table } from "../resources/types.ts";
import { ask, valueAt, unreadable, type Answer, type Reader } from "./ask.ts";
import type { Pager } from "./pager.ts";

/** Keys of changed rows by table. */
export type Since = ReadonlyMap<string, ReadonlySet<string>>;

/** Of a mirror that is further behind nobody can tell. */
const PAGES_MAX = 20;

/**
 * @returns null where Plaid cannot tell: it refuses the cursor, or too much has changed
 * @throws as a page of a loop does
 */
export async function changedSince(
  reader: Reader,
  resource: Resource,
  { fetch, pager }: { fetch: CursorFetch; pager: Pager },
  stored: string,
): Promise<Since | null> {
  const since = new Map(resource.tables.map(({ name }) => [name, new Set<string>()]));
  let cursor = stored;
  for (let pages = 0; pages < PAGES_MAX; pages += 1) {
    const body = await askOnce(reader, fetch, pager.fields(cursor));
    if (body === null) return null;
    for (const table of resource.tables) {
      const places = [...table.rows.map(({ at }) => at), ...(table.removals === undefined ? [] : [table.removals])];
      for (const at of places) for (const key of keysAt(body, at, table)) since.get(table.name)?.add(key);
    }
    const next = pager.next(body, cursor);
    if (!next.more) return since;
    cursor = next.cursor;
  }
  return null;
}

async function askOnce(reader: Reader, fetch: CursorFetch, fields: Record<string, unknown>): Promise<Answer | null> {
  try {
    return (await ask(reader, fetch, fields)).body;
  } catch (error) {
    if (error instanceof PlaidError && error.retryClass === "cursor_invalid") return null;
    throw error;
  }
}

/** The keys as the mirror packs them. */
function keysAt(body: Answer, at: string, { key }: Table): string[] {
  const list = valueAt(body, at) ?? [];
  if (!Array.isArray(list)) throw unreadable();
  return (list as Record<string, unknown>[]).map((row) => {
    const fields = key.map((field) => String(row[field]));
    return fields.length === 1 ? (fields[0] ?? "") : `[${fields.map((field) => JSON.stringify(field)).join(", ")}]`;
  });
}
