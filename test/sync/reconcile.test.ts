/** Checks of each item find changes that no webhook announced or whose webhook did not arrive. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { getItem } from "../../src/sync/items.ts";
import { unlinkItem } from "../../src/lifecycle/items.ts";
import { updateIntegration } from "../../src/lifecycle/integrations.ts";
import { frozenClock } from "../../src/simulator/index.ts";
import { expectMirrorEqualsTruth } from "../support/oracle.ts";
import { refusingAfter } from "./loop-support.ts";
import { checkOf, gapsOf, checkAll, checkOnce, makeChecksDue, reconcile, unheardItem } from "./reconcile-scene.ts";
import { openScene, until, type Item, type Scene } from "./support.ts";

let scene: Scene;
beforeEach(async () => {
  scene = await openScene();
});
afterEach(() => scene[Symbol.asyncDispose]());

const unheard = (transactions?: number): Promise<Item> => unheardItem(scene, transactions);

/** A call of Plaid's API by somebody other than Tartan. */
async function plaid(path: string, { access_token }: Item, more: Record<string, unknown> = {}): Promise<void> {
  const { url, clientId: client_id, secret } = scene.simulator;
  const body = JSON.stringify({ client_id, secret, access_token, ...more });
  const { status } = await fetch(url + path, { method: "POST", headers: { "content-type": "application/json" }, body });
  expect(status).toBe(200);
}

/** A scene whose bank was visited long before anything was read, so that a check finds nothing. */
async function beginLongAgo(): Promise<void> {
  await scene[Symbol.asyncDispose]();
  scene = await openScene({ clock: frozenClock("2026-01-05T12:00:00Z") });
}

async function drain(): Promise<void> {
  await using worker = await scene.work();
  await worker.idle();
}

const runsOf = async ({ item_id }: Item): Promise<number> => {
  const { rows } = await scene.database.query("select from sync.runs where subject_id = $1", [item_id]);
  return rows.length;
};

describe("a gap", () => {
  it("a webhook that Plaid says it sent and the journal lacks is recorded as a gap, and the item is synced", async () => {
    const item = await unheard();
    scene.simulator.control.changeTransactions(item.item_id, { add: 3, remove: 2, modify: 1 });
    await checkOnce(scene, item.item_id);
    await drain();
    const [found, ...more] = await gapsOf(scene);
    expect(more).toEqual([]);
    expect(found?.gap).toMatchObject({
      missed_webhook: { code_sent: "SYNC_UPDATES_AVAILABLE", sent_at: expect.any(String) },
      differing_fields: [],
      error: null,
    });
    expect(found?.info).toMatchObject({ outcome: "synced", counts: { transactions: { added: 3, removed: 2 } } });
    await expectMirrorEqualsTruth(scene.database, scene.simulator, item.item_id);
  });

  it("a gap is recorded once, however often the item is checked afterwards", async () => {
    const item = await unheard();
    scene.simulator.control.changeTransactions(item.item_id, { add: 1 });
    for (const _ of [1, 2, 3]) {
      await checkOnce(scene, item.item_id);
      await drain();
    }
    expect(await gapsOf(scene)).toHaveLength(1);
  });

  it("a webhook that the journal has is not a gap", async () => {
    const item = await unheard();
    scene.simulator.control.changeTransactions(item.item_id, { add: 1 });
    await scene.notify(item.item_id);
    await drain();
    await checkOnce(scene, item.item_id);
    await drain();
    expect(await gapsOf(scene)).toEqual([]);
  });

  it("a webhook that was sent before the item was linked is not a gap", async () => {
    const [item] = scene.makeItems(1, 20, { webhook: "http://127.0.0.1:9/nobody" });
    scene.simulator.control.addFault({ kind: "drop_webhooks" });
    scene.simulator.control.changeTransactions(item?.item_id ?? "", { add: 1 });
    await scene.link(item as Item);
    await drain();
    await checkOnce(scene, item?.item_id ?? "");
    await drain();
    expect(await gapsOf(scene)).toEqual([]);
  });

  it("a webhook that Plaid has only just sent is not a gap, since Plaid may still be delivering it", async () => {
    const item = await unheard();
    scene.simulator.control.changeTransactions(item.item_id, { add: 1 });
    await checkOnce(scene, item.item_id, { graceMs: 600_000 });
    await drain();
    expect(await gapsOf(scene)).toEqual([]);
    await expectMirrorEqualsTruth(scene.database, scene.simulator, item.item_id);
    const { check_at } = await checkOf(scene, item.item_id);
    expect(check_at?.getTime()).toBeLessThan(Date.now() + 601_000);
    await checkOnce(scene, item.item_id);
    expect(await gapsOf(scene)).toHaveLength(1);
  });

  it("an item that broke or recovered without a webhook is a gap", async () => {
    const item = await unheard();
    scene.simulator.control.breakItem(item.item_id, { webhooks: false });
    await checkOnce(scene, item.item_id);
    await drain();
    expect((await gapsOf(scene))[0]?.gap).toMatchObject({ differing_fields: ["error"], missed_webhook: null });
    expect(await scene.subject(item.item_id)).toMatchObject({ status: "needs_user" });
  });

  it("an item that Plaid no longer serves is a gap", async () => {
    const item = await unheard();
    await plaid("/item/remove", item);
    await checkOnce(scene, item.item_id);
    await drain();
    expect((await gapsOf(scene))[0]?.gap).toMatchObject({ error: { error_code: "ITEM_NOT_FOUND" } });
    expect(await scene.subject(item.item_id)).toMatchObject({ status: "ended" });
  });

  it("a lost USER_ACCOUNT_REVOKED causes a full reading, since increments cannot be trusted then", async () => {
    const item = await unheard();
    await plaid("/sandbox/item/fire_webhook", item, { webhook_type: "ITEM", webhook_code: "USER_ACCOUNT_REVOKED" });
    await checkOnce(scene, item.item_id);
    expect((await gapsOf(scene))[0]?.gap).toMatchObject({ missed_webhook: { code_sent: "USER_ACCOUNT_REVOKED" } });
    const { rows } = await scene.database.query("select requested from journal.webhooks where source = 'RECONCILER'");
    expect(rows).toEqual([{ requested: ["*:full"] }]);
  });
});

