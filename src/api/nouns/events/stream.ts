/**
 * Events as a stream of server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html). The id of each is
 * the cursor after it, so a reader that was disconnected continues there: clients of such streams send Last-Event-ID. The server
 * reads a page only when the reader has taken the previous page, so events for a slow reader wait in Postgres, not in memory.
 *
 *   open ──▶ a page ──▶ … ──▶ (nothing there) waiting ──▶ a page, or after 15 s a comment ──▶ … ──▶ closed
 *
 * The stream ends when the reader disconnects, when the server closes, and after an hour, so that a revoked key stops working
 * soon. Then the reader connects again, to this or another process.
 */
import { Readable } from "node:stream";
import type { FeedEvent, FeedPage } from "../../../relay/feed/event-feed.ts";

/** Proxies close a connection that is silent for long, most of them after 30 s or more. */
const HEARTBEAT_MS = 15_000;
/** Events that one stream may hold in memory; one may have a megabyte. */
export const AT_ONCE = 20;
/** How long a client waits before it connects again. */
const RETRY_MS = 1000;
const LASTS_MS = 60 * 60_000;
const BUFFERED_BYTES = 64 * 1024;

/** Reads events after `cursor`, and waits up to `waitMs` for one if there is none. */
export type ReadOn = (cursor: string, limit: number, waitMs: number, signal: AbortSignal) => Promise<EventsRead>;

type EventsRead = Omit<FeedPage, "more">;

/** A stream that begins with the page `first` and ends when `signal` aborts or after its longest time. */
export function eventStream(first: EventsRead, readOn: ReadOn, signal: AbortSignal, lastsMs = LASTS_MS): Readable {
  const until = performance.now() + lastsMs;
  return Readable.from(messages(first, readOn, signal, until), { objectMode: false, highWaterMark: BUFFERED_BYTES });
}

async function* messages(
  first: EventsRead,
  readOn: ReadOn,
  signal: AbortSignal,
  until: number,
): AsyncGenerator<string> {
  yield `retry: ${RETRY_MS}\n`;
  const next = (cursor: string) => within(signal, (wait) => readOn(cursor, AT_ONCE, HEARTBEAT_MS, wait));
  for (let page = first; !signal.aborted; page = await next(page.next_cursor)) {
    for (const event of page.events) yield messageOf(event);
    // With the cursor, so that the server need not scan again what the filter left out, and so that a reader which began
    // at `now` knows its position from the start.
    if (page.events.length === 0) yield `: still here\nid: ${page.next_cursor}\n\n`;
    if (performance.now() >= until) return;
  }
}

/** Waits with a signal of its own: a signal of the whole stream would collect a listener for each wait. */
async function within<T>(signal: AbortSignal, wait: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const abort = (): void => controller.abort();
  if (signal.aborted) abort();
  signal.addEventListener("abort", abort, { once: true });
  try {
    return await wait(controller.signal);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

/** JSON may have line breaks between its parts; each of its lines is a line of `data`. */
function messageOf({ cursor, type, text }: FeedEvent): string {
  return `id: ${cursor}\nevent: ${type}\ndata: ${text.split(/\r\n|\r|\n/).join("\ndata: ")}\n\n`;
}
