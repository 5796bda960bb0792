/** Work in turns of the event loop: a megabyte of JSON takes 10 ms to parse, and webhooks that come meanwhile wait. */
import { setImmediate as nextTurn } from "node:timers/promises";

/** About 2 ms of parsing. */
const BYTES_A_TURN = 256 * 1024;

/** Maps a list, and lets other work go first after each quarter of a megabyte. @param bytesOf the size of what is worked on */
export async function mapInTurns<T, R>(
  list: readonly T[],
  bytesOf: (each: T) => number,
  map: (each: T) => R,
): Promise<R[]> {
  const mapped: R[] = [];
  let bytes = 0;
  for (const each of list) {
    bytes += bytesOf(each);
    if (bytes > BYTES_A_TURN && mapped.length > 0) {
      await nextTurn();
      bytes = bytesOf(each);
    }
    mapped.push(map(each));
  }
  return mapped;
}
