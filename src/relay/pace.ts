/**
 * Keeps to a rate limit, strictly: in no window of `windowMs` are there more than `limit` sends, wherever it begins. A
 * bucket of tokens would let through twice as many around its refill. So the times of the last `limit` sends are kept,
 * and the next one may be made when the oldest of them is a whole window ago.
 */
export interface Pace {
  /** How long to wait before one more may be sent; 0: now. `now` is of a clock that never goes back. */
  waitMs(now: number): number;
  /** One is being sent. */
  took(now: number): void;
  /** As if all that may be sent had just been sent: somebody else, of whom nothing is known, may have done so. */
  fill(now: number): void;
}

export function createPace({ limit, windowMs }: { limit: number; windowMs: number }): Pace {
  /** A ring: `oldest` is overwritten by the next send. */
  const times = new Float64Array(limit).fill(Number.NEGATIVE_INFINITY);
  let oldest = 0;
  const oldestTime = (): number => times[oldest] ?? Number.NEGATIVE_INFINITY;
  return {
    waitMs: (now) => Math.max(0, oldestTime() + windowMs - now),
    took(now) {
      times[oldest] = now;
      oldest = (oldest + 1) % limit;
    },
    fill(now) {
      times.fill(now);
      oldest = 0;
    },
  };
}
