/**
 * Events as a stream of server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html). Each carries
 * as its id the cursor behind it, so whoever was cut off goes on where they were, with Last-Event-ID as any client of such
 * streams sends it. It is read a page at a time and only when the reader has taken the page before: a slow reader waits in
 * Postgres, not in memory.
 *
 *   open ──▶ a page ──▶ … ──▶ (nothing there) waiting ──▶ a page, or after 15 s a comment ──▶ … ──▶ closed
 *
 * It ends when the reader leaves, when the server closes, and after an hour, so that a key which was reset opens nothing for
 * long; then the reader comes again, here or to another process.
 */
import { Readable } from "node:stream";
import type { FeedEvent, FeedPage } from "../../../relay/feed/event-feed.ts";

/** Proxies give up on a connection that is silent for long, most of them after 30 s or more. */
const HEARTBEAT_MS = 15_000;
/** Events that one stream may hold in memory; one may have a megabyte. */
export const AT_ONCE = 20;
/** What a client waits before it comes again. */
const RETRY_MS = 1000;
const LASTS_MS = 60 * 60_000;
const BUFFERED_BYTES = 64 * 1024;

/** Reads on behind `cursor`, waiting up to `waitMs` for something that is not there yet. */
export type ReadOn = (cursor: string, limit: number, waitMs: number, signal: AbortSignal) => Promise<FeedPage>;

/** A stream that begins with the page `first` and ends when `signal` aborts, or when it has lasted long enough. */
export function eventStream(first: FeedPage, readOn: ReadOn, signal: AbortSignal, lastsMs = LASTS_MS): Readable {
  const until = performance.now() + lastsMs;
  return Readable.from(messages(first, readOn, signal, until), { objectMode: false, highWaterMark: BUFFERED_BYTES });
}

async function* messages(first: FeedPage, readOn: ReadOn, signal: AbortSignal, until: number): AsyncGenerator<string> {
  yield `retry: ${RETRY_MS}\n`;
  const next = (cursor: string) => within(signal, (wait) => readOn(cursor, AT_ONCE, HEARTBEAT_MS, wait));
  for (let page = first; !signal.aborted; page = await next(page.next_cursor)) {
    for (const event of page.events) yield messageOf(event);
    // With the cursor, so that what a filter left out need not be looked through again, and so that a reader which began
    // at `now` knows from the start where that was.
    if (page.events.length === 0) yield `: still here\nid: ${page.next_cursor}\n\n`;
    if (performance.now() >= until) return;
  }
}

/** Waits with a signal of its own: one that lives as long as a stream would gather what each wait hangs onto it. */
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
