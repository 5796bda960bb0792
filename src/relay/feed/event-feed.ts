/**
 * The event feed: clients pull events in the order of the positions that the dispatcher gives. A client that continues after a position
 * misses no event and reads none twice, however long the transaction that wrote an event took.
 *
 * A cursor is a place (places.ts). A page searches a bounded part of the outbox, so it may be empty although its cursor has moved on.
 */
import type { Database, Queryable } from "../../database/types.ts";
import { TartanError } from "../../errors.ts";
import { fromCursor, toCursor } from "../../model/cursors.ts";
import { pageSize } from "../../model/listing.ts";
import { EVENT_TYPES } from "../../events/event-types.ts";
import { fromEventId, toEventId } from "../../model/ids.ts";
import { render } from "../content/body.ts";
import { didYouMean } from "../../suggest.ts";
import { matchesType } from "../routing/filter.ts";
import { readSources } from "../content/sources.ts";
import { SOURCES } from "../content/queries.ts";
import type { EventSource } from "../model/types.ts";
import { edge, isExpired, type Place } from "./places.ts";
import { checkTexts, findEvents, PAGE_BYTES, STEP_EVENTS, Steps, type Found } from "./search.ts";
import { waitForPage } from "./wait.ts";

export interface EventQuery {
  /** `next_cursor` of the page before; `start` (the default): the first event that is kept; `now`: those to come */
  cursor?: string | undefined;
  /** types, `item.*` for a family, `*` (the default) for all but the operator's own */
  types?: readonly string[] | undefined;
  integration_id?: string | undefined;
  item_id?: string | undefined;
  user_id?: string | undefined;
  /** events of a first reading too; false by default, as in a route */
  history?: boolean | undefined;
  /** 1 to 500; 50 by default */
  limit?: number | undefined;
}

export interface FeedEvent {
  /** `evt_…` */
  id: string;
  type: string;
  /** goes on behind this event */
  cursor: string;
  /** the event as a destination is sent it in form `event`: JSON text, whose numbers are Plaid's own */
  text: string;
}

export interface FeedPage {
  /** the oldest first; fewer than asked for where they are large */
  events: FeedEvent[];
  next_cursor: string;
  /** the search ended early: there may be more events behind `next_cursor` by now */
  more: boolean;
}

/**
 * One page.
 * @throws TartanError `invalid_request` for a limit, cursor or filter that is not usable; `cursor_expired` where events behind
 *   the cursor are forgotten
 */
export async function readEvents(q: Queryable, query: EventQuery): Promise<FeedPage> {
  const limit = pageSize(query.limit);
  checkTexts(query);
  const filters = { ...query, types: typesOf(query.types), history: query.history ?? false };
  const begin = await placeOf(q, query.cursor ?? "start");
  const found: Found[] = [];
  let place = begin;
  let more = true;
  for (const steps = new Steps(STEP_EVENTS); more && !steps.areOver && found.length < limit;) {
    const step = await findEvents(q, place, filters, { ...steps.size, most: limit - found.length });
    found.push(...step.found);
    ({ end: place, more } = step);
    steps.count(step);
  }
  const page = await toPage(q, found, { place, more });
  // Retention may have deleted some meanwhile; a reader that begins at the start has no place before them.
  if (query.cursor !== undefined && query.cursor !== "start") await checkKept(q, begin);
  return page;
}

const toEventCursor = ({ position, at }: Place): string => toCursor("events", `${position}:${at}`);

async function placeOf(q: Queryable, cursor: string): Promise<Place> {
  if (cursor === "start" || cursor === "now") return await edge(q, cursor);
  const [position = "0", at] = fromCursor("events", cursor).split(":");
  const place = { position, at: Number(at) };
  await checkKept(q, place);
  return place;
}

/** Refuses a place after which events were deleted, since a client that continues there would miss them unnoticed. */
async function checkKept(q: Queryable, place: Place): Promise<void> {
  const { expired, since } = await isExpired(q, place);
  if (!expired) return;
  const from = since === null ? "" : `, from ${since.toISOString()}`;
  throw new TartanError(
    "cursor_expired",
    `Events behind this cursor are no longer kept. Go on with cursor=start, the first event that is kept${from}; what is missing can be read from the mirror.`,
    { fields: { cursor: "must be younger than the events that are kept, or start, or now" } },
  );
}

/** The page of the found events, up to PAGE_BYTES. @param end the place up to which the outbox was searched */
async function toPage(q: Queryable, found: readonly Found[], end: { place: Place; more: boolean }): Promise<FeedPage> {
  let bytes = 0;
  const isTooMuch = found.findIndex((each, index) => (bytes += each.bytes) > PAGE_BYTES && index > 0);
  const fitting = isTooMuch === -1 ? found : found.slice(0, isTooMuch);
  const texts = await textsOf(q, fitting);
  const events = fitting.flatMap(({ id, type, position, at }): FeedEvent[] => {
    const text = texts.get(id);
    return text === undefined ? [] : [{ id: toEventId(id), type, cursor: toEventCursor({ position, at }), text }];
  });
  const last = isTooMuch === -1 ? end.place : (fitting.at(-1) ?? end.place);
  return { events, next_cursor: toEventCursor(last), more: end.more || isTooMuch !== -1 };
}

async function textsOf(q: Queryable, found: readonly Found[]): Promise<Map<string, string>> {
  const texts = new Map<string, string>();
  const sized = found.map(({ id, type, bytes }) => ({ id, type, size: bytes }));
  for await (const source of readSources(q, sized)) {
    texts.set(source.id, render(source, "event").toString("utf8"));
  }
  return texts;
}

function typesOf(patterns: readonly string[] = ["*"]): string[] {
  const all = Object.keys(EVENT_TYPES);
  const unknown = patterns.find((pattern) => !all.some((type) => matchesType(pattern, type)));
  if (unknown !== undefined) {
    throw new TartanError("invalid_request", "There is no such type of event; GET /v1/event-types lists them.", {
      fields: {
        types:
          "must be types of events, such as item.error, or families of them, such as item.*" + didYouMean(unknown, all),
      },
    });
  }
  return all.filter((type) => patterns.some((pattern) => matchesType(pattern, type)));
}

/** As `readEvents`, but while a page is empty and its search ended early, it reads the next one, however long that takes. */
export async function findInFeed(q: Queryable, query: EventQuery): Promise<FeedPage> {
  let page = await readEvents(q, query);
  while (page.events.length === 0 && page.more) page = await readEvents(q, { ...query, cursor: page.next_cursor });
  return page;
}

/**
 * As `readEvents`, but when there are no events it waits for some, up to `waitMs` or until `signal` aborts. Then the page is empty
 * with a cursor to continue.
 */
export const waitForEvents = (
  database: Database,
  query: EventQuery,
  waitMs: number,
  signal?: AbortSignal,
): Promise<FeedPage> =>
  waitForPage(
    database,
    query.cursor,
    async (cursor) => {
      const page = await readEvents(database, { ...query, cursor });
      return { ...page, isEmpty: page.events.length === 0 };
    },
    waitMs,
    signal,
  );

/** The event `evt_…` as text, or null where none is kept. */
export async function getEvent(q: Queryable, id: string): Promise<string | null> {
  const uuid = fromEventId(id);
  if (uuid === null) return null;
  const { rows } = await q.query<EventSource>(SOURCES, [[uuid], [uuid]]);
  return rows[0] ? render(rows[0], "event").toString("utf8") : null;
}
