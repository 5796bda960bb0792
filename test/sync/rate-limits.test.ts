/** What a run does when Plaid limits it, or Tartan's own pace does. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { PlaidError } from "../../src/plaid/errors.ts";
import { expectMirrorEqualsTruth } from "../support/oracle.ts";
import { gated, openScene, until, type Scene } from "./support.ts";

let scene: Scene;
beforeAll(async () => {
  scene = await openScene();
});
afterAll(() => scene[Symbol.asyncDispose]());

const run = async (): Promise<void> => {
  const worker = await scene.work();
  await worker.idle({ retries: true });
  await worker[Symbol.asyncDispose]();
};

describe("429", () => {
  it("a 429 slows the item in every process, and the data comes afterwards", async () => {
    const items = [await scene.synced(3), await scene.synced(3), await scene.synced(3)];
    scene.simulator.control.addFault({ kind: "rate_limit", endpoint: "/transactions/sync", count: 1 });
    for (const { item_id } of items) {
      scene.simulator.control.changeTransactions(item_id, { add: 1, webhooks: false });
      await scene.notify(item_id);
    }
    const workers = [await scene.work({ concurrency: 1 }), await scene.work({ concurrency: 1 })];
    for (const worker of workers) await worker.idle({ retries: true });
    for (const worker of workers) await worker[Symbol.asyncDispose]();
    const { rows } = await scene.database.query<{ key: string }>(
      "select key from sync.rate_limits where slowed_until is not null",
    );
    expect(rows).toHaveLength(1);
    expect(items.map(({ item_id }) => `/transactions/sync ${scene.integrationId} ${item_id}`)).toContain(rows[0]?.key);
    for (const { item_id } of items) await expectMirrorEqualsTruth(scene.database, scene.simulator, item_id);
  });
});

describe("429 without an end", () => {
  it("endless 429s for one item slow no other item of the client", async () => {
    const [sick, well] = [await scene.synced(3), await scene.synced(3)];
    const { control } = scene.simulator;
    const fault = control.addFault({ kind: "rate_limit", endpoint: "/transactions/sync", item_id: sick.item_id });
    await scene.database.query("delete from sync.rate_limits");
    const worker = await scene.work();
    await scene.notify(sick.item_id);
    await until(async () => (await scene.subject(sick.item_id)).attempts >= 2);
    for (let n = 0; n < 4; n += 1) {
      control.changeTransactions(well.item_id, { add: 1, webhooks: false });
      const uuid = await scene.notify(well.item_id);
      await until(async () => (await scene.info(uuid)) !== null, "the other item's sync");
    }
    const { rows } = await scene.database.query(
      "select key from sync.rate_limits where slowed_until > now() - interval '1 minute'",
    );
    expect(rows).toEqual([{ key: `/transactions/sync ${scene.integrationId} ${sick.item_id}` }]);
    await worker[Symbol.asyncDispose]();
    await expectMirrorEqualsTruth(scene.database, scene.simulator, well.item_id);
    expect(await scene.subject(sick.item_id)).toMatchObject({ last_error: { error_code: "TRANSACTIONS_SYNC_LIMIT" } });
    control.clearFaults(fault.fault_id);
    await scene.database.query("delete from sync.rate_limits");
    await scene.hurry();
    await run();
  });

  it("endless 429s of an institution slow that institution and nothing else", async () => {
    const item = await scene.synced(1);
    const { rows } = await scene.database.query<{ id: string }>(
      "select institution_id as id from plaid.items where item_id = $1",
      [item.item_id],
    );
    await scene.database.query("delete from sync.rate_limits");
    await scene.notify(item.item_id);
    const worker = await scene.work({
      clientFor: gated(async () => {
        const refusal = { errorType: "RATE_LIMIT_EXCEEDED", errorCode: "INSTITUTION_RATE_LIMIT", httpStatus: 429 };
        throw new PlaidError(refusal);
      }),
    });
    await until(async () => (await scene.subject(item.item_id)).attempts > 0);
    await worker[Symbol.asyncDispose]();
    const slowed = await scene.database.query<{ key: string }>(
      "select key from sync.rate_limits where slowed_until is not null",
    );
    expect(new Set(slowed.rows.map(({ key }) => key.split(" ").slice(1).join(" ")))).toEqual(
      new Set([`${scene.integrationId} institution ${rows[0]?.id}`]),
    );
    await scene.database.query("delete from sync.rate_limits");
    await scene.hurry();
    await run();
  });
});
