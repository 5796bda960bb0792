/**
 * Keeps to a rate limit, strictly: in no window of `windowMs`, wherever it begins, does the receiver get more than `limit`. A
 * bucket of tokens would let through twice as many around its refill; and a request arrives somewhere between its
 * sending and its answer, so one that took long to get there would fall into the window of the next ones. So one counts as
 * in the window from its sending until a whole window after its answer.
 */
export interface Pace {
  /**
   * How long to wait before one more may be sent; 0: now; Infinity: until one that is under way is done. `now` is of a
   * clock that never goes back.
   */
  waitMs(now: number): number;
  /** One is about to be sent. */
  took(): void;
  /** One that was about to be sent was not. */
  spared(): void;
  /** One was answered, or given up. */
  done(now: number): void;
  /** As if all that may be sent had just been answered: somebody else, of whom nothing is known, may have sent them. */
  fill(now: number): void;
}

export function createPace({ limit, windowMs }: { limit: number; windowMs: number }): Pace {
  /** when each was answered, in a ring; those from before the window do not count any more */
  const answered = new Float64Array(limit).fill(Number.NEGATIVE_INFINITY);
  let next = 0;
  let underWay = 0;
  return {
    waitMs(now) {
      const free = limit - underWay;
      if (free <= 0) return Infinity;
      // With `underWay` of the limit taken, the oldest that still matters is the last but `free`.
      const oldest = answered[(next + limit - free) % limit] ?? Number.NEGATIVE_INFINITY;
      return Math.max(0, oldest + windowMs - now);
    },
    took() {
      underWay += 1;
    },
    spared() {
      underWay -= 1;
    },
    done(now) {
      underWay -= 1;
      answered[next] = now;
      next = (next + 1) % limit;
    },
    fill(now) {
      answered.fill(now);
    },
  };
}
