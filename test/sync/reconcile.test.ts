/** Checks of each item find changes that no webhook announced or whose webhook did not arrive. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { getItem } from "../../src/sync/items.ts";
import { unlinkItem } from "../../src/lifecycle/items.ts";
import { updateIntegration } from "../../src/lifecycle/integrations.ts";
import { frozenClock } from "../../src/simulator/index.ts";
import { expectMirrorEqualsTruth } from "../support/oracle.ts";
import { refusingAfter } from "./loop-support.ts";
import { checkOf, gapsOf, checkAll, checkOnce, makeChecksDue, reconcile, unheardItem } from "./reconcile-support.ts";
import { startWorld, type Item, type World } from "../support/world/index.ts";
import { until } from "../support/until.ts";

let world: World<"sync">;
beforeEach(async () => {
  world = await startWorld({ sync: {} });
});
afterEach(() => world[Symbol.asyncDispose]());

const unheard = (transactions?: number): Promise<Item> => unheardItem(world, transactions);

/** A call of Plaid's API by somebody other than Tartan. */
async function plaid(path: string, { access_token }: Item, more: Record<string, unknown> = {}): Promise<void> {
  const { url, clientId: client_id, secret } = world.simulator;
  const body = JSON.stringify({ client_id, secret, access_token, ...more });
  const { status } = await fetch(url + path, { method: "POST", headers: { "content-type": "application/json" }, body });
  expect(status).toBe(200);
}

/** A world whose bank was visited long before anything was read, so that a check finds nothing. */
async function beginLongAgo(): Promise<void> {
  await world[Symbol.asyncDispose]();
  world = await startWorld({ simulator: { clock: frozenClock("2026-01-05T12:00:00Z") }, sync: {} });
}

async function drain(): Promise<void> {
  await using worker = await world.sync.start();
  await worker.idle();
}

const runsOf = async ({ item_id }: Item): Promise<number> => {
  const { rows } = await world.database.query("select from sync.runs where subject_id = $1", [item_id]);
  return rows.length;
};

describe("a gap", () => {
  it("a webhook that Plaid says it sent and the journal lacks is recorded as a gap, and the item is synced", async () => {
    const item = await unheard();
    world.simulator.control.changeTransactions(item.item_id, { add: 3, remove: 2, modify: 1 });
    await checkOnce(world, item.item_id);
    await drain();
    const [found, ...more] = await gapsOf(world);
    expect(more).toEqual([]);
    expect(found?.gap).toMatchObject({
      missed_webhook: { code_sent: "SYNC_UPDATES_AVAILABLE", sent_at: expect.any(String) },
      differing_fields: [],
      error: null,
    });
    expect(found?.info).toMatchObject({ outcome: "synced", counts: { transactions: { added: 3, removed: 2 } } });
    await expectMirrorEqualsTruth(world.database, world.simulator, item.item_id);
  });

  it("a gap is recorded once, however often the item is checked afterwards", async () => {
    const item = await unheard();
    world.simulator.control.changeTransactions(item.item_id, { add: 1 });
    for (const _ of [1, 2, 3]) {
      await checkOnce(world, item.item_id);
      await drain();
    }
    expect(await gapsOf(world)).toHaveLength(1);
  });

  it("a webhook that the journal has is not a gap", async () => {
    const item = await unheard();
    world.simulator.control.changeTransactions(item.item_id, { add: 1 });
    await world.sync.notify(item.item_id);
    await drain();
    await checkOnce(world, item.item_id);
    await drain();
    expect(await gapsOf(world)).toEqual([]);
  });

  it("a webhook that was sent before the item was linked is not a gap", async () => {
    const [item] = world.integration.makeItems(1, 20, { webhook: "http://127.0.0.1:9/nobody" });
    world.simulator.control.addFault({ kind: "drop_webhooks" });
    world.simulator.control.changeTransactions(item?.item_id ?? "", { add: 1 });
    await world.integration.link(item as Item);
    await drain();
    await checkOnce(world, item?.item_id ?? "");
    await drain();
    expect(await gapsOf(world)).toEqual([]);
  });

  it("a webhook that Plaid has only just sent is not a gap, since Plaid may still be delivering it", async () => {
    const item = await unheard();
    world.simulator.control.changeTransactions(item.item_id, { add: 1 });
    await checkOnce(world, item.item_id, { graceMs: 600_000 });
    await drain();
    expect(await gapsOf(world)).toEqual([]);
    await expectMirrorEqualsTruth(world.database, world.simulator, item.item_id);
    const { check_at } = await checkOf(world, item.item_id);
    expect(check_at?.getTime()).toBeLessThan(Date.now() + 601_000);
    await checkOnce(world, item.item_id);
    expect(await gapsOf(world)).toHaveLength(1);
  });

  it("an item that broke or recovered without a webhook is a gap", async () => {
    const item = await unheard();
    world.simulator.control.breakItem(item.item_id, { webhooks: false });
    await checkOnce(world, item.item_id);
    await drain();
    expect((await gapsOf(world))[0]?.gap).toMatchObject({ differing_fields: ["error"], missed_webhook: null });
    expect(await world.sync.subject(item.item_id)).toMatchObject({ status: "needs_user" });
  });

  it("an item that Plaid no longer serves is a gap", async () => {
    const item = await unheard();
    await plaid("/item/remove", item);
    await checkOnce(world, item.item_id);
    await drain();
    expect((await gapsOf(world))[0]?.gap).toMatchObject({ error: { error_code: "ITEM_NOT_FOUND" } });
    expect(await world.sync.subject(item.item_id)).toMatchObject({ status: "ended" });
  });

  it("a lost USER_ACCOUNT_REVOKED causes a full reading, since increments cannot be trusted then", async () => {
    const item = await unheard();
    await plaid("/sandbox/item/fire_webhook", item, { webhook_type: "ITEM", webhook_code: "USER_ACCOUNT_REVOKED" });
    await checkOnce(world, item.item_id);
    expect((await gapsOf(world))[0]?.gap).toMatchObject({ missed_webhook: { code_sent: "USER_ACCOUNT_REVOKED" } });
    const { rows } = await world.database.query("select requested from journal.webhooks where source = 'RECONCILER'");
    expect(rows).toEqual([{ requested: ["*:full"] }]);
  });
});

