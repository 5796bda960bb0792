/** What a run does when Plaid limits it, or Tartan's own pace does. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { PlaidError } from "../../src/plaid/errors.ts";
import { expectMirrorEqualsTruth } from "../support/oracle.ts";
import { startWorld, type World } from "../support/world/index.ts";
import { until } from "../support/until.ts";
import { gated } from "./support.ts";

let world: World<"sync">;
beforeAll(async () => {
  world = await startWorld({ sync: {} });
});
afterAll(() => world[Symbol.asyncDispose]());

const run = async (): Promise<void> => {
  const worker = await world.sync.start();
  await worker.idle({ retries: true });
  await worker[Symbol.asyncDispose]();
};

describe("429", () => {
  it("a 429 slows the item in every process, and the data comes afterwards", async () => {
    const items = [await world.sync.synced(3), await world.sync.synced(3), await world.sync.synced(3)];
    world.simulator.control.addFault({ kind: "rate_limit", endpoint: "/transactions/sync", count: 1 });
    for (const { item_id } of items) {
      world.simulator.control.changeTransactions(item_id, { add: 1, webhooks: false });
      await world.sync.notify(item_id);
    }
    const workers = [await world.sync.start({ concurrency: 1 }), await world.sync.start({ concurrency: 1 })];
    for (const worker of workers) await worker.idle({ retries: true });
    for (const worker of workers) await worker[Symbol.asyncDispose]();
    const { rows } = await world.database.query<{ key: string }>(
      "select key from sync.rate_limits where slowed_until is not null",
    );
    expect(rows).toHaveLength(1);
    expect(items.map(({ item_id }) => `/transactions/sync ${world.integration.id} ${item_id}`)).toContain(rows[0]?.key);
    for (const { item_id } of items) await expectMirrorEqualsTruth(world.database, world.simulator, item_id);
  });
});

describe("429 without an end", () => {
  it("endless 429s for one item slow no other item of the client", async () => {
    const [sick, well] = [await world.sync.synced(3), await world.sync.synced(3)];
    const { control } = world.simulator;
    const fault = control.addFault({ kind: "rate_limit", endpoint: "/transactions/sync", item_id: sick.item_id });
    await world.database.query("delete from sync.rate_limits");
    const worker = await world.sync.start();
    await world.sync.notify(sick.item_id);
    await until(
      "the second attempt of the sick item",
      async () => (await world.sync.subject(sick.item_id)).attempts >= 2,
    );
    for (let n = 0; n < 4; n += 1) {
      control.changeTransactions(well.item_id, { add: 1, webhooks: false });
      const uuid = await world.sync.notify(well.item_id);
      await until("the other item's sync", async () => (await world.sync.info(uuid)) !== null);
    }
    const { rows } = await world.database.query(
      "select key from sync.rate_limits where slowed_until > now() - interval '1 minute'",
    );
    expect(rows).toEqual([{ key: `/transactions/sync ${world.integration.id} ${sick.item_id}` }]);
    await worker[Symbol.asyncDispose]();
    await expectMirrorEqualsTruth(world.database, world.simulator, well.item_id);
    expect(await world.sync.subject(sick.item_id)).toMatchObject({
      last_error: { error_code: "TRANSACTIONS_SYNC_LIMIT" },
    });
    control.clearFaults(fault.fault_id);
    await world.database.query("delete from sync.rate_limits");
    await world.sync.hurry();
    await run();
  });

  it("endless 429s of an institution slow that institution and nothing else", async () => {
    const item = await world.sync.synced(1);
    const { rows } = await world.database.query<{ id: string }>(
      "select institution_id as id from plaid.items where item_id = $1",
      [item.item_id],
    );
    await world.database.query("delete from sync.rate_limits");
    await world.sync.notify(item.item_id);
    const worker = await world.sync.start({
      clientFor: gated(async () => {
        const refusal = { errorType: "RATE_LIMIT_EXCEEDED", errorCode: "INSTITUTION_RATE_LIMIT", httpStatus: 429 };
        throw new PlaidError(refusal);
      }),
    });
    await until("an attempt", async () => (await world.sync.subject(item.item_id)).attempts > 0);
    await worker[Symbol.asyncDispose]();
    const slowed = await world.database.query<{ key: string }>(
      "select key from sync.rate_limits where slowed_until is not null",
    );
    expect(new Set(slowed.rows.map(({ key }) => key.split(" ").slice(1).join(" ")))).toEqual(
      new Set([`${world.integration.id} institution ${rows[0]?.id}`]),
    );
    await world.database.query("delete from sync.rate_limits");
    await world.sync.hurry();
    await run();
  });
});
