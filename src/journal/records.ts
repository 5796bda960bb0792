/**
 * Reads the journal: the webhooks of an item or a user, by type, by type and code, or by source; of an integration; or all,
 * newest first. Pages are cut by id, and ids grow with time, so rows that arrive meanwhile shift nothing.
 *
 * A page reads a bounded number of rows. Indexes serve items and users. A type, code or source alone has
 * no index (it would cost every webhook for a rare query); such a page reads a window of the newest rows, and may
 * hold fewer rows than `limit`, or none, and still name a next page.
 */
import type { Queryable } from "../database/types.ts";
import { fromCursor, toCursor } from "../model/cursors.ts";
import { checkedFilter } from "../model/listing.ts";
import { fromWebhookId } from "../model/ids.ts";
import { WebhookFilter, type Records, type WebhookPage, type WebhookRecord } from "../model/records.ts";
import { mapInTurns } from "../turns.ts";
import { LIST_FILTERS, listWebhooksQuery } from "./list-queries.ts";
import { GET_WEBHOOK, toRecord, type RecordRow } from "./webhook-record.ts";

interface PageRow extends RecordRow {
  /** another webhook follows this one */
  more: boolean;
  /** where the window of the search ended; undefined where the search has none */
  window_end?: string | null;
}

/** The page is empty. */
type NoRow = { id: null } & Pick<PageRow, "window_end">;

/** The Postgres engine of the port. */
export const openRecords = (q: Queryable): Records => ({
  list: (filter) => listWebhooks(q, filter),
  get: (id) => getWebhook(q, id),
});

/**
 * One page, newest first: `limit` webhooks, or fewer if their bodies are larger than 8 MiB together.
 * @throws TartanError `invalid_request` for a limit, cursor or filter that is not usable
 */
export async function listWebhooks(q: Queryable, filter: WebhookFilter): Promise<WebhookPage> {
  const { limit, cursor, ...wanted } = checkedFilter(WebhookFilter, filter);
  const before = cursor === undefined ? null : fromCursor("webhooks", cursor);
  const given = LIST_FILTERS.filter((name) => wanted[name] !== undefined);
  const values = [...given.map((name) => wanted[name]), ...(before === null ? [] : [before]), limit + 1];
  const { rows } = await q.query<PageRow | NoRow>(
    listWebhooksQuery({ given, plaid: wanted.source === "PLAID", paged: before !== null }),
    values,
  );
  const page = rows.filter((row): row is PageRow => row.id !== null);
  const last = page.at(-1)?.more ? page.at(-1)?.id : rows[0]?.window_end;
  const data = await mapInTurns(
    page,
    ({ body }) => body?.length ?? 0,
    ({ more: _more, window_end: _end, ...row }) => toRecord(row),
  );
  return { data, next_cursor: last == null ? null : toCursor("webhooks", last) };
}

/** The webhook `whk_…`, or null where there is none. */
export async function getWebhook(q: Queryable, id: string): Promise<WebhookRecord | null> {
  const uuid = fromWebhookId(id);
  if (uuid === null) return null;
  const { rows } = await q.query<RecordRow>(GET_WEBHOOK, [uuid]);
  return rows[0] ? toRecord(rows[0]) : null;
}
