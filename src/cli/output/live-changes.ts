/** The changed rows of this Tartan's own mirror, as they happen. */
import { systemClock } from "../../clock.ts";
import { isPassing } from "../../database/failures.ts";
import type { Database } from "../../database/types.ts";
import { readChanges, waitForChanges, type ChangePage, type ChangeQuery } from "../../relay/feed/changes.ts";

/** How long one poll waits; a new change ends it at once. */
const WAIT_MS = 20_000;
const AGAIN_MS = 1000;
const AT_ONCE = 200;

/** Pages, the oldest first, until `signal` aborts. While Postgres is down or too slow, it waits. */
export async function* liveChanges(
  database: Database,
  query: ChangeQuery & { cursor: string },
  signal: AbortSignal,
): AsyncGenerator<ChangePage> {
  let page = await readChanges(database, { ...query, limit: AT_ONCE });
  for (;;) {
    yield page;
    if (signal.aborted) return;
    const { next_cursor: cursor } = page;
    page = await waitForChanges(database, { ...query, cursor, limit: AT_ONCE }, WAIT_MS, signal).catch(
      async (error: unknown) => {
        if (!isPassing(error)) throw error;
        await systemClock.sleep(AGAIN_MS, signal);
        return { changes: [], next_cursor: cursor, more: false };
      },
    );
  }
}
