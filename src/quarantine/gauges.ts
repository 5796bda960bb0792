/** How much waits in quarantine, as metrics. */
import type { Queryable } from "../database/types.ts";
import { quarantineState } from "../journal/quarantine.ts";
import { metrics } from "../metrics.ts";

export async function gaugeQuarantine(q: Queryable): Promise<void> {
  const { waiting, bytes, oldest_seconds } = await quarantineState(q);
  metrics.unprovenWaiting.set(waiting);
  metrics.unprovenBytes.set(bytes);
  metrics.unprovenOldestSeconds.set(oldest_seconds);
}
