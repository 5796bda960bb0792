/** The events of this Tartan's own database, as they happen. */
import type { Database } from "../database/types.ts";
import { readEvents, waitForEvents } from "../relay/feed.ts";

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
}

/** How long one look waits; news end it at once. */
const WAIT_MS = 20_000;

/** Events as JSON text, oldest first, until `signal` aborts. */
export async function* liveEvents(
  database: Database,
  { from, signal, ...wishes }: LiveOptions,
): AsyncGenerator<string> {
  let { data, next_cursor } = await readEvents(database, { ...wishes, cursor: from });
  while (!signal.aborted) {
    for (const event of data) {
      yield event;
      if (signal.aborted) return;
    }
    const wish = { ...wishes, cursor: next_cursor, wait_ms: WAIT_MS, signal };
    ({ data, next_cursor } = await waitForEvents(database, wish));
  }
}
