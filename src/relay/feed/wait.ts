/** Waits for the next page of a feed. */
import { systemClock } from "../../clock.ts";
import type { Database } from "../../database/types.ts";

const POLL_MS = 1000;
/** Many events often come at once, so a waiting request reads shortly after the first. */
const SETTLE_MS = 25;

export interface Page {
  next_cursor: string;
  /** the page has nothing */
  isEmpty: boolean;
  /** the search ended early, so there may be something behind it by now */
  more: boolean;
}

/**
 * Reads a page, and while it is empty the next one, up to `waitMs` or until `signal` aborts. Then the page is empty with a cursor to
 * continue.
 */
export async function waitForPage<T extends Page>(
  database: Database,
  cursor: string | undefined,
  read: (cursor: string | undefined) => Promise<T>,
  waitMs: number,
  signal?: AbortSignal,
): Promise<T> {
  let page = await read(cursor);
  if (!page.isEmpty || waitMs <= 0) return page;
  const until = performance.now() + waitMs;
  let hint = new AbortController();
  await using _listening = await database.listen("tartan_events", () => hint.abort());
  for (;;) {
    // A new controller before reading, so that no notification is lost between reading and waiting.
    hint = new AbortController();
    page = await read(page.next_cursor);
    const left = until - performance.now();
    if (!page.isEmpty || left <= 0 || signal?.aborted) return page;
    if (page.more) continue;
    const wake = signal ? AbortSignal.any([signal, hint.signal]) : hint.signal;
    await systemClock.sleep(Math.min(left, POLL_MS), wake);
    await systemClock.sleep(SETTLE_MS, signal);
  }
}
