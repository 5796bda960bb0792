/** The events of this Tartan's own database, as they happen. */
import { systemClock } from "../clock.ts";
import { isPassing } from "../database/failures.ts";
import type { Database } from "../database/types.ts";
import { readEvents, waitForEvents } from "../relay/feed/event-feed.ts";

export interface EventWishes {
  types?: readonly string[];
  integration_id?: string;
  item_id?: string;
  user_id?: string;
  /** events of a first reading too */
  history?: boolean;
}

interface LiveOptions extends EventWishes {
  /** where to begin: a cursor, the oldest that is kept, or after what is there now */
  from: string;
  signal: AbortSignal;
  /** called once, when the filter and the place to begin have been accepted */
  onOpen?(): void;
}

/** How long one look waits; news end it at once. */
const WAIT_MS = 20_000;
const AGAIN_MS = 1000;

/** Events as JSON text, oldest first, until `signal` aborts. While Postgres is away, or too slow, it waits. */
export async function* liveEvents(
  database: Database,
  { from, signal, onOpen, ...wishes }: LiveOptions,
): AsyncGenerator<string> {
  let page = await readEvents(database, { ...wishes, cursor: from });
  onOpen?.();
  while (!signal.aborted) {
    for (const { text } of page.events) {
      yield text;
      if (signal.aborted) return;
    }
    const { next_cursor } = page;
    page = await waitForEvents(database, { ...wishes, cursor: next_cursor }, WAIT_MS, signal).catch(
      async (error: unknown) => {
        if (!isPassing(error)) throw error;
        await systemClock.sleep(AGAIN_MS, signal);
        return { events: [], next_cursor };
      },
    );
  }
}
