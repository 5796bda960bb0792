/**
 * Subjects that a worker has claimed ahead of its free slots, so that one claim serves several runs: a claim costs Postgres as much as all that
 * a small run reads. How many follows how many slots became free within the last moments, so a subject waits here for about as
 * long as it would wait to be claimed, and none waits behind runs that take long, which other workers might overtake.
 *
 *   claimed ──a slot is free──▶ running
 *      └──none became free in time──▶ given back
 */
import type { Clock } from "../clock.ts";
import type { Claim } from "./types.ts";

/** As many runs as ended within this time may be claimed ahead. */
const LATELY_MS = 50;
/** A subject that has waited for so long is given back. */
const PATIENCE_MS = 500;

export interface Ahead {
  /** how many wait */
  readonly waiting: number;
  /** How many subjects the next claim takes, for so many free slots; 0 while enough wait. */
  wanted(free: number): number;
  add(claims: readonly Claim[]): void;
  /** The one that has waited longest. */
  next(): Claim | undefined;
  /** A run has ended. */
  ended(): void;
  /** Those that have waited for too long, which do not wait here any more. */
  late(): Claim[];
  /** All that wait; then none does. */
  rest(): Claim[];
}

export function openAhead({ clock, concurrency }: { clock: Clock; concurrency: number }): Ahead {
  let waiting: { claim: Claim; since: number }[] = [];
  /** when the latest runs ended, one for each slot at most */
  let ends: number[] = [];
  const take = (count: number): Claim[] => waiting.splice(0, count).map(({ claim }) => claim);
  return {
    get waiting() {
      return waiting.length;
    },
    wanted(free) {
      const from = clock.now() - LATELY_MS;
      ends = ends.filter((at) => at >= from);
      const count = free + ends.length - waiting.length;
      // A claim for half of them at least, unless a slot is free.
      return free > 0 || waiting.length * 2 < ends.length ? Math.max(0, count) : 0;
    },
    add(claims) {
      for (const claim of claims) waiting.push({ claim, since: clock.now() });
    },
    next: () => take(1)[0],
    ended() {
      ends = [...ends, clock.now()].slice(-concurrency);
    },
    late() {
      const before = clock.now() - PATIENCE_MS;
      return take(waiting.filter(({ since }) => since < before).length);
    },
    rest: () => take(waiting.length),
  };
}
