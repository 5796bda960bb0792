/** Permits of several requests that are asked for at once. */
import * as fc from "fast-check";
import { afterAll, beforeAll, expect, it } from "vitest";
import { openPermits } from "../../src/sync/permits.ts";
import type { Queryable } from "../../src/database/types.ts";
import { testDatabase, type TestDatabase } from "../support/database.ts";

let db: TestDatabase;
beforeAll(async () => {
  db = await testDatabase();
});
afterAll(() => db[Symbol.asyncDispose]());

/** Steps and bursts by key, in ms; the last one has no limit of its own, and is slowed for a minute. */
const LIMITS = {
  client: { stepMs: 20_000, burstMs: 60_000 },
  one: { stepMs: 60_000, burstMs: 60_000 },
  other: { stepMs: 45_000, burstMs: 0 },
  slowed: { stepMs: 0, burstMs: 0 },
};
const asked = fc.array(
  fc.record({
    keys: fc.uniqueArray(fc.constantFrom(...(Object.keys(LIMITS) as (keyof typeof LIMITS)[])), { minLength: 1 }),
    patienceMs: fc.constantFrom(0, 50_000, 90_000, 3_600_000),
  }),
  // More than one statement takes.
  { minLength: 2, maxLength: 80 },
);
type Asked = typeof asked extends fc.Arbitrary<infer T> ? T : never;

const fresh = async (): Promise<void> => {
  await db.database.query("truncate sync.rate_limits");
  await db.database.query(`insert into sync.rate_limits (key, step, burst, arrival, slowed_until)
    values ('slowed', interval '0', interval '0', now(), now() + interval '70 seconds')`);
};

/** A GCRA in memory, as at one instant. */
function expected(requests: Asked): number[] {
  const ahead: Record<string, number> = {};
  return requests.map(({ keys, patienceMs }) => {
    const waits = keys.map((key) => (key === "slowed" ? 70_000 : (ahead[key] ?? 0) - LIMITS[key].burstMs));
    const wait = Math.max(0, ...waits);
    if (wait <= patienceMs) for (const key of keys) ahead[key] = (ahead[key] ?? 0) + LIMITS[key].stepMs;
    return wait;
  });
}

it("permits that are asked for at once are decided in their order, each as if it had been asked for by itself", async () => {
  const { database } = db;
  await fc.assert(
    fc.asyncProperty(asked, async (requests) => {
      await fresh();
      let statements = 0;
      const counting: Queryable = {
        query: (statement, values) => {
          statements += 1;
          return database.query(statement, values);
        },
      };
      const permits = openPermits(counting);
      const waits = await Promise.all(
        requests.map(({ keys, patienceMs }) =>
          permits.ask(
            keys.map((key) => ({ key, ...LIMITS[key] })),
            patienceMs,
          ),
        ),
      );
      expect(statements).toBe(Math.ceil(requests.length / 64));
      // Two statements are not at the same instant, and time passes from `fresh` to the first.
      const far = expected(requests).map((wait, n) => Math.abs(wait - (waits[n] ?? 0)));
      expect(Math.max(...far)).toBeLessThan(4000);
    }),
    { numRuns: 25 },
  );
});

it("requests whose permits cannot be taken fail together, and later ones ask anew", async () => {
  let answers = 0;
  const permits = openPermits({
    query: async (statement, values) => {
      answers += 1;
      if (answers === 1) throw new Error("Postgres is away");
      return await db.database.query(statement, values);
    },
  });
  const ask = () => permits.ask([{ key: "free", stepMs: 0, burstMs: 0 }], 0);
  const failed = await Promise.allSettled([ask(), ask()]);
  expect(failed.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
  expect(await Promise.all([ask(), ask()])).toEqual([0, 0]);
});
