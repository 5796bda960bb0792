/**
 * Keeps the event loop free while large payloads are parsed, rendered and signed. One megabyte costs about 10 ms of it, so
 * everything large takes turns: one payload for each round of the loop, whoever asks. Small payloads do not wait.
 */
import { setImmediate as nextRound } from "node:timers/promises";

/** Below this a payload costs less than a millisecond. */
export const LARGE_BYTES = 64 * 1024;

let last: Promise<unknown> = Promise.resolve();

/** Resolves when a payload of so many bytes may be worked on: at once, or for a large one in a round of its own. */
export async function turnFor(bytes: number): Promise<void> {
  if (bytes < LARGE_BYTES) return;
  last = last.then(() => nextRound());
  await last;
}
