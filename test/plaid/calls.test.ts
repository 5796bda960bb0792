/** Counts of requests to Plaid: those that the simulator answered, over a stop and a kill. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { systemClock as clock } from "../../src/clock.ts";
import type { Database } from "../../src/database/types.ts";
import { silentLogger as logger } from "../../src/logger.ts";
import { openCallCounts, pruneCalls, purgeCalls, readCalls } from "../../src/plaid/calls.ts";
import { createPlaidClient, type PlaidClient } from "../../src/plaid/client.ts";
import { isBilledEndpoint, RESOURCES, endpointsOf } from "../../src/resources/index.ts";
import { startWorld, type World } from "../support/world/index.ts";

let world: World<"sync">;
beforeAll(async () => {
  world = await startWorld({ sync: {} });
});
afterAll(() => world[Symbol.asyncDispose]());

const BILLED = "/institutions/get";
const open = (database: Database = world.database, isBilled = (endpoint: string) => endpoint === BILLED) =>
  openCallCounts({ database, logger, isBilled });
const client = (): PlaidClient => {
  const { url: baseUrl, clientId, secret } = world.simulator;
  return createPlaidClient({ baseUrl, clientId, secret, timeoutMs: 10_000, clock });
};
const askBilled = (of: PlaidClient) => of.post(BILLED, { count: 1, offset: 0, country_codes: ["US"] });
const refused = (of: PlaidClient) =>
  expect(of.post("/item/get", { access_token: "access-sandbox-none" })).rejects.toThrow();
const counted = async (id: string) => (await readCalls(world.database, id, {})).endpoints;

describe("counts of requests to Plaid", () => {
  it("equal what the simulator answered after a run of several resources, by endpoint and in total", async () => {
    const { id } = world.integration;
    const counts = open();
    const items = world.integration.makeItems(3, 20, { products: ["transactions", "investments", "liabilities"] });
    for (const item of items) await world.integration.link(item);
    const worker = await world.sync.start({ clientFor: (integration) => counts.counted(integration.id, client()) });
    await worker.idle();
    await worker[Symbol.asyncDispose]();
    await counts[Symbol.asyncDispose]();
    const answered = Object.entries(world.simulator.control.requests().requests);
    const { endpoints, days, total, from, to } = await readCalls(world.database, id, {});
    expect(Object.fromEntries(endpoints.map(({ endpoint, calls }) => [endpoint, calls]))).toEqual(
      Object.fromEntries(answered),
    );
    const sum = answered.reduce((all, [, count]) => all + count, 0);
    expect(total).toMatchObject({ calls: sum, billed: 0 });
    expect(days).toMatchObject([{ day: to, calls: sum }]);
    expect(Date.parse(to) - Date.parse(from)).toBe(29 * 86_400_000);
    await purgeCalls(world.database, id);
    expect(await counted(id)).toEqual([]);
  });

  it("a process that is killed loses no request that Plaid bills, and one that stops loses none at all", async () => {
    const killed = open();
    const one = killed.counted("svi_killed", client());
    await askBilled(one);
    await refused(one);
    // It never writes what it has gathered.
    expect(await counted("svi_killed")).toEqual([{ endpoint: BILLED, calls: 1, failures: 0, billed: 1 }]);
    const stopped = open();
    const other = stopped.counted("svi_stopped", client());
    await Promise.all([askBilled(other), askBilled(other), refused(other)]);
    await expect(other.post(BILLED, {})).rejects.toThrow();
    await stopped[Symbol.asyncDispose]();
    expect(await counted("svi_stopped")).toEqual([
      { endpoint: BILLED, calls: 3, failures: 1, billed: 3 },
      { endpoint: "/item/get", calls: 1, failures: 1, billed: 0 },
    ]);
    await killed[Symbol.asyncDispose]();
  });

  it("while Postgres is away a billed request is not sent, and the counts of others are kept until they can be written", async () => {
    let away = true;
    const database: Database = {
      ...world.database,
      query: async (statement, values) => {
        if (away) throw new Error("away");
        return await world.database.query(statement, values);
      },
    };
    const counts = open(database);
    const mine = counts.counted("svi_away", client());
    const before = world.simulator.control.requests().requests[BILLED];
    await expect(askBilled(mine)).rejects.toThrow("away");
    expect(world.simulator.control.requests().requests[BILLED]).toBe(before);
    await refused(mine);
    await counts.flush();
    away = false;
    await counts[Symbol.asyncDispose]();
    expect(await counted("svi_away")).toEqual([{ endpoint: "/item/get", calls: 1, failures: 1, billed: 0 }]);
  });

  it("are read for the days that are asked for, and deleted after 400 days, or a day after their integration was purged", async () => {
    await world.database.query(
      `insert into tartan.plaid_calls (integration_id, day, endpoint, calls, failures, billed)
       select 'svi_days', d, '/item/get', 1, 0, 0 from unnest(array['2026-01-01', '2026-01-02', '2026-01-04']::date[]) d
       union all select 'svi_days', current_date - 401, '/item/get', 5, 0, 0 union all select 'svi_days', current_date - 399, '/item/get', 7, 0, 0
       union all select 'svi_purged', current_date - n, '/item/get', 1, 0, 0 from unnest('{0,2}'::int[]) n`,
    );
    const read = await readCalls(world.database, "svi_days", { from: "2026-01-02", to: "2026-01-04" });
    expect(read).toMatchObject({ total: { calls: 2 }, days: [{ day: "2026-01-02" }, { day: "2026-01-04" }] });
    await expect(readCalls(world.database, "svi_days", { from: "yesterday" })).rejects.toMatchObject({
      code: "invalid_request",
      fields: { from: "must be a day such as 2026-11-20" },
    });
    await pruneCalls(world.database, ["svi_days"]);
    const { rows } = await world.database.query(
      "select calls::int from tartan.plaid_calls where integration_id = 'svi_days' order by day",
    );
    expect(rows.some((row) => row["calls"] === 7)).toBe(true);
    expect(rows.some((row) => row["calls"] === 5)).toBe(false);
    expect(await counted("svi_purged")).toMatchObject([{ calls: 1 }]);
  });
});

it("no endpoint is billed for one resource and free for another", () => {
  for (const { name, billed, fetch } of RESOURCES)
    for (const endpoint of endpointsOf(fetch))
      expect([name, isBilledEndpoint(endpoint)]).toEqual([name, billed !== undefined]);
});
