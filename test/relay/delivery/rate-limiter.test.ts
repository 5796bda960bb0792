import { array, assert, integer, property, tuple } from "fast-check";
import { describe, expect, it } from "vitest";
import { createRateLimiter } from "../../../src/relay/delivery/rate-limiter.ts";

/** Sends as fast as the limiter lets it, each taking some time to arrive and to be answered; says when each arrived. */
function drive(limit: number, windowMs: number, atOnce: number, legs: readonly [number, number][]): number[] {
  const limiter = createRateLimiter({ limit, windowMs });
  const arrivals: number[] = [];
  let open: number[] = [];
  let now = 0;
  const finish = (until: number): void => {
    for (const at of open.filter((end) => end <= until).toSorted((a, b) => a - b)) limiter.answered(at);
    open = open.filter((end) => end > until);
    now = Math.max(now, until);
  };
  for (const [there, back] of legs) {
    for (;;) {
      const waitMs = open.length >= atOnce ? Infinity : limiter.waitMs(now);
      if (waitMs === 0) break;
      const nextEnd = Math.min(...open);
      finish(Math.min(now + waitMs, nextEnd));
    }
    limiter.reserve();
    arrivals.push(now + there);
    open.push(now + there + back);
  }
  return arrivals;
}

const most = (arrivals: readonly number[], windowMs: number): number =>
  Math.max(...arrivals.map((from) => arrivals.filter((at) => at >= from && at < from + windowMs).length));

describe("a rate limiter", () => {
  it("a rate limiter lets no more than its limit arrive in any window, however long requests take", () => {
    const leg = tuple(integer({ min: 0, max: 400 }), integer({ min: 0, max: 400 }));
    assert(
      property(
        integer({ min: 1, max: 12 }),
        integer({ min: 1, max: 16 }),
        array(leg, { minLength: 1, maxLength: 120 }),
        (limit, atOnce, legs) => {
          expect(most(drive(limit, 1000, atOnce, legs), 1000)).toBeLessThanOrEqual(limit);
        },
      ),
    );
  });

  it("a rate limiter lets its whole limit through at once when nothing was sent before", () => {
    const arrivals = drive(
      5,
      1000,
      16,
      Array.from({ length: 10 }, () => [0, 1]),
    );
    expect(arrivals).toEqual([0, 0, 0, 0, 0, 1001, 1001, 1001, 1001, 1001]);
  });

  it("a rate limiter waits a whole window after another worker may have sent", () => {
    const limiter = createRateLimiter({ limit: 3, windowMs: 1000 });
    limiter.exhaust(500);
    expect(limiter.waitMs(500)).toBe(1000);
    expect(limiter.waitMs(1500)).toBe(0);
  });
});
