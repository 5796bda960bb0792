/**
 * The change feed: rows of the mirror that were added, modified or removed, in the order in which the runs that changed them committed,
 * as the event feed has it. It takes the rows out of the events of changed rows, so it is kept as long as those, masked as they are, and
 * costs a run nothing.
 *
 * A cursor is a place in the order of events (places.ts) and how many rows of the next event were read, since an event may have more rows
 * than a page; and how many it had, since an account that is erased is cut out of the events: then its rows are read again.
 * A page searches a bounded part of the outbox, so it may be empty although its cursor has moved on.
 */
import type { Database, Queryable } from "../../database/types.ts";
import { TartanError } from "../../errors.ts";
import { fromCursor, toCursor } from "../../model/cursors.ts";
import { pageSize } from "../../model/listing.ts";
import { readSources } from "../content/sources.ts";
import { changesOf, ERASURES } from "./change-rows.ts";
import { typesOf } from "./change-tables.ts";
import { edge, isExpired, type Place } from "./places.ts";
import { checkTexts, findEvents, PAGE_BYTES, Steps, type Found } from "./search.ts";
import { waitForPage } from "./wait.ts";

export interface ChangeQuery {
  /** `next_cursor` of the page before; `start` (the default): the first change that is kept; `now`: those to come */
  cursor?: string | undefined;
  /** tables of the mirror; absent: all that have changes */
  resources?: readonly string[] | undefined;
  integration_id?: string | undefined;
  item_id?: string | undefined;
  user_id?: string | undefined;
  /** 1 to 500; 50 by default */
  limit?: number | undefined;
}

export interface ChangePage {
  /** JSON texts, the oldest first, whose numbers are Plaid's own; fewer than asked for where they are large */
  changes: string[];
  next_cursor: string;
  /** the search ended early: there may be more changes behind `next_cursor` by now */
  more: boolean;
}

/** A place, and rows of the event after it that are behind us. */
interface RowPlace extends Place {
  row: number;
  /** rows of that event */
  of: number;
}

/** Between two events. */
const between = (place: Place): RowPlace => ({ ...place, row: 0, of: 0 });

/** Most pages need few events. */
const FIRST_STEP = 125;
/** Bytes of a change, for the guess how many changes an event has. */
const CHANGE_BYTES = 800;
const EVENT_CHANGES = 100;

/**
 * One page.
 * @throws TartanError `invalid_request` for a limit, cursor or filter that is not usable; `cursor_expired` where changes behind
 *   the cursor are forgotten
 */
export async function readChanges(q: Queryable, query: ChangeQuery): Promise<ChangePage> {
  const page = new PageBuilder(pageSize(query.limit));
  checkTexts(query);
  const filters = { ...query, types: [...typesOf(query.resources), ...ERASURES], history: true };
  const begin = await placeOf(q, query.cursor ?? "start");
  let place = begin;
  let more = true;
  for (const steps = new Steps(FIRST_STEP); more && !steps.areOver && !page.isFull;) {
    const step = await findEvents(q, place, filters, { ...steps.size, most: steps.size.events });
    place = (await fill(q, page, step.found, place)) ?? between(step.end);
    more = step.more || page.isFull;
    steps.count(step);
  }
  // Retention may have deleted some meanwhile; a reader that begins at the start has no place before them.
  if (query.cursor !== undefined && query.cursor !== "start") await checkKept(q, begin);
  return { changes: page.changes, next_cursor: toChangeCursor(place), more };
}

