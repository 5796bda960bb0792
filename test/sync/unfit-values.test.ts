/** Values that do not fit their columns, through whole runs. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { registry } from "../../src/metrics.ts";
import { unfitValues } from "../../src/mirror/unfit-queries.ts";
import { requestSync } from "../../src/sync/queries.ts";
import type { SyncOptions } from "../../src/sync/sync.ts";
import { expectMirrorEqualsTruth } from "../support/oracle.ts";
import { startWorld, type Item, type World } from "../support/world/index.ts";
import { gated } from "./support.ts";

let world: World<"sync">;
beforeAll(async () => {
  world = await startWorld({ sync: {} });
});
afterAll(() => world[Symbol.asyncDispose]());

type Change = (row: Record<string, unknown>, index: number) => Record<string, unknown>;

/** Plaid's pages of transactions, each row changed. */
const changing = (change: Change): SyncOptions["clientFor"] => {
  const real = gated((_path, _body, pass) => pass());
  return (integration) => {
    const client = real(integration);
    return {
      ...client,
      post: async (path, body, signal) => {
        const answer = await client.post(path, body, signal);
        if (path !== "/transactions/sync") return answer;
        const page = JSON.parse(answer.text) as { added: Record<string, unknown>[] };
        return { ...answer, text: JSON.stringify({ ...page, added: page.added.map(change) }) };
      },
    };
  };
};
const run = async (change: Change, more: Partial<SyncOptions> = {}): Promise<void> => {
  const worker = await world.sync.start({ clientFor: changing(change), ...more });
  await worker.idle({ retries: true });
  await worker[Symbol.asyncDispose]();
};
const item = (transactions: number): Item => {
  const [made] = world.integration.makeItems(1, transactions);
  if (!made) throw new Error("no item");
  return made;
};
const counted = async (): Promise<number> => {
  const metric = await registry.getSingleMetric("tartan_mirror_unfit_values_total")?.get();
  return metric?.values.reduce((sum, { value }) => sum + value, 0) ?? 0;
};

describe("an item with a value that does not fit", () => {
  it("an item with an unfit value is synced completely, with the value null, reported once and counted once", async () => {
    const one = item(1100);
    await world.integration.link(one);
    const before = await counted();
    await run((row, index) => (index % 400 === 7 ? { ...row, date: "2026-02-30" } : row));
    expect(await world.sync.subject(one.item_id)).toMatchObject({ status: "ok", attempts: 0, last_error: null });
    expect((await world.sync.subject(one.item_id)).verified_at).toBeInstanceOf(Date);
    const { rows } = await world.database.query(
      `select count(*)::int as rows, count(date)::int as dates, count(raw ->> 'date')::int as raw_dates
       from plaid.current_transactions where item_id = $1`,
      [one.item_id],
    );
    expect(rows).toEqual([{ rows: 1100, dates: 1095, raw_dates: 1100 }]);
    const noted = await unfitValues(world.database, world.integration.id, one.item_id);
    expect(noted).toMatchObject([{ resource: "transactions", field: "date", expected: "date", found: "string" }]);
    await requestSync(world.database, one.item_id, { full: true });
    await run((row, index) => (index === 3 ? { ...row, date: "2026-02-31", name: "new" } : row));
    expect(await counted()).toBe(before + 1);
    await requestSync(world.database, one.item_id, { full: true });
    await run((row) => row);
    await expectMirrorEqualsTruth(world.database, world.simulator, one.item_id);
  });

  it("a row without its key leaves the others as they are, and the resource is not verified", async () => {
    const one = item(20);
    await world.integration.link(one);
    await run(({ transaction_id, ...row }, index) => (index === 4 ? row : { transaction_id, ...row }));
    const { rows } = await world.database.query<{ rows: number; verified_at: Date | null }>(
      "select rows::int, verified_at from plaid.freshness where item_id = $1 and resource = 'transactions'",
      [one.item_id],
    );
    expect(rows).toEqual([{ rows: 19, verified_at: null }]);
    expect(await unfitValues(world.database, world.integration.id, one.item_id)).toMatchObject([
      { field: "transaction_id", expected: "key", found: "missing" },
    ]);
  });
});

it("rows with an unfit value are counted over all pages of a reading, and anew in the next one", async () => {
  const one = item(700);
  await world.integration.link(one);
  for (let reading = 0; reading < 2; reading += 1) {
    await requestSync(world.database, one.item_id, { resources: ["transactions"], full: true });
    await run((row) => ({ ...row, date: `2026-02-3${reading}` }));
    expect(await unfitValues(world.database, world.integration.id, one.item_id)).toMatchObject([
      { resource: "transactions", field: "date", rows: 700 },
    ]);
  }
});