describe("changes without a webhook", () => {
  it("changes without a webhook are read once Plaid has fetched them from the bank, and recorded as a gap with the changed resources", async () => {
    const item = await unheard();
    scene.simulator.control.changeTransactions(item.item_id, { add: 4, remove: 1, webhooks: false });
    await checkOnce(scene, item.item_id);
    await drain();
    await expectMirrorEqualsTruth(scene.database, scene.simulator, item.item_id);
    const [found, ...more] = await gapsOf(scene);
    expect(more).toEqual([]);
    expect(found?.gap).toMatchObject({ changed_resources: ["transactions"], missed_webhook: null });
    expect(found?.info).toMatchObject({ counts: { transactions: { added: 4, removed: 1 } } });
  });

  it("changes without a webhook are recorded as one gap even if the reading has to wait", async () => {
    const item = await unheard();
    scene.simulator.control.changeTransactions(item.item_id, { add: 1700, webhooks: false });
    await checkOnce(scene, item.item_id);
    const { cursors, clientFor } = refusingAfter(2);
    await using worker = await scene.work({ clientFor });
    await worker.idle({ retries: true });
    expect(cursors).toHaveLength(4);
    expect(await gapsOf(scene)).toMatchObject([{ gap: { changed_resources: ["transactions"], missed_webhook: null } }]);
    expect(await scene.subject(item.item_id)).toMatchObject({ status: "ok", requested: [], claimed: [] });
  });

  it("a reading that finds no change records no gap", async () => {
    const item = await unheard();
    scene.simulator.control.repairItem(item.item_id, { webhooks: false });
    const before = await runsOf(item);
    await checkOnce(scene, item.item_id);
    await drain();
    expect(await runsOf(item)).toBe(before + 1);
    expect(await gapsOf(scene)).toEqual([]);
  });

  it("the next check reads an item again when the integration's options changed", async () => {
    await beginLongAgo();
    const item = await scene.synced();
    const changes = { include_original_description: true };
    await updateIntegration(scene.database, scene.vault, scene.integrationId, changes);
    await checkOnce(scene, item.item_id);
    await drain();
    const { rows } = await scene.database.query(
      "select from plaid.current_transactions where item_id = $1 and original_description is null",
      [item.item_id],
    );
    expect(rows).toEqual([]);
    expect(await gapsOf(scene)).toEqual([]);
  });
});