describe("changes without a webhook", () => {
  it("changes without a webhook are read once Plaid has fetched them from the bank, and recorded as a gap with the changed resources", async () => {
    const item = await unheard();
    world.simulator.control.changeTransactions(item.item_id, { add: 4, remove: 1, webhooks: false });
    await checkOnce(world, item.item_id);
    await drain();
    await expectMirrorEqualsTruth(world.database, world.simulator, item.item_id);
    const [found, ...more] = await gapsOf(world);
    expect(more).toEqual([]);
    expect(found?.gap).toMatchObject({ changed_resources: ["transactions"], missed_webhook: null });
    expect(found?.info).toMatchObject({ counts: { transactions: { added: 4, removed: 1 } } });
  });

  it("changes without a webhook are recorded as one gap even if the reading has to wait", async () => {
    const item = await unheard();
    world.simulator.control.changeTransactions(item.item_id, { add: 1700, webhooks: false });
    await checkOnce(world, item.item_id);
    const { cursors, clientFor } = refusingAfter(2);
    await using worker = await world.sync.start({ clientFor });
    await worker.idle({ retries: true });
    expect(cursors).toHaveLength(4);
    expect(await gapsOf(world)).toMatchObject([{ gap: { changed_resources: ["transactions"], missed_webhook: null } }]);
    expect(await world.sync.subject(item.item_id)).toMatchObject({ status: "ok", requested: [], claimed: [] });
  });

  it("a reading that finds no change records no gap", async () => {
    const item = await unheard();
    world.simulator.control.repairItem(item.item_id, { webhooks: false });
    const before = await runsOf(item);
    await checkOnce(world, item.item_id);
    await drain();
    expect(await runsOf(item)).toBe(before + 1);
    expect(await gapsOf(world)).toEqual([]);
  });

  it("the next check reads an item again when the integration's options changed", async () => {
    await beginLongAgo();
    const item = await world.sync.synced();
    const changes = { include_original_description: true };
    await updateIntegration(world.database, world.vault, world.integration.id, changes);
    await checkOnce(world, item.item_id);
    await drain();
    const { rows } = await world.database.query(
      "select from plaid.current_transactions where item_id = $1 and original_description is null",
      [item.item_id],
    );
    expect(rows).toEqual([]);
    expect(await gapsOf(world)).toEqual([]);
  });
});

