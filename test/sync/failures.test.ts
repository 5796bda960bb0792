/** Each class of Plaid's errors: what it does to the item, and what it leaves alone. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { systemClock } from "../../src/clock.ts";
import { updateIntegration } from "../../src/lifecycle/integrations.ts";
import { createPlaidClient } from "../../src/plaid/client.ts";
import { requestSync } from "../../src/sync/queries.ts";
import type { SyncOptions } from "../../src/sync/sync.ts";
import { expectMirrorEqualsTruth } from "../support/oracle.ts";
import { gated, openScene, until, type Item, type Scene } from "./support.ts";

let scene: Scene;
beforeAll(async () => {
  scene = await openScene({ extraction: { initialMs: 60_000, historicalMs: 180_000 } });
});
afterAll(() => scene[Symbol.asyncDispose]());

const itemRow = async ({ item_id }: Item): Promise<Record<string, unknown> | undefined> =>
  (await scene.database.query("select * from plaid.items where item_id = $1", [item_id])).rows[0];
const run = async (options: Partial<SyncOptions> = {}, retries = true): Promise<void> => {
  const worker = await scene.work(options);
  await worker.idle({ retries });
  await worker[Symbol.asyncDispose]();
};
const dueIn = async ({ item_id }: Item): Promise<number> =>
  ((await scene.subject(item_id)).due_at?.getTime() ?? Number.NaN) - Date.now();
const HOUR = 3_600_000;

describe("an item whose user must act", () => {
  it("an item whose user must act keeps its rows, shows its error, is checked daily, and is read again once it is repaired", async () => {
    const item = await scene.synced(30);
    const { control } = scene.simulator;
    control.breakItem(item.item_id, { webhooks: false });
    control.changeTransactions(item.item_id, { add: 5, webhooks: false });
    const uuid = await scene.notify(item.item_id);
    await run();
    expect(await scene.info(uuid)).toMatchObject({
      outcome: "needs_user",
      error: { error_code: "ITEM_LOGIN_REQUIRED" },
    });
    expect(await scene.subject(item.item_id)).toMatchObject({
      status: "needs_user",
      not_before: null,
      last_error: { class: "user", error_type: "ITEM_ERROR", error_code: "ITEM_LOGIN_REQUIRED" },
    });
    expect(await dueIn(item)).toBeGreaterThan(11 * HOUR);
    expect(await dueIn(item)).toBeLessThan(25 * HOUR);
    expect(await itemRow(item)).toMatchObject({ error_code: "ITEM_LOGIN_REQUIRED", removed_at: null });
    const { rows } = await scene.database.query("select from plaid.current_transactions where item_id = $1", [
      item.item_id,
    ]);
    expect(rows).toHaveLength(30);

    control.repairItem(item.item_id, { webhooks: false });
    await scene.notify(item.item_id, "LOGIN_REPAIRED", "ITEM");
    await run();
    await expectMirrorEqualsTruth(scene.database, scene.simulator, item.item_id);
    expect(await scene.subject(item.item_id)).toMatchObject({ status: "ok", last_error: null, due_at: null });
    expect(await itemRow(item)).toMatchObject({ error_code: null, error: null });
  });

  it("an item whose user must act is recognised by /item/get when only ITEM/ERROR comes", async () => {
    const item = await scene.synced(5);
    scene.simulator.control.breakItem(item.item_id, { error_code: "ITEM_LOCKED", webhooks: false });
    await scene.notify(item.item_id, "ERROR", "ITEM");
    await run();
    expect(await scene.subject(item.item_id)).toMatchObject({
      status: "needs_user",
      last_error: { error_code: "ITEM_LOCKED" },
    });
    expect(await itemRow(item)).toMatchObject({ error_code: "ITEM_LOCKED" });
  });

  it("the daily check notices that an item was repaired without a webhook", async () => {
    const item = await scene.synced(5);
    scene.simulator.control.breakItem(item.item_id, { webhooks: false });
    await scene.notify(item.item_id, "ERROR", "ITEM");
    await run();
    scene.simulator.control.changeTransactions(item.item_id, { add: 3, webhooks: false });
    scene.simulator.control.repairItem(item.item_id, { webhooks: false });
    await scene.hurry();
    await run();
    expect(await scene.subject(item.item_id)).toMatchObject({ status: "ok" });
    await expectMirrorEqualsTruth(scene.database, scene.simulator, item.item_id);
  });
});

describe("a passing failure", () => {
  it("a passing failure is tried again by itself, and its webhooks wait", async () => {
    const item = await scene.synced(10);
    const { control } = scene.simulator;
    const fault = control.addFault({ kind: "institution_down", item_id: item.item_id });
    control.changeTransactions(item.item_id, { add: 3, webhooks: false });
    const uuid = await scene.notify(item.item_id);
    const worker = await scene.work();
    await until(async () => (await scene.subject(item.item_id)).attempts >= 2);
    expect(await scene.info(uuid)).toBeNull();
    const subject = await scene.subject(item.item_id);
    expect(subject).toMatchObject({ status: "retrying", last_error: { error_code: "INSTITUTION_DOWN" } });
    control.clearFaults(fault.fault_id);
    await worker.idle({ retries: true });
    await worker[Symbol.asyncDispose]();
    expect(await scene.info(uuid)).toMatchObject({ outcome: "synced" });
    await expectMirrorEqualsTruth(scene.database, scene.simulator, item.item_id);
  });

  it("webhooks do not hasten the retry after a passing failure", async () => {
    const item = await scene.synced(1);
    scene.simulator.control.addFault({ kind: "server_error", item_id: item.item_id });
    await scene.notify(item.item_id);
    const worker = await scene.work({ delays: { retryMs: 600_000, retryMaxMs: 600_000 } });
    await worker.idle();
    const asked = scene.asked("/transactions/sync");
    for (let n = 0; n < 20; n += 1) await scene.notify(item.item_id);
    await worker.idle();
    expect(scene.asked("/transactions/sync")).toBe(asked);
    expect(await dueIn(item)).toBeGreaterThan(100_000);
    await worker[Symbol.asyncDispose]();
    scene.simulator.control.clearFaults();
    await scene.hurry();
    await run();
  });

  it("a passing failure of one resource delays neither the others nor webhooks that do not touch it", async () => {
    const item = await scene.synced(10);
    const { control } = scene.simulator;
    const fault = control.addFault({ kind: "server_error", endpoint: "/transactions/sync", item_id: item.item_id });
    control.addAccount(item.item_id, { webhooks: false });
    const aboutItem = await scene.notify(item.item_id, "PENDING_DISCONNECT", "ITEM");
    const aboutBoth = await scene.notify(item.item_id, "NEW_ACCOUNTS_AVAILABLE", "ITEM");
    const worker = await scene.work();
    await until(async () => (await scene.subject(item.item_id)).attempts > 0);
    expect(await scene.info(aboutItem)).toMatchObject({ outcome: "synced", counts: { accounts: { added: 1 } } });
    expect(await scene.info(aboutBoth)).toBeNull();
    control.clearFaults(fault.fault_id);
    await worker.idle({ retries: true });
    await worker[Symbol.asyncDispose]();
    expect(await scene.info(aboutBoth)).toMatchObject({ outcome: "synced" });
    expect(await scene.subject(item.item_id)).toMatchObject({ status: "ok", claimed: [] });
  });

  it("a passing failure of one item does not delay another", async () => {
    const [sick, well] = [await scene.synced(1), await scene.synced(1)];
    scene.simulator.control.addFault({ kind: "server_error", item_id: sick.item_id });
    await scene.notify(sick.item_id);
    const uuid = await scene.notify(well.item_id);
    await run({}, false);
    expect(await scene.info(uuid)).toMatchObject({ outcome: "synced" });
    scene.simulator.control.clearFaults();
    await run();
  });
});

describe("our own mistakes", () => {
  it("wrong credentials are not the item's error: its sync waits long and is tried again as soon as they are fixed", async () => {
    const item = await scene.synced(4);
    const uuid = await scene.notify(item.item_id);
    const asked = scene.asked("/transactions/sync");
    await updateIntegration(scene.database, scene.vault, scene.integrationId, { secret: "not-the-secret" });
    await until(async () => {
      await run({}, false);
      await scene.hurry();
      return (await scene.subject(item.item_id)).status !== "ok";
    });
    expect(await scene.subject(item.item_id)).toMatchObject({
      status: "misconfigured",
      last_error: { class: "configuration", error_code: "INVALID_API_KEYS" },
    });
    expect(await itemRow(item)).toMatchObject({ error_code: null, removed_at: null });
    expect(scene.asked("/transactions/sync") - asked).toBeLessThanOrEqual(2);
    await updateIntegration(scene.database, scene.vault, scene.integrationId, { secret: scene.simulator.secret });
    await until(async () => {
      await run({}, false);
      await scene.hurry();
      return (await scene.subject(item.item_id)).status === "ok";
    });
    expect(await scene.info(uuid)).not.toBeNull();
    await expectMirrorEqualsTruth(scene.database, scene.simulator, item.item_id);
  });

  it("a sync is tried again soon after the credentials are fixed, even if a run with the wrong ones was under way", async () => {
    const item = await scene.synced(2);
    await updateIntegration(scene.database, scene.vault, scene.integrationId, { secret: "not-the-secret" });
    let [asked, fixed] = [false, false];
    const worker = await scene.work({
      delays: { configurationMs: 600_000, configurationHoldMs: 20 },
      clientFor: gated(async (_path, _body, pass) => {
        asked = true;
        await until(() => fixed);
        await pass();
      }),
    });
    await scene.notify(item.item_id);
    await until(() => asked);
    await updateIntegration(scene.database, scene.vault, scene.integrationId, { secret: scene.simulator.secret });
    fixed = true;
    await until(async () => (await scene.subject(item.item_id)).due_at === null, "a run with the right keys");
    await worker[Symbol.asyncDispose]();
    expect(await scene.subject(item.item_id)).toMatchObject({ status: "ok", last_error: null });
  });

  it("a run that throws is logged, waits longer each time, and delays no other item", async () => {
    const [poison, fine] = [await scene.synced(1), await scene.synced(1)];
    await scene.notify(poison.item_id);
    const uuid = await scene.notify(fine.item_id);
    const worker = await scene.work({
      clientFor: ({ plaidUrl, clientId, secret }) => {
        const client = createPlaidClient({ baseUrl: plaidUrl, clientId, secret, timeoutMs: 5000, clock: systemClock });
        return {
          ...client,
          post: (path, body, signal) => {
            if ((body as { access_token?: string }).access_token === poison.access_token)
              throw new RangeError("poison");
            return client.post(path, body, signal);
          },
        };
      },
    });
    await until(async () => (await scene.subject(poison.item_id)).attempts >= 3);
    expect(await scene.info(uuid)).toMatchObject({ outcome: "synced" });
    expect(await scene.subject(poison.item_id)).toMatchObject({
      status: "retrying",
      last_error: { class: "internal", error_code: "RangeError", message: "poison" },
    });
    await worker[Symbol.asyncDispose]();
    await run();
    expect(await scene.subject(poison.item_id)).toMatchObject({ status: "ok", last_error: null });
  });
});

describe("a product that the item does not have", () => {
  it("a product that the item does not have is not requested unless somebody names it, since a request could add and bill it", async () => {
    const [item] = scene.makeItems(1, 5, { products: ["auth"] });
    if (!item) throw new Error("no item");
    const asked = scene.asked("/transactions/sync");
    await scene.link(item);
    await run();
    expect(scene.asked("/transactions/sync")).toBe(asked);
    expect(await scene.subject(item.item_id)).toMatchObject({ status: "ok" });
    await scene.notify(item.item_id);
    await run();
    expect(scene.asked("/transactions/sync")).toBe(asked + 1);
  });
});

describe("a product that the item does not have, when /item/get fails", () => {
  const authOnly = (): Item => {
    const [item] = scene.makeItems(1, 5, { products: ["auth"] });
    if (!item) throw new Error("no item");
    return item;
  };
  const expectUnasked = async (item: Item, asked: number): Promise<void> => {
    expect(await scene.subject(item.item_id)).toMatchObject({ status: "ok", claimed: [] });
    expect((await itemRow(item))?.["error_code"]).toBeNull();
    expect(scene.asked("/transactions/sync")).toBe(asked);
  };

  it("the run after a failed /item/get does not request a product that the item does not have", async () => {
    const item = authOnly();
    const asked = scene.asked("/transactions/sync");
    scene.simulator.control.addFault({ kind: "server_error", endpoint: "/item/get", count: 1 });
    await scene.link(item);
    await run();
    await expectUnasked(item, asked);
  });

  it("the run after fixed credentials does not request a product that the item does not have", async () => {
    const item = authOnly();
    const asked = scene.asked("/transactions/sync");
    await scene.link(item);
    await run();
    await updateIntegration(scene.database, scene.vault, scene.integrationId, { secret: "not-the-secret" });
    await scene.notify(item.item_id, "LOGIN_REPAIRED", "ITEM");
    await run({}, false);
    expect(await scene.subject(item.item_id)).toMatchObject({ status: "misconfigured" });
    await updateIntegration(scene.database, scene.vault, scene.integrationId, { secret: scene.simulator.secret });
    await run();
    await expectUnasked(item, asked);
  });

  it("the run after a failed /item/get requests a product that somebody named", async () => {
    const item = authOnly();
    const asked = scene.asked("/transactions/sync");
    scene.simulator.control.addFault({ kind: "server_error", endpoint: "/item/get", count: 1 });
    await scene.link(item);
    await requestSync(scene.database, item.item_id, { resources: ["transactions"] });
    await run();
    expect(scene.asked("/transactions/sync")).toBe(asked + 1);
  });
});

describe("a webhook that touches nothing mirrored", () => {
  it("a webhook that touches nothing mirrored is processed without a request", async () => {
    const item = await scene.synced(1);
    const asked = ["/item/get", "/accounts/get", "/transactions/sync"].map((endpoint) => scene.asked(endpoint));
    const uuid = await scene.notify(item.item_id, "DEFAULT_UPDATE", "INVESTMENTS_TRANSACTIONS");
    await run();
    expect(await scene.info(uuid)).toEqual({ outcome: "no_resource" });
    expect(["/item/get", "/accounts/get", "/transactions/sync"].map((endpoint) => scene.asked(endpoint))).toEqual(
      asked,
    );
    expect(await scene.subject(item.item_id)).toMatchObject({ status: "ok", due_at: null, oldest_unserved: null });
  });
});