describe("a check that finds nothing", () => {
  it("a check that finds nothing costs one request and writes neither a webhook nor a run", async () => {
    await beginLongAgo();
    const item = await scene.synced();
    const [asked, runs] = [scene.asked("/item/get"), await runsOf(item)];
    const syncs = scene.asked("/transactions/sync");
    await checkOnce(scene, item.item_id);
    await drain();
    expect(scene.asked("/item/get")).toBe(asked + 1);
    expect(scene.asked("/transactions/sync")).toBe(syncs);
    expect(await runsOf(item)).toBe(runs);
    expect(await gapsOf(scene)).toEqual([]);
    const shown = await getItem(scene.database, item.item_id);
    expect(Date.parse(shown?.next_check_at ?? "")).toBeGreaterThan(Date.parse(shown?.checked_at ?? ""));
  });
});

describe("an item", () => {
  it.each(["needs_user", "retrying", "misconfigured", "waiting", "ended"])(
    "an item that is %s is not checked, since sync checks it anyway or never again",
    async (status) => {
      const item = await scene.synced();
      await scene.database.query("update sync.subjects set status = $1 where kind = 'item'", [status]);
      const asked = scene.asked("/item/get");
      await checkOnce(scene, item.item_id);
      expect(scene.asked("/item/get")).toBe(asked);
    },
  );

  it("an item that waits for a sync is not checked", async () => {
    const item = await scene.synced();
    await scene.notify(item.item_id);
    const asked = scene.asked("/item/get");
    await checkOnce(scene, item.item_id, { windowSeconds: 100_000 });
    expect(scene.asked("/item/get")).toBe(asked);
  });

  it("an unlinked item is not checked", async () => {
    const item = await scene.synced();
    await unlinkItem(scene.database, scene.integrationId, item.item_id);
    const asked = scene.asked("/item/get");
    await makeChecksDue(scene);
    const other = await scene.synced();
    const afterwards = scene.asked("/item/get");
    expect(afterwards).toBe(asked + 1);
    await checkOnce(scene, other.item_id);
    expect(scene.asked("/item/get")).toBe(afterwards + 1);
    expect((await checkOf(scene, item.item_id)).checked_at).toBeNull();
  });
});

describe("Plaid's limits", () => {
  it("a check that Plaid refuses with 429 is repeated later within the window", async () => {
    const item = await scene.synced();
    scene.simulator.control.addFault({ kind: "rate_limit", endpoint: "/item/get", count: 1 });
    await makeChecksDue(scene);
    const asked = scene.asked("/item/get");
    await using _checking = await reconcile(scene, { windowSeconds: 100_000 });
    await until(() => scene.asked("/item/get") > asked);
    await until(async () => +((await checkOf(scene, item.item_id)).check_at ?? 0) > Date.now() + 1_000_000);
    const { check_at, checked_at } = await checkOf(scene, item.item_id);
    expect(checked_at).toBeNull();
    expect(check_at?.getTime()).toBeLessThan(Date.now() + 100_000_000 / 10);
  });

  it("checks use no more than their part of Plaid's limits and leave the rest to webhooks", async () => {
    await beginLongAgo();
    const items = scene.makeItems(5, 1);
    for (const item of items) await scene.link(item);
    await drain();
    const asked = scene.asked("/item/get");
    // Of 5,000 a minute looks get one, and sync has more than it needs.
    const outcomes = await checkAll(scene, { share: 0.0002, limit: 10_000 });
    expect(outcomes.toSorted()).toEqual(["equal", "later", "later", "later", "later"]);
    expect(scene.asked("/item/get")).toBe(asked + 1);
  });

  it("a check does not wait where the client's limit is used up, so webhooks go first", async () => {
    await beginLongAgo();
    await scene.synced();
    const asked = scene.asked("/item/get");
    const limits = { share: 10_000, limit: 0.0002 };
    expect(await checkAll(scene, limits)).toEqual(["equal"]);
    await scene.database.query("update tartan.check_pace set next_at = now() - interval '1 second'");
    expect(await checkAll(scene, limits)).toEqual(["later"]);
    expect(scene.asked("/item/get")).toBe(asked + 1);
  });

  it("a check that Plaid does not answer is repeated later and still finds the gap", async () => {
    const item = await unheard();
    scene.simulator.control.changeTransactions(item.item_id, { add: 2, webhooks: false });
    scene.simulator.control.addFault({ kind: "server_error", endpoint: "/item/get", count: 1 });
    await checkOnce(scene, item.item_id, { windowSeconds: 100_000 });
    expect((await checkOf(scene, item.item_id)).checked_at).toBeNull();
    await checkOnce(scene, item.item_id);
    await drain();
    await expectMirrorEqualsTruth(scene.database, scene.simulator, item.item_id);
  });
});
