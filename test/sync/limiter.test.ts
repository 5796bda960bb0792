/** Plaid's limits, kept by several processes together. */
import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Clock } from "../../src/clock.ts";
import { createLimiter, type Asking, type Limiter } from "../../src/sync/limiter.ts";
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
  institutionId: null,
  ...more,
});
const fresh = () => db.database.query("delete from sync.rate_limits");

describe("the limiter", () => {
  it("the limiter never admits more requests in any minute than Plaid allows, for an item and for a client", async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 3, max: 60 }), fc.boolean(), async (requests, ofItem) => {
        await fresh();
        const slept: number[] = [];
        const limiter = createLimiter(db.database, hasty(slept), 1);
        const about = asking(ofItem ? {} : { itemId: null, endpoint: "/institutions/get" });
        const limit = ofItem ? 50 : 10;
        const began = Date.now();
        // When each request would have gone: now, or after the returned wait.
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

  it("the limiter counts a request under a share and under the whole limit, or under neither", async () => {
    await fresh();
    const limiter = createLimiter(db.database, hasty([]), 1);
    const whole = asking({ itemId: null, endpoint: "/institutions/get" });
    const shared = { ...whole, share: { of: "jobs", part: 1 / 2 } };
    const waits = async (about: Asking): Promise<number> => Math.ceil((await limiter.acquire(about, 0, never)) / 1000);
    expect(await waits(shared)).toBe(0);
    // Ten a minute, of which a tenth may come at once: every 6.7 seconds; of the share every 13.3.
    expect([await waits(shared), await waits(whole), await waits(shared)]).toEqual([14, 7, 14]);
  });

  it("the limiter admits a backfill's pages at once, up to half of an item's limit", async () => {
    await fresh();
    const slept: number[] = [];
    const limiter = createLimiter(db.database, hasty(slept), 1);
    for (let n = 0; n < 25; n += 1) await limiter.acquire(asking(), 0, never);
    expect(slept).toEqual([]);
    expect(await limiter.acquire(asking(), 0, never)).toBeGreaterThan(0);
  });

  it("the limiter counts only requests that it admits", async () => {
    await fresh();
    const limiter = createLimiter(db.database, hasty([]), 1);
    for (let n = 0; n < 25; n += 1) await limiter.acquire(asking(), 0, never);
    const waits = [];
    for (let n = 0; n < 5; n += 1) waits.push(await limiter.acquire(asking(), 0, never));
    expect(Math.max(...waits)).toBeLessThanOrEqual(2400);
  });

  it("the processes share the limiter's budgets", async () => {
    await fresh();
    const [one, two] = [createLimiter(db.database, hasty([]), 1), createLimiter(db.database, hasty([]), 1)];
    const answers = await Promise.all(
      Array.from({ length: 40 }, (_, n) => (n % 2 ? one : two).acquire(asking(), 0, never)),
    );
    expect(answers.filter((wait) => wait === 0)).toHaveLength(25);
  });

  it("the limiter has separate budgets for items and endpoints, and counts all requests for the client", async () => {
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

  it("the limiter multiplies the limits for clients to whom Plaid granted more", async () => {
    await fresh();
    const limiter = createLimiter(db.database, hasty([]), 4);
    for (let n = 0; n < 100; n += 1) expect(await limiter.acquire(asking(), 0, never)).toBe(0);
  });

  it("the limiter does not limit endpoints without a published limit", async () => {
    await fresh();
    const limiter = createLimiter(db.database, hasty([]), 1);
    for (let n = 0; n < 200; n += 1)
      expect(await limiter.acquire(asking({ endpoint: "/item/webhook/update" }), 0, never)).toBe(0);
  });

  const limited = (errorCode = "TRANSACTIONS_SYNC_LIMIT", retryAfterMs?: number) => ({ errorCode, retryAfterMs });
  const waitOf = (limiter: Limiter, more: Partial<Asking> = {}) => limiter.acquire(asking(more), 0, never);

  it("a 429 for an item pauses that endpoint for that item, longer each time, and slows no other", async () => {
    await fresh();
    const limiter = createLimiter(db.database, hasty([]), 1);
    const other = createLimiter(db.database, hasty([]), 1);
    await limiter.acquire(asking(), 0, never);
    const waits = [];
    for (let n = 0; n < 4; n += 1) {
      await limiter.refused(asking(), limited());
      waits.push(await waitOf(other));
    }
    expect(waits[0]).toBeGreaterThan(500);
    expect(waits[0]).toBeLessThanOrEqual(1000);
    expect(waits[3]).toBeGreaterThan(6000);
    expect(waits[3]).toBeLessThanOrEqual(8000);
    for (let n = 0; n < 30; n += 1) await limiter.refused(asking(), limited());
    expect(await waitOf(other, { itemId: "item_b" })).toBe(0);
    expect(await waitOf(other, { endpoint: "/item/get" })).toBe(0);
    expect(await waitOf(other, { integrationId: "svi_b" })).toBe(0);
  });

  it("a 429 of an institution slows only the items of that institution", async () => {
    await fresh();
    const limiter = createLimiter(db.database, hasty([]), 1);
    await limiter.refused(asking({ institutionId: "ins_1" }), limited("INSTITUTION_RATE_LIMIT", 60_000));
    expect(await waitOf(limiter, { institutionId: "ins_1" })).toBeGreaterThan(50_000);
    expect(await waitOf(limiter, { itemId: "item_b", institutionId: "ins_1" })).toBeGreaterThan(50_000);
    expect(await waitOf(limiter, { itemId: "item_c", institutionId: "ins_2" })).toBe(0);
    expect(await waitOf(limiter, { itemId: "item_d" })).toBe(0);
    await limiter.refused(asking({ itemId: "item_e" }), limited("INSTITUTION_RATE_LIMIT", 60_000));
    expect(await waitOf(limiter, { itemId: "item_e" })).toBeGreaterThan(50_000);
    expect(await waitOf(limiter, { itemId: "item_d" })).toBe(0);
  });

  it("a 429 that names no endpoint, or an endpoint with only a client limit, slows the endpoint for the client", async () => {
    for (const [errorCode, more] of [
      ["RATE_LIMIT", {}],
      ["HTTP_429", {}],
      ["INSTITUTIONS_GET_LIMIT", { endpoint: "/institutions/get", itemId: null }],
      ["STATEMENTS_LIMIT", { endpoint: "/statements/list" }],
    ] as const) {
      await fresh();
      const limiter = createLimiter(db.database, hasty([]), 1);
      await limiter.refused(asking(more), limited(errorCode, 60_000));
      expect(await waitOf(limiter, { ...more, itemId: "item_z" }), errorCode).toBeGreaterThan(50_000);
      expect(await waitOf(limiter, { endpoint: "/item/get" }), errorCode).toBe(0);
      expect(await waitOf(limiter, { ...more, integrationId: "svi_b" }), errorCode).toBe(0);
    }
  });

  it("the limiter slows the client when item after item is refused and none is answered", async () => {
    await fresh();
    const limiter = createLimiter(db.database, hasty([]), 1);
    const refuse = (n: number) => limiter.refused(asking({ itemId: `item_${n}` }), limited());
    for (let n = 0; n < 4; n += 1) await refuse(n);
    await limiter.answered(asking({ itemId: "item_well" }));
    for (let n = 4; n < 8; n += 1) await refuse(n);
    expect(await waitOf(limiter, { itemId: "new" })).toBe(0);
    // Those that are refused all the time say nothing new.
    for (let n = 0; n < 8; n += 1) await refuse(n);
    expect(await waitOf(limiter, { itemId: "new" })).toBe(0);
    await refuse(8);
    expect(await waitOf(limiter, { itemId: "new" })).toBeGreaterThan(500);
  });

  it("the limiter begins with a short pause again after Plaid has answered", async () => {
    await fresh();
    const limiter = createLimiter(db.database, hasty([]), 1);
    for (let n = 0; n < 6; n += 1) await limiter.refused(asking(), limited());
    await db.database.query("update sync.rate_limits set slowed_until = now(), arrival = now()");
    await limiter.answered(asking());
    await limiter.refused(asking(), limited());
    expect(await waitOf(limiter)).toBeLessThanOrEqual(1000);
  });

  it("the limiter spends nothing of the client's budget on a request that the item's own limit refuses", async () => {
    await fresh();
    const limiter = createLimiter(db.database, hasty([]), 1);
    for (let n = 0; n < 25; n += 1) await limiter.acquire(asking(), 0, never);
    const arrivals = async () =>
      (await db.database.query("select key, arrival::text from sync.rate_limits order by key")).rows;
    const before = await arrivals();
    for (let n = 0; n < 40; n += 1) expect(await limiter.acquire(asking(), 0, never)).toBeGreaterThan(0);
    expect(await arrivals()).toEqual(before);
    expect(await waitOf(limiter, { itemId: "item_b" })).toBe(0);
  });

  it("the limiter pauses for as long as Plaid requests, at most five minutes", async () => {
    await fresh();
    const limiter = createLimiter(db.database, hasty([]), 1);
    await limiter.acquire(asking(), 0, never);
    await limiter.refused(asking(), limited(undefined, 42_000));
    const wait = await limiter.acquire(asking(), 0, never);
    expect(wait).toBeGreaterThan(40_000);
    for (let n = 0; n < 12; n += 1) await limiter.refused(asking(), limited(undefined, 42_000));
    expect(await limiter.acquire(asking(), 0, never)).toBeLessThanOrEqual(300_000);
  });

  it("the limiter stops waiting when its signal aborts", async () => {
    await fresh();
    const slept: number[] = [];
    const limiter = createLimiter(db.database, hasty(slept), 1);
    const stop = new AbortController();
    stop.abort(new Error("stop"));
    await expect(limiter.acquire(asking(), 0, stop.signal)).rejects.toThrow("stop");
  });
});