/** Changes up to a number of rows and bytes. */
class PageBuilder {
  readonly changes: string[] = [];
  readonly #limit: number;
  #bytes = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get isFull(): boolean {
    return this.changes.length >= this.#limit || this.#bytes >= PAGE_BYTES;
  }

  get room(): number {
    return this.#limit - this.changes.length;
  }

  /** Takes the first changes that fit. @returns how many */
  take(changes: readonly string[]): number {
    let taken = 0;
    for (const change of changes) {
      if (this.isFull || (this.#bytes > 0 && this.#bytes + change.length > PAGE_BYTES)) break;
      this.#bytes += change.length;
      this.changes.push(change);
      taken += 1;
    }
    if (taken < changes.length) this.#bytes = Math.max(this.#bytes, PAGE_BYTES);
    return taken;
  }
}

/** Puts the changes of the events into the page. @returns the place where the page is full; null where all events are read */
async function fill(
  q: Queryable,
  page: PageBuilder,
  found: readonly Found[],
  begin: RowPlace,
): Promise<RowPlace | null> {
  const places = new Map(found.map(({ id, position, at }) => [id, { position, at: at - 1 }]));
  for (let from = 0; from < found.length;) {
    const group = found.slice(from, from + eventsFor(page.room, found, from));
    from += group.length;
    for await (const source of readSources(
      q,
      group.map(({ id, type, bytes }) => ({ id, type, size: bytes })),
    )) {
      const place = places.get(source.id);
      if (!place) continue;
      const changes = changesOf(source);
      const of = changes.length;
      const isBegun = place.position === begin.position && place.at === begin.at && begin.of === of;
      const row = isBegun ? begin.row : 0;
      const taken = page.take(row === 0 ? changes : changes.slice(row));
      if (row + taken < of) return { ...place, row: row + taken, of };
      if (page.isFull) return between({ ...place, at: place.at + 1 });
    }
  }
  return null;
}

/** About how many events from `from` on have as many changes, since those beyond would be read for nothing. */
function eventsFor(changes: number, found: readonly Found[], from: number): number {
  let count = 0;
  for (let guess = 0; guess < changes && from + count < found.length; count += 1) {
    const bytes = found[from + count]?.bytes ?? 0;
    guess += Math.min(Math.max(1, Math.floor(bytes / CHANGE_BYTES)), EVENT_CHANGES);
  }
  return Math.max(count, 1);
}

const toChangeCursor = ({ position, at, row, of }: RowPlace): string =>
  toCursor("changes", [position, at, ...(row === 0 ? [] : [row, of])].join(":"));

async function placeOf(q: Queryable, cursor: string): Promise<RowPlace> {
  if (cursor === "start" || cursor === "now") return between(await edge(q, cursor));
  const [position = "0", at, row = 0, of = 0] = fromCursor("changes", cursor).split(":");
  const place = { position, at: Number(at), row: Number(row), of: Number(of) };
  await checkKept(q, place);
  return place;
}

/** Refuses a place after which changes were deleted, since a copy that continues there would miss them unnoticed. */
async function checkKept(q: Queryable, place: RowPlace): Promise<void> {
  const { expired, since } = await isExpired(q, place);
  if (!expired) return;
  const kept = since === null ? "" : ` (those since ${since.toISOString()} are)`;
  const now = toChangeCursor(between(await edge(q, "now")));
  throw new TartanError(
    "cursor_expired",
    `Changes behind this cursor are no longer kept${kept}. Make a new copy: keep the cursor ${now}, which is that of now, copy the tables from the mirror, then go on with it.`,
    { fields: { cursor: "must be younger than the changes that are kept, or start, or now" } },
  );
}

/** As `readChanges`, but while a page is empty and its search ended early, it reads the next one, however long that takes. */
export async function findChanges(q: Queryable, query: ChangeQuery): Promise<ChangePage> {
  let page = await readChanges(q, query);
  while (page.changes.length === 0 && page.more) page = await readChanges(q, { ...query, cursor: page.next_cursor });
  return page;
}

/**
 * As `readChanges`, but when there are no changes it waits for some, up to `waitMs` or until `signal` aborts. Then the page is empty
 * with a cursor to continue.
 */
export const waitForChanges = (
  database: Database,
  query: ChangeQuery,
  waitMs: number,
  signal?: AbortSignal,
): Promise<ChangePage> =>
  waitForPage(
    database,
    query.cursor,
    async (cursor) => {
      const page = await readChanges(database, { ...query, cursor });
      return { ...page, isEmpty: page.changes.length === 0 };
    },
    waitMs,
    signal,
  );
