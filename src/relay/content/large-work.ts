/**
 * Keeps the event loop responsive while large payloads are parsed, rendered and signed. One megabyte takes about 10 ms, so large
 * payloads take turns: one for each turn of the event loop. Small payloads do not wait.
 */
import { setImmediate as nextRound } from "node:timers/promises";

/** Below this a payload costs less than a millisecond. */
export const LARGE_BYTES = 64 * 1024;

let last: Promise<unknown> = Promise.resolve();

/** Resolves when a payload of this size may be processed: at once, or for a large one in a turn of its own. */
export async function turnFor(bytes: number): Promise<void> {
  if (bytes < LARGE_BYTES) return;
  last = last.then(() => nextRound());
  await last;
}
