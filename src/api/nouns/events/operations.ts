/**
 * /v1/events: events to fetch. The API answers with the stored text of each event: its numbers are Plaid's, to the last
 * digit, and JSON.parse would change them. So answers are joined texts, which the declared schemas describe and do not cut.
 */
import { describeError, TartanError } from "../../../errors.ts";
import { EVENT_TYPES, isOperatorEvent } from "../../../events/event-types.ts";
import { getEvent, waitForEvents } from "../../../relay/feed/event-feed.ts";
import { pageText } from "../../../relay/feed/page-text.ts";
import {
  EventPage,
  EventParams,
  EventsQuery,
  EventStream,
  EventTypes,
  StreamHeaders,
  StreamQuery,
} from "./query-shapes.ts";
import { Event, EVENT_VERSION, eventComponent } from "./shapes.ts";
import { AT_ONCE, eventStream } from "./stream.ts";
import { about, inPlain, refusals, type Api, type ApiDeps } from "../../http/operation.ts";
import { asText, waiters } from "../../http/waiting.ts";

interface Filters {
  types?: string;
  integration_id?: string;
  item_id?: string;
  user_id?: string;
  history: "true" | "false";
}

export function eventOperations(api: Api, { database, logger }: ApiDeps): void {
  const untilGone = waiters(api);
  const readerOf = (filters: Filters) => (cursor: string, limit: number, waitMs: number, signal: AbortSignal) =>
    waitForEvents(database, { ...filterOf(filters), cursor, limit }, waitMs, signal);

  api.get("/v1/events", { schema: LIST }, async ({ query }, reply) => {
    const { cursor, limit, wait_s, ...filters } = query;
    const page = await readerOf(filters)(cursor, limit, wait_s * 1000, untilGone(reply));
    const texts = page.events.map(({ text }) => text);
    return asText(reply, pageText(texts, page));
  });

  api.get("/v1/events/stream", { schema: STREAM, exposeHeadRoute: false }, async (request, reply) => {
    const { cursor = "now", ...filters } = request.query;
    const signal = untilGone(reply);
    const readOn = readerOf(filters);
    const first = await readOn(request.headers["last-event-id"] ?? cursor, AT_ONCE, 0, signal);
    // Some proxies hold small pieces back until they have more.
    reply.header("content-type", "text/event-stream").header("x-accel-buffering", "no");
    const stream = eventStream(first, readOn, signal);
    // A reader that reads nothing would keep the stream open; it connects again with its last id.
    const cut = (): void => void (reply.raw.writableNeedDrain && reply.raw.destroy());
    signal.addEventListener("abort", cut, { once: true });
    stream.once("error", (error) => {
      // A reader that closes the connection causes this error too, which is normal.
      if (signal.aborted) return;
      logger.warn({ error: describeError(error), request_id: request.id }, "a stream of events was cut off");
    });
    return reply.send(stream as never);
  });

  api.get("/v1/events/:id", { schema: SHOW }, async ({ params: { id } }, reply) => {
    const text = await getEvent(database, id);
    if (text === null) throw new TartanError("not_found", `There is no event ${id}; ids look like evt_ and 32 digits.`);
    return asText(reply, text);
  });

  api.get("/v1/event-types", { schema: TYPES }, async () => ({ data: TYPE_LIST }));
}

const filterOf = ({ types, history, ...rest }: Filters) => ({
  ...rest,
  ...(types === undefined ? {} : { types: types.split(",") }),
  history: history === "true",
});

const TYPE_LIST = Object.entries(EVENT_TYPES).map(([type, description]) => ({
  type,
  version: EVENT_VERSION,
  description,
  operator: isOperatorEvent(type),
  component: eventComponent(type),
}));

const LIST = {
  ...about("Events", {
    operationId: "listEvents",
    summary: "Fetch events",
    description:
      "Events after a cursor, the oldest first: an alternative to a destination if you have no public URL. " +
      "Store `next_cursor` once you have processed the events, and ask again with it; with `wait_s` the answer comes as soon as " +
      "there is something, and while `has_more` is true there may be events already. No event is skipped and the order never changes, even if a transaction commits late. A cursor behind which events " +
      "are no longer kept is refused with 410 and `cursor_expired`; go on with `cursor=start`, the first event that is kept.",
  }),
  querystring: EventsQuery,
  response: { 200: EventPage, ...refusals(410) },
};

const STREAM = {
  ...about("Events", {
    operationId: "streamEvents",
    summary: "Stream events",
    description:
      "The same events as server-sent events, as they happen. The `id` of each is the cursor behind it: sent back as " +
      "Last-Event-ID, as clients of such streams do by themselves, it goes on with nothing missed and nothing twice. A comment " +
      "comes every 15 seconds in which there is nothing else, and after an hour at most the stream ends, to be taken up again.",
  }),
  headers: StreamHeaders,
  querystring: StreamQuery,
  response: { 200: inPlain("text/event-stream", EventStream), ...refusals(410) },
};

const SHOW = {
  ...about("Events", {
    operationId: "getEvent",
    summary: "Show an event",
    description:
      "One event as Tartan sends it. The id of a webhook's event is the webhook's id with `evt_` for `whk_`.",
  }),
  params: EventParams,
  response: { 200: Event, ...refusals(404) },
};

const TYPES = {
  ...about("Events", {
    operationId: "listEventTypes",
    summary: "List event types",
    description: "All types of events, with one sentence each.",
  }),
  response: { 200: EventTypes, ...refusals() },
};
