/**
 * Keeps a destination's rate limit strictly: no window of `windowMs`, wherever it begins, has more than `limit` requests. A
 * token bucket would allow twice as many around its refill. A request arrives at some time between sending and answer, so a
 * slow one could arrive in the window of the next ones; each request therefore counts from its sending until a whole window after
 * its answer.
 */
export interface RateLimiter {
  /**
   * How long to wait before one more request may be sent. 0: send it now. Infinity: wait until a request that is under way is
   * answered. `now` is of a monotonic clock.
   */
  waitMs(now: number): number;
  /** A request is about to be sent. */
  reserve(): void;
  /** A reserved request was not sent. */
  unreserve(): void;
  /** A request was answered or given up. */
  answered(now: number): void;
  /** Counts as if `limit` requests had just been answered: another worker may have sent them. */
  exhaust(now: number): void;
}

export function createRateLimiter({ limit, windowMs }: { limit: number; windowMs: number }): RateLimiter {
  /** a ring of the times of the answers; those before the window do not count any more */
  const answeredAt = new Float64Array(limit).fill(Number.NEGATIVE_INFINITY);
  let next = 0;
  let underWay = 0;
  return {
    waitMs(now) {
      const free = limit - underWay;
      if (free <= 0) return Infinity;
      // With `underWay` of the limit in use, the oldest answer that still matters is the `free`th from the end.
      const oldest = answeredAt[(next + limit - free) % limit] ?? Number.NEGATIVE_INFINITY;
      return Math.max(0, oldest + windowMs - now);
    },
    reserve() {
      underWay += 1;
    },
    unreserve() {
      underWay -= 1;
    },
    answered(now) {
      underWay -= 1;
      answeredAt[next] = now;
      next = (next + 1) % limit;
    },
    exhaust(now) {
      answeredAt.fill(now);
    },
  };
}
