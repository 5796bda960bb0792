/**
 * The audit trail: the webhooks of an item or a user, by type, by type and code, or by source; of an integration; or all,
 * newest first. Pages are cut by id, and ids grow with time, so rows that arrive meanwhile shift nothing.
 *
 * What a page may read is bounded. An item's and a user's webhooks are found by index. A type, code or source alone has
 * none (it would cost every webhook for a rare question); such a page looks through a window of the newest rows, and may
 * hold fewer than asked for, or none, and still name a next page.
 */
import type { Queryable } from "../database/types.ts";
import { TartanError } from "../errors.ts";
import { cutTokens } from "../tokens.ts";
import { fromCursor, pageSize, toCursor } from "../model/cursors.ts";
import { fromWebhookId, toWebhookId } from "../model/ids.ts";
import type { Records, WebhookFilter, WebhookPage, WebhookRecord } from "../model/records.ts";
import { GET_WEBHOOK, GET_WEBHOOKS, LIST_FILTERS, listWebhooksQuery, type ListFilter } from "./queries.ts";
import type { Source } from "../model/webhook.ts";

interface Row {
  id: string;
  integration_id: string;
  source: Source;
  item_id: string | null;
  user_id: string | null;
  webhook_type: string | null;
  webhook_code: string | null;
  environment: string | null;
  received_at: Date;
  body: Buffer;
  key_id: string | null;
  signed_at: Date | null;
  body_sha256: string;
  processed_at: Date | null;
  update_info: Record<string, unknown> | null;
}

interface Place {
  id: string;
  bytes: number;
}

/** The port over Postgres. */
export const openRecords = (q: Queryable): Records => ({
  list: (filter) => listWebhooks(q, filter),
  get: (id) => getWebhook(q, id),
});

/** A page ends here, however many rows were asked for; its first body may be larger. */
const PAGE_BYTES_MAX = 8 * 1024 * 1024;

/**
 * One page, newest first: as many as asked for, or fewer where their bodies are larger than 8 MiB together.
 * @throws TartanError `invalid_request` for a limit, cursor or filter that is not usable
 */
export async function listWebhooks(q: Queryable, filter: WebhookFilter): Promise<WebhookPage> {
  const limit = pageSize(filter.limit);
  const before = filter.cursor == null ? null : fromCursor("webhooks", filter.cursor);
  const given = givenFilters(filter);
  const values = [...given.map((name) => filter[name]), ...(before === null ? [] : [before]), limit + 1];
  const { rows } = await q.query<Place & { window_end?: string | null }>(
    listWebhooksQuery({ given, plaid: filter.source === "PLAID", paged: before !== null }),
    values,
  );
  const found = rows.filter((row) => row.id !== null);
  const ids = found.slice(0, Math.min(limit, withinBytes(found))).map(({ id }) => id);
  const last = ids.length < found.length ? ids.at(-1) : rows.at(-1)?.window_end;
  const data = ids.length === 0 ? [] : (await q.query<Row>(GET_WEBHOOKS, [ids])).rows.map(toRecord);
  return { data, next_cursor: last == null ? null : toCursor("webhooks", last) };
}

/** How many of them a page holds: one at least. */
function withinBytes(places: readonly Place[]): number {
  let sum = 0;
  const beyond = places.findIndex(({ bytes }, index) => (sum += bytes) > PAGE_BYTES_MAX && index > 0);
  return beyond === -1 ? places.length : beyond;
}

/** The webhook `whk_…`, or null where there is none. */
export async function getWebhook(q: Queryable, id: string): Promise<WebhookRecord | null> {
  const uuid = fromWebhookId(id);
  if (uuid === null) return null;
  const { rows } = await q.query<Row>(GET_WEBHOOK, [uuid]);
  return rows[0] ? toRecord(rows[0]) : null;
}

function givenFilters(filter: WebhookFilter): ListFilter[] {
  const given = LIST_FILTERS.filter((name) => filter[name] !== undefined);
  const unusable = given.filter((name) => filter[name]?.includes("\0"));
  if (unusable.length === 0) return given;
  const fields = Object.fromEntries(unusable.map((name) => [name, "must not contain NUL characters"]));
  throw new TartanError("invalid_request", `No webhook has such a ${unusable.join(" or ")}.`, { fields });
}

function toRecord(row: Row): WebhookRecord {
  const { key_id, signed_at, body_sha256 } = row;
  const { bytes, cut } = cutTokens(row.body);
  return {
    id: toWebhookId(row.id),
    integration_id: row.integration_id,
    source: row.source,
    item_id: row.item_id,
    user_id: row.user_id,
    webhook_type: row.webhook_type,
    webhook_code: row.webhook_code,
    environment: row.environment,
    received_at: row.received_at.toISOString(),
    webhook: parseObject(bytes),
    tokens_cut: cut,
    verification:
      key_id === null || signed_at === null ? null : { key_id, signed_at: signed_at.toISOString(), body_sha256 },
    processed_at: row.processed_at?.toISOString() ?? null,
    update_info: row.update_info,
  };
}

function parseObject(body: Buffer): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(body.toString("utf8"));
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : {};
  } catch {
    return {};
  }
}
