/** Plaid's limits, kept by several processes together. */
import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Clock } from "../../src/clock.ts";
import { createLimiter, type Asking } from "../../src/sync/limiter.ts";
import { testDatabase, type TestDatabase } from "../support/database.ts";

let db: TestDatabase;
beforeAll(async () => {
  db = await testDatabase();
});
afterAll(() => db[Symbol.asyncDispose]());

const never = new AbortController().signal;
/** Notes how long it was to sleep, and does not. */
const hasty = (slept: number[]): Clock => ({
  now: () => Date.now(),
  sleep: async (ms) => {
    slept.push(ms);
  },
});
const asking = (more: Partial<Asking> = {}): Asking => ({
  integrationId: "svi_a",
  environment: "sandbox",
  endpoint: "/transactions/sync",
  itemId: "item_a",
  ...more,
});
const fresh = () => db.database.query("delete from sync.rate_limits");

describe("the limiter", () => {
  it("never lets more through in any minute than Plaid allows, for an item and for a client", async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 3, max: 60 }), fc.boolean(), async (requests, ofItem) => {
        await fresh();
        const slept: number[] = [];
        const limiter = createLimiter(db.database, hasty(slept), 1);
        const about = asking(ofItem ? {} : { itemId: null, endpoint: "/institutions/get" });
        const limit = ofItem ? 50 : 10;
        const began = Date.now();
        // When each request would have gone: now, or after the sleep that it was told.
        const times: number[] = [];
        for (let n = 0; n < requests; n += 1) {
          slept.length = 0;
          expect(await limiter.acquire(about, 3_600_000, never)).toBe(0);
          times.push(Date.now() - began + (slept[0] ?? 0));
        }
        for (const start of times) {
          expect(times.filter((time) => time >= start && time < start + 60_000 - 500).length).toBeLessThanOrEqual(
            limit,
          );
        }
      }),
      { numRuns: 12 },
    );
  });

  it("lets a backfill's pages go at once, up to half of an item's limit", async () => {
    await fresh();
    const slept: number[] = [];
    const limiter = createLimiter(db.database, hasty(slept), 1);
    for (let n = 0; n < 25; n += 1) await limiter.acquire(asking(), 0, never);
    expect(slept).toEqual([]);
    expect(await limiter.acquire(asking(), 0, never)).toBeGreaterThan(0);
  });

  it("counts nothing that it does not let through", async () => {
    await fresh();
    const limiter = createLimiter(db.database, hasty([]), 1);
    for (let n = 0; n < 25; n += 1) await limiter.acquire(asking(), 0, never);
    const waits = [];
    for (let n = 0; n < 5; n += 1) waits.push(await limiter.acquire(asking(), 0, never));
    expect(Math.max(...waits)).toBeLessThanOrEqual(2400);
  });

  it("is shared: what one process used another does not have", async () => {
    await fresh();
    const [one, two] = [createLimiter(db.database, hasty([]), 1), createLimiter(db.database, hasty([]), 1)];
    const answers = await Promise.all(
      Array.from({ length: 40 }, (_, n) => (n % 2 ? one : two).acquire(asking(), 0, never)),
    );
    expect(answers.filter((wait) => wait === 0)).toHaveLength(25);
  });

  it("keeps items and endpoints apart, but counts them all for the client", async () => {
    await fresh();
    const limiter = createLimiter(db.database, hasty([]), 1);
    for (let n = 0; n < 25; n += 1) await limiter.acquire(asking(), 0, never);
    expect(await limiter.acquire(asking({ itemId: "item_b" }), 0, never)).toBe(0);
    expect(await limiter.acquire(asking({ endpoint: "/accounts/get" }), 0, never)).toBe(0);
    const { rows } = await db.database.query<{ ahead: number }>(
      "select round(extract(epoch from arrival - now()) / extract(epoch from step))::int as ahead from sync.rate_limits where key = '/transactions/sync svi_a'",
    );
    expect(rows[0]?.ahead).toBeGreaterThan(20);
  });

  it("multiplies the limits for clients to whom Plaid granted more", async () => {
    await fresh();
    const limiter = createLimiter(db.database, hasty([]), 4);
    for (let n = 0; n < 100; n += 1) expect(await limiter.acquire(asking(), 0, never)).toBe(0);
  });

  it("does not pace what Plaid publishes no limit for", async () => {
    await fresh();
    const limiter = createLimiter(db.database, hasty([]), 1);
    for (let n = 0; n < 200; n += 1)
      expect(await limiter.acquire(asking({ endpoint: "/item/webhook/update" }), 0, never)).toBe(0);
  });

  it("after a 429 lets nobody ask that endpoint for that client, longer each time", async () => {
    await fresh();
    const limiter = createLimiter(db.database, hasty([]), 1);
    const other = createLimiter(db.database, hasty([]), 1);
    await limiter.acquire(asking(), 0, never);
    const waits = [];
    for (let n = 0; n < 4; n += 1) {
      await limiter.slow(asking(), undefined);
      waits.push(await other.acquire(asking({ itemId: `other_${n}` }), 0, never));
    }
    expect(waits[0]).toBeGreaterThan(500);
    expect(waits[0]).toBeLessThanOrEqual(1000);
    expect(waits[3]).toBeGreaterThan(6000);
    expect(waits[3]).toBeLessThanOrEqual(8000);
    expect(await other.acquire(asking({ integrationId: "svi_b" }), 0, never)).toBe(0);
    expect(await other.acquire(asking({ endpoint: "/item/get" }), 0, never)).toBe(0);
  });

  it("rests for as long as Plaid asks, at most five minutes", async () => {
    await fresh();
    const limiter = createLimiter(db.database, hasty([]), 1);
    await limiter.acquire(asking(), 0, never);
    await limiter.slow(asking(), 42_000);
    const wait = await limiter.acquire(asking(), 0, never);
    expect(wait).toBeGreaterThan(40_000);
    for (let n = 0; n < 12; n += 1) await limiter.slow(asking(), 42_000);
    expect(await limiter.acquire(asking(), 0, never)).toBeLessThanOrEqual(300_000);
  });

  it("stops waiting when it is told to", async () => {
    await fresh();
    const slept: number[] = [];
    const limiter = createLimiter(db.database, hasty(slept), 1);
    const stop = new AbortController();
    stop.abort(new Error("stop"));
    await expect(limiter.acquire(asking(), 0, stop.signal)).rejects.toThrow("stop");
  });
});
