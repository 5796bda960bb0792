/**
 * The statement that lists webhooks. Values are always bound.
 */
import type { Statement } from "../database/types.ts";
import { PAGE_SIZE } from "../model/listing.ts";
import { RECORD, STORED } from "./webhook-record.ts";

export const LIST_FILTERS = ["item_id", "user_id", "type", "code", "source", "integration_id"] as const;
export type ListFilter = (typeof LIST_FILTERS)[number];

const COLUMNS: Record<ListFilter, string> = {
  item_id: "item_id",
  user_id: "user_id",
  type: "webhook_type",
  code: "webhook_code",
  source: "source",
  integration_id: "integration_id",
};

const TYPED: ReadonlySet<ListFilter> = new Set(["type", "code", "source"]);

/** Postgres cuts the names of statements at 63 characters. */
const shortly = (filter: ListFilter): string => filter.replace("_id", "").slice(0, 4);

/** How many of the newest rows a page reads where no index serves the filter. */
export const SCAN_WINDOW = 5000;

export interface ListShape {
  /** the filters that are given, in the order of their values */
  given: readonly ListFilter[];
  /** source is PLAID: an index serves the others, so Postgres must see which it is */
  plaid: boolean;
  /** there is a cursor: its id is the value after the filters */
  paged: boolean;
}

/** The bodies of a page end at this size, even below its limit; its first body may be larger. */
const PAGE_BYTES_MAX = 8 * 1024 * 1024;

/**
 * The webhooks of a page, newest first, from the rows that `chosen` yields, which are at most $`read`: one more than the page shows.
 * `more` is true where another webhook follows.
 *
 * The rows carry their bodies, so each is read once, at the place that the index names. A second query by their ids would search another
 * index for each row and read it again, which took half of the time. Postgres knows the size of a large body without reading it, so it
 * reads no body that the page does not show.
 */
const pageOf = (chosen: string, read: number): string => `
  select ${RECORD}, more
  from (
    select ${STORED}, lead(id) over newest is not null as more,
      row_number() over newest as number, sum(coalesce(octet_length(body), 0)) over newest as bytes
    from (${chosen}) chosen
    window newest as (order by id desc rows unbounded preceding)
  ) counted
  where number < $${read} and (number = 1 or bytes <= ${PAGE_BYTES_MAX})`;

const among = (ids: string): string => `select ${STORED} from journal.webhooks where id = any (array(${ids}))`;

/**
 * A page of webhooks, newest first. Values: the filters', the cursor's id if paged, and one more than the number of webhooks that it shows.
 *
 * With an item or a user, or an integration alone, the rows come straight from an index in their order. For an integration the statement names
 * that order in full. Otherwise Postgres expects to find a page soon in the order of all webhooks: for an integration with few or none of ten
 * million it read the whole journal, until the statement was cancelled. A type, code or
 * source is then filtered in the index of the item or user, and only matching rows are read. Without either, the newest
 * SCAN_WINDOW rows are read; then each row has `window_end`, the id where the window ended, if it was full, and a page without webhooks is a
 * row without an id.
 */
export function listWebhooksQuery({ given, plaid, paged }: ListShape): Statement {
  const isRare = given.includes("source") && !plaid;
  const name = ["journal_list", ...given.map(shortly), isRare ? "rare" : "", paged ? "paged" : ""]
    .filter(Boolean)
    .join("_");
  const valueOf = (filter: ListFilter): string => `$${given.indexOf(filter) + 1}`;
  const condition = (filter: ListFilter): string => `${COLUMNS[filter]} = ${valueOf(filter)}`;
  const before = paged ? `id < $${given.length + 1}` : "true";
  const read = given.length + (paged ? 2 : 1);
  const owned = given.includes("item_id") || given.includes("user_id");
  const typed = given.filter((filter) => TYPED.has(filter));
  const order = given.includes("integration_id") && !owned ? "integration_id desc, id desc" : "id desc";
  // As one value of an array, so that Postgres takes the order from the index of the integration and not from that of all webhooks.
  const within =
    order === "id desc" ? before : `integration_id = any (array[${valueOf("integration_id")}]) and ${before}`;
  // The number in the text bounds the cost that Postgres expects of any page. Otherwise it would plan a page of all webhooks each time, which
  // takes three times as long as reading the page.
  const newest = (columns: string, where: string): string =>
    `select * from (select ${columns} from journal.webhooks where ${where} order by ${order} limit ${PAGE_SIZE.most + 1}) bounded
    order by ${order} limit $${read}`;
  const all = owned ? [...given.map(condition), isRare ? "source <> 'PLAID'" : "true", before].join(" and ") : within;
  if (typed.length === 0) return { name, text: `${pageOf(newest(STORED, all), read)} order by id desc` };
  if (owned) {
    return { name, text: `${pageOf(among(newest("id", all)), read)} order by id desc` };
  }
  return {
    name,
    text: `
with looked_at as materialized (
  select id, webhook_type, webhook_code, source from journal.webhooks where ${within} order by ${order} limit ${SCAN_WINDOW}
), found as (
  select id from looked_at where ${typed.map(condition).join(" and ")} order by id desc limit $${read}
)
select page.*, window_end
from (select (select id from looked_at order by id desc offset ${SCAN_WINDOW - 1} limit 1) as window_end) looked
left join (${pageOf(among("select id from found"), read)}) page on true
order by id desc`,
  };
}
