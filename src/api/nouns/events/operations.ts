/**
 * /v1/events: what happened, to be fetched instead of being sent. Events leave as the text that is stored: their numbers
 * are Plaid's, to the last digit, and would not be after JSON.parse. So their answers are joined texts, which the
 * declared shapes describe and do not touch.
 */
import type { FastifyReply } from "fastify";
import { describeError, TartanError } from "../../../errors.ts";
import { EVENT_TYPES, isOperatorEvent } from "../../../events/event-types.ts";
import { getEvent, waitForEvents } from "../../../relay/feed/event-feed.ts";
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
import { AT_ONCE, eventStream, type ReadOn } from "./stream.ts";
import { about, inPlain, refusals, type Api, type ApiDeps } from "../../http/operation.ts";

interface Filters {
  types?: string;
  integration_id?: string;
  item_id?: string;
  user_id?: string;
  history: "true" | "false";
}

export function eventOperations(api: Api, { database, logger }: ApiDeps): void {
  const untilGone = waiters(api);
  const readerOf =
    (filters: Filters): ReadOn =>
    (cursor, limit, waitMs, signal) =>
      waitForEvents(database, { ...filterOf(filters), cursor, limit }, waitMs, signal);

  api.get("/v1/events", { schema: LIST }, async ({ query }, reply) => {
    const { cursor, limit, wait_s, ...filters } = query;
    const { events, next_cursor } = await readerOf(filters)(cursor, limit, wait_s * 1000, untilGone(reply));
    const data = events.map(({ text }) => text).join(",");
    return asText(reply, `{"data":[${data}],"next_cursor":${JSON.stringify(next_cursor)}}`);
  });

  api.get("/v1/events/stream", { schema: STREAM, exposeHeadRoute: false }, async (request, reply) => {
    const { cursor = "now", ...filters } = request.query;
    const signal = untilGone(reply);
    const readOn = readerOf(filters);
    const first = await readOn(request.headers["last-event-id"] ?? cursor, AT_ONCE, 0, signal);
    // Some proxies would keep what is small until there is more of it.
    reply.header("content-type", "text/event-stream").header("x-accel-buffering", "no");
    const stream = eventStream(first, readOn, signal);
    // A reader that takes nothing would keep the stream from its end; it comes again with the last id that it has.
    const cut = (): void => void (reply.raw.writableNeedDrain && reply.raw.destroy());
    signal.addEventListener("abort", cut, { once: true });
    stream.once("error", (error) => {
      // A reader that leaves cuts it off too, and is no trouble.
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

/**
 * What waits for events waits until its reader is gone, or the server closes, which it would hold open otherwise.
 * @returns a signal for an answer, which aborts then
 */
function waiters(api: Api): (reply: FastifyReply) => AbortSignal {
  const waiting = new Set<AbortController>();
  api.addHook("preClose", async () => {
    for (const controller of waiting) controller.abort();
  });
  return (reply) => {
    const controller = new AbortController();
    waiting.add(controller);
    reply.raw.once("close", () => {
      waiting.delete(controller);
      controller.abort();
    });
    return controller.signal;
  };
}

/** JSON that is text already, past the shapes. */
const asText = (reply: FastifyReply, text: string): FastifyReply =>
  reply.type("application/json; charset=utf-8").serializer(String).send(text);

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
      "What happened, the oldest first, from a cursor on: an alternative to a destination for whoever has no public URL. " +
      "Keep `next_cursor` once the events are dealt with, and ask again with it; with `wait_s` the answer comes as soon as " +
      "there is something. Nothing is skipped and the order never changes, whatever commits late. A cursor behind which events " +
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
    description: "One event as it is sent. A webhook's is its id with `evt_` for `whk_`.",
  }),
  params: EventParams,
  response: { 200: Event, ...refusals(404) },
};

const TYPES = {
  ...about("Events", {
    operationId: "listEventTypes",
    summary: "List event types",
    description: "Everything that can happen, in one sentence each.",
  }),
  response: { 200: EventTypes, ...refusals() },
};
