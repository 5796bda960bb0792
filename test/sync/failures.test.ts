/** Each class of Plaid's errors: what it does to the item, and what it leaves alone. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { systemClock } from "../../src/clock.ts";
import { updateIntegration } from "../../src/lifecycle/integrations.ts";
import { createPlaidClient } from "../../src/plaid/client.ts";
import { requestSync } from "../../src/sync/queries.ts";
import type { SyncOptions } from "../../src/sync/sync.ts";
import { expectMirrorEqualsTruth } from "../support/oracle.ts";
import { startWorld, type Item, type World } from "../support/world/index.ts";
import { until } from "../support/until.ts";
import { gated } from "./support.ts";

let world: World<"sync">;
beforeAll(async () => {
  world = await startWorld({ simulator: { extraction: { initialMs: 60_000, historicalMs: 180_000 } }, sync: {} });
});
afterAll(() => world[Symbol.asyncDispose]());

const itemRow = async ({ item_id }: Item): Promise<Record<string, unknown> | undefined> =>
  (await world.database.query("select * from plaid.items where item_id = $1", [item_id])).rows[0];
const run = async (options: Partial<SyncOptions> = {}, retries = true): Promise<void> => {
  const worker = await world.sync.start(options);
  await worker.idle({ retries });
  await worker[Symbol.asyncDispose]();
};
const dueIn = async ({ item_id }: Item): Promise<number> =>
  ((await world.sync.subject(item_id)).due_at?.getTime() ?? Number.NaN) - Date.now();
const HOUR = 3_600_000;

describe("an item whose user must act", () => {
  it("an item whose user must act keeps its rows, shows its error, is checked daily, and is read again once it is repaired", async () => {
    const item = await world.sync.synced(30);
    const { control } = world.simulator;
    control.breakItem(item.item_id, { webhooks: false });
    control.changeTransactions(item.item_id, { add: 5, webhooks: false });
    const uuid = await world.sync.notify(item.item_id);
    await run();
    expect(await world.sync.info(uuid)).toMatchObject({
      outcome: "needs_user",
      error: { error_code: "ITEM_LOGIN_REQUIRED" },
    });
    expect(await world.sync.subject(item.item_id)).toMatchObject({
      status: "needs_user",
      not_before: null,
      last_error: { class: "user", error_type: "ITEM_ERROR", error_code: "ITEM_LOGIN_REQUIRED" },
    });
    expect(await dueIn(item)).toBeGreaterThan(11 * HOUR);
    expect(await dueIn(item)).toBeLessThan(25 * HOUR);
    expect(await itemRow(item)).toMatchObject({ error_code: "ITEM_LOGIN_REQUIRED", removed_at: null });
    const { rows } = await world.database.query("select from plaid.current_transactions where item_id = $1", [
      item.item_id,
    ]);
    expect(rows).toHaveLength(30);

    control.repairItem(item.item_id, { webhooks: false });
    await world.sync.notify(item.item_id, "LOGIN_REPAIRED", "ITEM");
    await run();
    await expectMirrorEqualsTruth(world.database, world.simulator, item.item_id);
    expect(await world.sync.subject(item.item_id)).toMatchObject({ status: "ok", last_error: null, due_at: null });
    expect(await itemRow(item)).toMatchObject({ error_code: null, error: null });
  });

  it("an item whose user must act is recognised by /item/get when only ITEM/ERROR comes", async () => {
    const item = await world.sync.synced(5);
    world.simulator.control.breakItem(item.item_id, { error_code: "ITEM_LOCKED", webhooks: false });
    await world.sync.notify(item.item_id, "ERROR", "ITEM");
    await run();
    expect(await world.sync.subject(item.item_id)).toMatchObject({
      status: "needs_user",
      last_error: { error_code: "ITEM_LOCKED" },
    });
    expect(await itemRow(item)).toMatchObject({ error_code: "ITEM_LOCKED" });
  });

  it("the daily check notices that an item was repaired without a webhook", async () => {
    const item = await world.sync.synced(5);
    world.simulator.control.breakItem(item.item_id, { webhooks: false });
    await world.sync.notify(item.item_id, "ERROR", "ITEM");
    await run();
    world.simulator.control.changeTransactions(item.item_id, { add: 3, webhooks: false });
    world.simulator.control.repairItem(item.item_id, { webhooks: false });
    await world.sync.hurry();
    await run();
    expect(await world.sync.subject(item.item_id)).toMatchObject({ status: "ok" });
    await expectMirrorEqualsTruth(world.database, world.simulator, item.item_id);
  });
});

describe("a passing failure", () => {
  it("a passing failure is tried again by itself, and its webhooks wait", async () => {
    const item = await world.sync.synced(10);
    const { control } = world.simulator;
    const fault = control.addFault({ kind: "institution_down", item_id: item.item_id });
    control.changeTransactions(item.item_id, { add: 3, webhooks: false });
    const uuid = await world.sync.notify(item.item_id);
    const worker = await world.sync.start();
    await until("the second attempt", async () => (await world.sync.subject(item.item_id)).attempts >= 2);
    expect(await world.sync.info(uuid)).toBeNull();
    const subject = await world.sync.subject(item.item_id);
    expect(subject).toMatchObject({ status: "retrying", last_error: { error_code: "INSTITUTION_DOWN" } });
    control.clearFaults(fault.fault_id);
    await worker.idle({ retries: true });
    await worker[Symbol.asyncDispose]();
    expect(await world.sync.info(uuid)).toMatchObject({ outcome: "synced" });
    await expectMirrorEqualsTruth(world.database, world.simulator, item.item_id);
  });

  it("webhooks do not hasten the retry after a passing failure", async () => {
    const item = await world.sync.synced(1);
    world.simulator.control.addFault({ kind: "server_error", item_id: item.item_id });
    await world.sync.notify(item.item_id);
    const worker = await world.sync.start({ delays: { retryMs: 600_000, retryMaxMs: 600_000 } });
    await worker.idle();
    const asked = world.simulator.asked("/transactions/sync");
    for (let n = 0; n < 20; n += 1) await world.sync.notify(item.item_id);
    await worker.idle();
    expect(world.simulator.asked("/transactions/sync")).toBe(asked);
    expect(await dueIn(item)).toBeGreaterThan(100_000);
    await worker[Symbol.asyncDispose]();
    world.simulator.control.clearFaults();
    await world.sync.hurry();
    await run();
  });

  it("a passing failure of one resource delays neither the others nor webhooks that do not touch it", async () => {
    const item = await world.sync.synced(10);
    const { control } = world.simulator;
    const fault = control.addFault({ kind: "server_error", endpoint: "/transactions/sync", item_id: item.item_id });
    control.addAccount(item.item_id, { webhooks: false });
    const aboutItem = await world.sync.notify(item.item_id, "PENDING_DISCONNECT", "ITEM");
    const aboutBoth = await world.sync.notify(item.item_id, "NEW_ACCOUNTS_AVAILABLE", "ITEM");
    const worker = await world.sync.start();
    await until("an attempt", async () => (await world.sync.subject(item.item_id)).attempts > 0);
    expect(await world.sync.info(aboutItem)).toMatchObject({ outcome: "synced", counts: { accounts: { added: 1 } } });
    expect(await world.sync.info(aboutBoth)).toBeNull();
    control.clearFaults(fault.fault_id);
    await worker.idle({ retries: true });
    await worker[Symbol.asyncDispose]();
    expect(await world.sync.info(aboutBoth)).toMatchObject({ outcome: "synced" });
    expect(await world.sync.subject(item.item_id)).toMatchObject({ status: "ok", claimed: [] });
  });

  it("a passing failure of one item does not delay another", async () => {
    const [sick, well] = [await world.sync.synced(1), await world.sync.synced(1)];
    world.simulator.control.addFault({ kind: "server_error", item_id: sick.item_id });
    await world.sync.notify(sick.item_id);
    const uuid = await world.sync.notify(well.item_id);
    await run({}, false);
    expect(await world.sync.info(uuid)).toMatchObject({ outcome: "synced" });
    world.simulator.control.clearFaults();
    await run();
  });
});

describe("our own mistakes", () => {
  it("wrong credentials are not the item's error: its sync waits long and is tried again as soon as they are fixed", async () => {
    const item = await world.sync.synced(4);
    const uuid = await world.sync.notify(item.item_id);
    const asked = world.simulator.asked("/transactions/sync");
    await updateIntegration(world.database, world.vault, world.integration.id, { secret: "not-the-secret" });
    await until("a refusal of the secret", async () => {
      await run({}, false);
      await world.sync.hurry();
      return (await world.sync.subject(item.item_id)).status !== "ok";
    });
    expect(await world.sync.subject(item.item_id)).toMatchObject({
      status: "misconfigured",
      last_error: { class: "configuration", error_code: "INVALID_API_KEYS" },
    });
    expect(await itemRow(item)).toMatchObject({ error_code: null, removed_at: null });
    expect(world.simulator.asked("/transactions/sync") - asked).toBeLessThanOrEqual(2);
    await updateIntegration(world.database, world.vault, world.integration.id, { secret: world.simulator.secret });
    await until("a sync with the right secret", async () => {
      await run({}, false);
      await world.sync.hurry();
      return (await world.sync.subject(item.item_id)).status === "ok";
    });
    expect(await world.sync.info(uuid)).not.toBeNull();
    await expectMirrorEqualsTruth(world.database, world.simulator, item.item_id);
  });

  it("a sync is tried again soon after the credentials are fixed, even if a run with the wrong ones was under way", async () => {
    const item = await world.sync.synced(2);
    await updateIntegration(world.database, world.vault, world.integration.id, { secret: "not-the-secret" });
    let [asked, fixed] = [false, false];
    const worker = await world.sync.start({
      delays: { configurationMs: 600_000, configurationHoldMs: 20 },
      clientFor: gated(async (_path, _body, pass) => {
        asked = true;
        await until("the repair", () => fixed);
        await pass();
      }),
    });
    await world.sync.notify(item.item_id);
    await until("a request", () => asked);
    await updateIntegration(world.database, world.vault, world.integration.id, { secret: world.simulator.secret });
    fixed = true;
    await until("a run with the right keys", async () => (await world.sync.subject(item.item_id)).due_at === null);
    await worker[Symbol.asyncDispose]();
    expect(await world.sync.subject(item.item_id)).toMatchObject({ status: "ok", last_error: null });
  });

  it("a run that throws is logged, waits longer each time, and delays no other item", async () => {
    const [poison, fine] = [await world.sync.synced(1), await world.sync.synced(1)];
    await world.sync.notify(poison.item_id);
    const uuid = await world.sync.notify(fine.item_id);
    const worker = await world.sync.start({
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
    await until("the third attempt", async () => (await world.sync.subject(poison.item_id)).attempts >= 3);
    expect(await world.sync.info(uuid)).toMatchObject({ outcome: "synced" });
    expect(await world.sync.subject(poison.item_id)).toMatchObject({
      status: "retrying",
      last_error: { class: "internal", error_code: "RangeError", message: "poison" },
    });
    await worker[Symbol.asyncDispose]();
    await run();
    expect(await world.sync.subject(poison.item_id)).toMatchObject({ status: "ok", last_error: null });
  });
});

describe("a product that the item does not have", () => {
  it("a product that the item does not have is not requested unless somebody names it, since a request could add and bill it", async () => {
    const [item] = world.integration.makeItems(1, 5, { products: ["auth"] });
    if (!item) throw new Error("no item");
    const asked = world.simulator.asked("/transactions/sync");
    await world.integration.link(item);
    await run();
    expect(world.simulator.asked("/transactions/sync")).toBe(asked);
    expect(await world.sync.subject(item.item_id)).toMatchObject({ status: "ok" });
    await world.sync.notify(item.item_id);
    await run();
    expect(world.simulator.asked("/transactions/sync")).toBe(asked + 1);
  });
});

describe("a product that the item does not have, when /item/get fails", () => {
  const authOnly = (): Item => {
    const [item] = world.integration.makeItems(1, 5, { products: ["auth"] });
    if (!item) throw new Error("no item");
    return item;
  };
  const expectUnasked = async (item: Item, asked: number): Promise<void> => {
    expect(await world.sync.subject(item.item_id)).toMatchObject({ status: "ok", claimed: [] });
    expect((await itemRow(item))?.["error_code"]).toBeNull();
    expect(world.simulator.asked("/transactions/sync")).toBe(asked);
  };

  it("the run after a failed /item/get does not request a product that the item does not have", async () => {
    const item = authOnly();
    const asked = world.simulator.asked("/transactions/sync");
    world.simulator.control.addFault({ kind: "server_error", endpoint: "/item/get", count: 1 });
    await world.integration.link(item);
    await run();
    await expectUnasked(item, asked);
  });

  it("the run after fixed credentials does not request a product that the item does not have", async () => {
    const item = authOnly();
    const asked = world.simulator.asked("/transactions/sync");
    await world.integration.link(item);
    await run();
    await updateIntegration(world.database, world.vault, world.integration.id, { secret: "not-the-secret" });
    await world.sync.notify(item.item_id, "LOGIN_REPAIRED", "ITEM");
    await run({}, false);
    expect(await world.sync.subject(item.item_id)).toMatchObject({ status: "misconfigured" });
    await updateIntegration(world.database, world.vault, world.integration.id, { secret: world.simulator.secret });
    await run();
    await expectUnasked(item, asked);
  });

  it("the run after a failed /item/get requests a product that somebody named", async () => {
    const item = authOnly();
    const asked = world.simulator.asked("/transactions/sync");
    world.simulator.control.addFault({ kind: "server_error", endpoint: "/item/get", count: 1 });
    await world.integration.link(item);
    await requestSync(world.database, item.item_id, { resources: ["transactions"] });
    await run();
    expect(world.simulator.asked("/transactions/sync")).toBe(asked + 1);
  });
});

describe("a webhook that touches nothing mirrored", () => {
  it("a webhook that touches nothing mirrored is processed without a request", async () => {
    const item = await world.sync.synced(1);
    const asked = ["/item/get", "/accounts/get", "/transactions/sync"].map((endpoint) =>
      world.simulator.asked(endpoint),
    );
    const uuid = await world.sync.notify(item.item_id, "REPORT_CREATED", "BEACON");
    await run();
    expect(await world.sync.info(uuid)).toEqual({ outcome: "no_resource" });
    expect(
      ["/item/get", "/accounts/get", "/transactions/sync"].map((endpoint) => world.simulator.asked(endpoint)),
    ).toEqual(asked);
    expect(await world.sync.subject(item.item_id)).toMatchObject({ status: "ok", due_at: null, oldest_unserved: null });
  });
});
