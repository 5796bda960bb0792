/** The events of this Tartan's own database, as they happen. */
import { systemClock } from "../../clock.ts";
import { isPassing } from "../../database/failures.ts";
import type { Database } from "../../database/types.ts";
import { readEvents, waitForEvents } from "../../relay/feed/event-feed.ts";

export interface LiveFilter {
  types?: readonly string[];
  integration_id?: string;
  item_id?: string;
  user_id?: string;
  /** also events of an item's first reading */
  history?: boolean;
}

interface LiveOptions extends LiveFilter {
  /** where to begin: a cursor, `start` (the oldest event that is kept) or `now` (after the newest) */
  from: string;
  signal: AbortSignal;
  /** called once, when the filter and the cursor have been accepted */
  onOpen?(): void;
}

/** How long one poll waits; a new event ends it at once. */
const WAIT_MS = 20_000;
const AGAIN_MS = 1000;

/** Events as JSON text, oldest first, until `signal` aborts. While Postgres is down or too slow, it waits. */
export async function* liveEvents(
  database: Database,
  { from, signal, onOpen, ...filter }: LiveOptions,
): AsyncGenerator<string> {
  let page = await readEvents(database, { ...filter, cursor: from });
  onOpen?.();
  while (!signal.aborted) {
    for (const { text } of page.events) {
      yield text;
      if (signal.aborted) return;
    }
    const { next_cursor } = page;
    page = await waitForEvents(database, { ...filter, cursor: next_cursor }, WAIT_MS, signal).catch(
      async (error: unknown) => {
        if (!isPassing(error)) throw error;
        await systemClock.sleep(AGAIN_MS, signal);
        return { events: [], next_cursor, more: false };
      },
    );
  }
}
