/** Notices where announcements, repairs, tokens and answers of Plaid come in an unexpected order, or late. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { append } from "../../src/journal/append.ts";
import { unlinkItem } from "../../src/lifecycle/items.ts";
import { notReady } from "../../src/sync/ask.ts";
import { markOverdue } from "../../src/sync/notices.ts";
import { markAll } from "../support/mark.ts";
import { webhook } from "../support/webhook.ts";
import { startWorld, type Item, type World } from "../support/world/index.ts";
import { openEventReader, typesOf, type EventReader } from "./event-reader.ts";
import { refusingAfter } from "./loop-support.ts";
import { clearedIn, noticeTools } from "./notice-tools.ts";
import { gated } from "./support.ts";

let world: World<"sync">;
let reader: EventReader;
beforeAll(async () => {
  world = await startWorld({ sync: {} });
  reader = openEventReader(world);
});
afterAll(() => world[Symbol.asyncDispose]());

const { work, run, after, arrives, noticesOf, kindsOf, inDays } = noticeTools(
  () => world,
  () => reader,
);

describe("an announcement and a repair", () => {
  it("a warning that is announced again and repaired before the next run is gone, in the events and in the table", async () => {
    const item = await world.sync.synced(1);
    await after(item, () => arrives(item, "NEW_ACCOUNTS_AVAILABLE"));
    const events = await after(item, async () => {
      await arrives(item, "NEW_ACCOUNTS_AVAILABLE");
      await arrives(item, "UPDATED");
    });
    expect(clearedIn(events)).toEqual([["new_accounts", "item_updated"]]);
    expect(await noticesOf(item)).toEqual([]);
  });

  it("a repair that Plaid does not confirm yet clears the warnings of before as soon as Plaid does", async () => {
    const item = await world.sync.synced(1);
    await after(item, () => arrives(item, "NEW_ACCOUNTS_AVAILABLE"));
    world.simulator.control.breakItem(item.item_id, { webhooks: false });
    expect(clearedIn(await after(item, () => arrives(item, "UPDATED")))).toEqual([]);
    world.simulator.control.repairItem(item.item_id, { webhooks: false });
    expect(clearedIn(await after(item, () => world.sync.hurry()))).toEqual([["new_accounts", "item_updated"]]);
    expect(await noticesOf(item)).toEqual([]);
  });

  it("a warning and its repair that wait for a long reading end alike, though the run that serves them only continues the reading", async () => {
    const item = await world.sync.synced(1);
    world.simulator.control.changeTransactions(item.item_id, { add: 700, webhooks: false });
    const events = await after(item, async () => {
      await arrives(item, "NEW_ACCOUNTS_AVAILABLE");
      await arrives(item, "UPDATED");
      await work({ clientFor: refusingAfter(1).clientFor });
      expect(await kindsOf(item)).toEqual([]);
      await world.sync.hurry();
      await world.database.query("delete from sync.rate_limits");
    });
    expect(clearedIn(events)).toEqual([["new_accounts", "item_updated"]]);
    expect(await noticesOf(item)).toEqual([]);
    expect(await world.sync.subject(item.item_id)).toMatchObject({ status: "ok", due_at: null });
  });

  it("a webhook that Tartan found in Plaid's list counts from when Plaid sent it: it opens nothing that was repaired since, and repairs nothing newer", async () => {
    const item = await world.sync.synced(1);
    const found = (webhookCode: string) => async (): Promise<void> => {
      const about = { integrationId: world.integration.id, itemId: item.item_id, webhookType: "ITEM", webhookCode };
      await append(world.database, [webhook({ ...about, source: "RECONCILER", proof: null, sentAt: inDays(-2) })]);
      await markAll(world.database);
    };
    await after(item, () => arrives(item, "UPDATED"));
    await after(item, found("NEW_ACCOUNTS_AVAILABLE"));
    expect(await kindsOf(item)).toEqual([]);
    await after(item, () => arrives(item, "PENDING_DISCONNECT"));
    expect(clearedIn(await after(item, found("LOGIN_REPAIRED")))).toEqual([]);
    expect(await kindsOf(item)).toEqual(["disconnect_pending"]);
  });

  it("what Plaid announced before the item's token came is a notice and an event once the item is linked, and no second time", async () => {
    const [item] = world.integration.makeItems(1, 1) as [Item];
    await arrives(item, "NEW_ACCOUNTS_AVAILABLE");
    await arrives(item, "PENDING_DISCONNECT", { reason: "INSTITUTION_MIGRATION" });
    await arrives(item, "LOGIN_REPAIRED");
    await run();
    expect(await reader.eventsOf(item.item_id)).toEqual([]);
    const first = await after(item, () => world.integration.link(item));
    expect(typesOf(first)).toEqual(expect.arrayContaining(["item.new_accounts", "item.consent_expiring"]));
    expect(clearedIn(first)).toEqual([["disconnect_pending", "login_repaired"]]);
    expect(await kindsOf(item)).toEqual(["new_accounts"]);
    await unlinkItem(world.database, world.integration.id, item.item_id);
    expect(typesOf(await after(item, () => world.integration.link(item)))).not.toContain("item.new_accounts");
    expect(await kindsOf(item)).toEqual([]);
  });
});

describe("an item that waits", () => {
  it("a warning whose time has passed goes although the item waits for a product that Plaid does not have ready", async () => {
    const item = await world.sync.synced(1);
    const clientFor = gated(async (path, _body, pass) => {
      if (path === "/transactions/sync") throw notReady();
      await pass();
    });
    await arrives(item, "PENDING_DISCONNECT");
    await world.sync.notify(item.item_id);
    await work({ clientFor });
    expect(await world.sync.subject(item.item_id)).toMatchObject({ status: "waiting" });
    expect(await kindsOf(item)).toEqual(["disconnect_pending"]);
    await world.database.query("update sync.notices set until = now() where item_id = $1", [item.item_id]);
    expect(await markOverdue(world.database)).toBe(1);
    await work({ clientFor });
    expect(await world.sync.subject(item.item_id)).toMatchObject({ status: "waiting" });
    expect(await noticesOf(item)).toEqual([]);
    expect(await markOverdue(world.database)).toBe(0);
  });
});
