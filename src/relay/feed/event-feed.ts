/**
 * The event feed: clients pull events in the order of the positions that the dispatcher gives. A client that continues after a position
 * misses no event and reads none twice, however long the transaction that wrote an event took.
 *
 * A cursor is a position and the number of its events that were read; it exists even where no event does yet. A page searches a
 * bounded part of the outbox, so it may be empty although its cursor has moved on.
 */
import type { Database, Queryable } from "../../database/types.ts";
import { systemClock } from "../../clock.ts";
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
import { EDGES, IS_EXPIRED, FIND_EVENTS } from "./queries.ts";
import type { EventSource } from "../model/types.ts";

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
}

interface Place {
  position: string;
  /** events of that position that are behind us */
  at: number;
}

interface Found extends Place {
  id: string;
  type: string;
  bytes: number;
}

type FoundRow = { last: string | null; more: boolean } & (Found | { [K in keyof Found]: null });

/** Events that one statement examines, and statements of one page. */
const STEP_EVENTS = 1000;
const STEPS_MAX = 50;
/** Bytes of a page, unless its first event is larger. */
const PAGE_BYTES = 8 * 1024 * 1024;
const POLL_MS = 1000;
/** Many events often come at once, so a waiting request reads shortly after the first. */
const SETTLE_MS = 25;
const START: Place = { position: "0", at: 0 };

/**
 * One page.
 * @throws TartanError `invalid_request` for a limit, cursor or filter that is not usable; `cursor_expired` where events behind
 *   the cursor are forgotten
 */
export async function readEvents(q: Queryable, query: EventQuery): Promise<FeedPage> {
  const limit = pageSize(query.limit);
  const filters = [
    typesOf(query.types),
    ...["integration_id", "item_id", "user_id"].map((name) => textOf(query, name)),
  ];
  let place = await placeOf(q, query.cursor ?? "start");
  const found: Found[] = [];
  for (let steps = 0; steps < STEPS_MAX && found.length < limit; steps += 1) {
    const room = limit - found.length;
    const values = [place.position, place.at, STEP_EVENTS, ...filters, query.history ?? false, room];
    const { rows } = await q.query<FoundRow>(FIND_EVENTS, values);
    const [first] = rows;
    if (!first || first.last === null) break;
    const matching = rows.flatMap((row) => (row.id === null ? [] : [row as Found]));
    found.push(...matching);
    place = matching.length === room ? (matching.at(-1) ?? place) : behind(first.last);
    if (!first.more) break;
  }
  return await toPage(q, found, place);
}

/** The place after all events of a position. */
const behind = (position: string): Place => ({ position: String(BigInt(position) + 1n), at: 0 });

const toEventCursor = ({ position, at }: Place): string => toCursor("events", `${position}:${at}`);

async function placeOf(q: Queryable, cursor: string): Promise<Place> {
  if (cursor === "start" || cursor === "now") {
    const { rows } = await q.query<{ last: string | null; forgotten: string | null }>(EDGES);
    const edge = cursor === "now" ? rows[0]?.last : rows[0]?.forgotten;
    return edge == null ? START : behind(edge);
  }
  const [position = "0", at] = fromCursor("events", cursor).split(":");
  const place = { position, at: Number(at) };
  await checkKept(q, place);
  return place;
}

/** Refuses a place after which events were deleted, since a client that continues there would miss them unnoticed. */
async function checkKept(q: Queryable, { position, at }: Place): Promise<void> {
  const { rows } = await q.query<{ expired: boolean; since: Date | null }>(IS_EXPIRED, [position, at]);
  if (rows[0]?.expired !== true) return;
  const since = rows[0].since === null ? "" : `, from ${rows[0].since.toISOString()}`;
  throw new TartanError(
    "cursor_expired",
    `Events behind this cursor are no longer kept. Go on with cursor=start, the first event that is kept${since}; what is missing can be read from the mirror.`,
    { fields: { cursor: "must be younger than the events that are kept, or start, or now" } },
  );
}

/** The page of the found events, up to PAGE_BYTES. @param end the place up to which the outbox was searched */
async function toPage(q: Queryable, found: readonly Found[], end: Place): Promise<FeedPage> {
  let bytes = 0;
  const isTooMuch = found.findIndex((each, index) => (bytes += each.bytes) > PAGE_BYTES && index > 0);
  const fitting = isTooMuch === -1 ? found : found.slice(0, isTooMuch);
  const texts = await textsOf(q, fitting);
  const events = fitting.flatMap(({ id, type, position, at }): FeedEvent[] => {
    const text = texts.get(id);
    return text === undefined ? [] : [{ id: toEventId(id), type, cursor: toEventCursor({ position, at }), text }];
  });
  const last = isTooMuch === -1 ? end : (fitting.at(-1) ?? end);
  return { events, next_cursor: toEventCursor(last) };
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

function textOf(query: EventQuery, name: string): string | null {
  const value = query[name as "item_id"];
  if (!value?.includes("\0")) return value ?? null;
  throw new TartanError("invalid_request", `No event has such a ${name}.`, {
    fields: { [name]: "must not contain NUL characters" },
  });
}

/**
 * As `readEvents`, but when there are no events it waits for some, up to `waitMs` or until `signal` aborts. Then the page is empty
 * with a cursor to continue.
 */
export async function waitForEvents(
  database: Database,
  query: EventQuery,
  waitMs: number,
  signal?: AbortSignal,
): Promise<FeedPage> {
  let page = await readEvents(database, query);
  if (page.events.length > 0 || waitMs <= 0) return page;
  const until = performance.now() + waitMs;
  let hint = new AbortController();
  await using _listening = await database.listen("tartan_events", () => hint.abort());
  for (;;) {
    // A new controller before reading, so that no notification is lost between reading and waiting.
    hint = new AbortController();
    page = await readEvents(database, { ...query, cursor: page.next_cursor });
    const left = until - performance.now();
    if (page.events.length > 0 || left <= 0 || signal?.aborted) return page;
    const wake = signal ? AbortSignal.any([signal, hint.signal]) : hint.signal;
    await systemClock.sleep(Math.min(left, POLL_MS), wake);
    await systemClock.sleep(SETTLE_MS, signal);
  }
}

/** The event `evt_…` as text, or null where none is kept. */
export async function getEvent(q: Queryable, id: string): Promise<string | null> {
  const uuid = fromEventId(id);
  if (uuid === null) return null;
  const { rows } = await q.query<EventSource>(SOURCES, [[uuid], [uuid]]);
  return rows[0] ? render(rows[0], "event").toString("utf8") : null;
}
