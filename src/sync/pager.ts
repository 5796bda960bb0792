/**
 * How the pages of each kind of fetch follow one another. Each page has a cursor, a text, since a loop that has to wait is kept
 * with the cursor of the page that comes next.
 *
 *   cursor   Plaid's own
 *   list     the name of the next page in the answer; a run always reads all of them
 *   ledger   the number of the last event; an event that was there is never gone
 *   window   the days, the offset and the key of the row before it. Plaid's offsets move when rows come and go between two
 *            requests. So each page begins with the last row of the page before: when it is another one, the reading
 *            starts over. Rows that come and go behind it are on pages that are still to be read. The days go on behind today, since
 *            a bank may write the day of settlement; and what the first of them lack is not gone, since Plaid counts its months
 *            in days of its own.
 */
import type { Clock } from "../clock.ts";
import { PlaidError } from "../plaid/errors.ts";
import type { Reading } from "../mirror/types.ts";
import type {
  CursorFetch,
  LedgerFetch,
  ListFetch,
  Resource,
  SnapshotFetch,
  Table,
  WindowFetch,
} from "../resources/types.ts";
import { notReady, unreadable, valueAt, valueOf, type Answer } from "./ask.ts";

/** What the answer to the request for a page says of the next one. */
interface NextPage {
  cursor: string;
  more: boolean;
  /** at the end: Plaid has no history that is still to come */
  complete: boolean;
}

export interface Pager {
  /** the fields of the request for the page at a cursor; "" is the start */
  fields(cursor: string): Record<string, unknown>;
  /** @throws PlaidError when the answer makes no sense, or the rows have moved under the reading */
  next(body: Answer, cursor: string): NextPage;
  /** of a reading that ends at the cursor: which of the rows that it lacks are gone */
  gone(cursor: string, fromStart: boolean): Pick<Reading, "whole" | "within">;
  /** the cursor that the next run begins with; null: the start */
  stored(cursor: string): string | null;
}

export type PagedFetch = Exclude<Resource["fetch"], SnapshotFetch>;

export function pagerOf({ tables: [table] }: Resource, fetch: PagedFetch, clock: Clock): Pager {
  if (fetch.kind === "cursor") return cursorPager(fetch);
  if (fetch.kind === "list") return listPager(fetch);
  return fetch.kind === "ledger" ? ledgerPager(fetch, table) : windowPager(fetch, table, clock);
}

const cursorPager = ({ cursor: { sentAs, nextAt, moreAt }, history }: CursorFetch): Pager => ({
  fields: (cursor) => ({ [sentAs]: cursor }),
  next: (body) => {
    const [next, more] = [valueOf(body, nextAt), valueOf(body, moreAt)];
    const said = history ? valueOf(body, history.at) : null;
    if (next === "" || next === null || (history !== undefined && said === history.none)) throw notReady();
    if (typeof next !== "string" || typeof more !== "boolean") throw unreadable();
    // An answer that does not speak of its history has none to come.
    return { cursor: next, more, complete: said === null || said === history?.complete };
  },
  gone: (_cursor, fromStart) => ({ whole: fromStart }),
  stored: (cursor) => cursor,
});

const listPager = ({ next: { sentAs, at } }: ListFetch): Pager => ({
  fields: (cursor) => (cursor === "" ? {} : { [sentAs]: cursor }),
  next: (body, cursor) => {
    const next = valueAt(body, at) ?? "";
    if (typeof next !== "string") throw unreadable();
    return { cursor: next === "" ? cursor : next, more: next !== "", complete: true };
  },
  gone: () => ({ whole: true }),
  stored: () => null,
});

const ledgerPager = ({ after: { sentAs, idAt, moreAt } }: LedgerFetch, table: Table): Pager => ({
  fields: (cursor) => ({ [sentAs]: Number(cursor) }),
  next: (body, cursor) => {
    const ids = rowsIn(body, table).map((row) => row[idAt]);
    const more = valueOf(body, moreAt);
    if (!ids.every((id) => Number.isSafeInteger(id)) || typeof more !== "boolean") throw unreadable();
    return { cursor: String(Math.max(Number(cursor), ...(ids as number[]))), more, complete: true };
  },
  gone: () => ({ whole: false }),
  stored: (cursor) => cursor,
});

/** Where a page of a window is. */
interface At {
  from: string;
  to: string;
  offset: number;
  /** key of the row before, as text; null at the start */
  before: string | null;
}

const DAY_MS = 86_400_000;
/** Trades settle within some days. */
const AHEAD_DAYS = 7;
/** Behind the first day, as long as clocks, time zones and the lengths of months may differ. */
const EDGE_DAYS = 3;

function windowPager({ window }: WindowFetch, table: Table, clock: Clock): Pager {
  const { days, fromAs, toAs, offsetAs, countAs, count, totalAt, column } = window;
  const day = (ms: number): string => new Date(ms).toISOString().slice(0, 10);
  const [from, to] = [clock.now() - days * DAY_MS, clock.now() + AHEAD_DAYS * DAY_MS].map(day) as [string, string];
  const start: At = { from, to, offset: 0, before: null };
  const read = (cursor: string): At => (cursor === "" ? start : (JSON.parse(cursor) as At));
  const firstOf = ({ offset }: At): number => Math.max(0, offset - 1);
  return {
    fields: (cursor) => {
      const at = read(cursor);
      return { [fromAs]: at.from, [toAs]: at.to, [offsetAs]: firstOf(at), [countAs]: count };
    },
    next: (body, cursor) => {
      const at = read(cursor);
      const keys = rowsIn(body, table).map((row) => JSON.stringify(table.key.map((field) => row[field])));
      const total = valueAt(body, totalAt);
      if (typeof total !== "number") throw unreadable();
      const offset = firstOf(at) + keys.length;
      const more = offset < total;
      if ((at.before !== null && keys[0] !== at.before) || (more && offset <= at.offset)) throw moved();
      return { cursor: JSON.stringify({ ...at, offset, before: keys.at(-1) ?? null }), more, complete: true };
    },
    gone: (cursor) => {
      const at = read(cursor);
      return { whole: true, within: { column, from: day(Date.parse(at.from) + EDGE_DAYS * DAY_MS), to: at.to } };
    },
    stored: () => null,
  };
}

/** The rows of a page as values; only those of the first table, which its pages are counted by. */
function rowsIn(body: Answer, { rows }: Table): Record<string, unknown>[] {
  const found = rows.flatMap(({ at }): unknown[] => {
    const list = valueAt(body, at);
    if (!Array.isArray(list)) throw unreadable();
    return list;
  });
  if (!found.every((row) => typeof row === "object" && row !== null)) throw unreadable();
  return found as Record<string, unknown>[];
}

const moved = (): PlaidError =>
  new PlaidError({ errorType: "TARTAN", errorCode: "ROWS_MOVED", httpStatus: 200, retryClass: "restart" });