describe("a check that finds nothing", () => {
  it("a check that finds nothing costs one request and writes neither a webhook nor a run", async () => {
    await beginLongAgo();
    const item = await world.sync.synced();
    const [asked, runs] = [world.simulator.asked("/item/get"), await runsOf(item)];
    const syncs = world.simulator.asked("/transactions/sync");
    await checkOnce(world, item.item_id);
    await drain();
    expect(world.simulator.asked("/item/get")).toBe(asked + 1);
    expect(world.simulator.asked("/transactions/sync")).toBe(syncs);
    expect(await runsOf(item)).toBe(runs);
    expect(await gapsOf(world)).toEqual([]);
    const shown = await getItem(world.database, item.item_id);
    expect(Date.parse(shown?.next_check_at ?? "")).toBeGreaterThan(Date.parse(shown?.checked_at ?? ""));
  });
});

describe("an item", () => {
  it.each(["needs_user", "retrying", "misconfigured", "waiting", "ended"])(
    "an item that is %s is not checked, since sync checks it anyway or never again",
    async (status) => {
      const item = await world.sync.synced();
      await world.database.query("update sync.subjects set status = $1 where kind = 'item'", [status]);
      const asked = world.simulator.asked("/item/get");
      await checkOnce(world, item.item_id);
      expect(world.simulator.asked("/item/get")).toBe(asked);
    },
  );

  it("an item that waits for a sync is not checked", async () => {
    const item = await world.sync.synced();
    await world.sync.notify(item.item_id);
    const asked = world.simulator.asked("/item/get");
    await checkOnce(world, item.item_id, { windowSeconds: 100_000 });
    expect(world.simulator.asked("/item/get")).toBe(asked);
  });

  it("an unlinked item is not checked", async () => {
    const item = await world.sync.synced();
    await unlinkItem(world.database, world.integration.id, item.item_id);
    const asked = world.simulator.asked("/item/get");
    await makeChecksDue(world);
    const other = await world.sync.synced();
    const afterwards = world.simulator.asked("/item/get");
    expect(afterwards).toBe(asked + 1);
    await checkOnce(world, other.item_id);
    expect(world.simulator.asked("/item/get")).toBe(afterwards + 1);
    expect((await checkOf(world, item.item_id)).checked_at).toBeNull();
  });
});

describe("Plaid's limits", () => {
  it("a check that Plaid refuses with 429 is repeated later within the window", async () => {
    const item = await world.sync.synced();
    world.simulator.control.addFault({ kind: "rate_limit", endpoint: "/item/get", count: 1 });
    await makeChecksDue(world);
    const asked = world.simulator.asked("/item/get");
    await using _checking = await reconcile(world, { windowSeconds: 100_000 });
    await until("a refused check", () => world.simulator.asked("/item/get") > asked);
    await until(
      "the plan for the next check",
      async () => +((await checkOf(world, item.item_id)).check_at ?? 0) > Date.now() + 1_000_000,
    );
    const { check_at, checked_at } = await checkOf(world, item.item_id);
    expect(checked_at).toBeNull();
    expect(check_at?.getTime()).toBeLessThan(Date.now() + 100_000_000 / 10);
  });

  it("checks use no more than their part of Plaid's limits and leave the rest to webhooks", async () => {
    await beginLongAgo();
    const items = world.integration.makeItems(5, 1);
    for (const item of items) await world.integration.link(item);
    await drain();
    const asked = world.simulator.asked("/item/get");
    // Of 5,000 a minute looks get one, and sync has more than it needs.
    const outcomes = await checkAll(world, { share: 0.0002, limit: 10_000 });
    expect(outcomes.toSorted()).toEqual(["equal", "later", "later", "later", "later"]);
    expect(world.simulator.asked("/item/get")).toBe(asked + 1);
  });

  it("a check does not wait where the client's limit is used up, so webhooks go first", async () => {
    await beginLongAgo();
    await world.sync.synced();
    const asked = world.simulator.asked("/item/get");
    const limits = { share: 10_000, limit: 0.0002 };
    expect(await checkAll(world, limits)).toEqual(["equal"]);
    await world.database.query("update tartan.check_pace set next_at = now() - interval '1 second'");
    expect(await checkAll(world, limits)).toEqual(["later"]);
    expect(world.simulator.asked("/item/get")).toBe(asked + 1);
  });

  it("a check that Plaid does not answer is repeated later and still finds the gap", async () => {
    const item = await unheard();
    world.simulator.control.changeTransactions(item.item_id, { add: 2, webhooks: false });
    world.simulator.control.addFault({ kind: "server_error", endpoint: "/item/get", count: 1 });
    await checkOnce(world, item.item_id, { windowSeconds: 100_000 });
    expect((await checkOf(world, item.item_id)).checked_at).toBeNull();
    await checkOnce(world, item.item_id);
    await drain();
    await expectMirrorEqualsTruth(world.database, world.simulator, item.item_id);
  });
});
