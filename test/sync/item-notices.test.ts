/** The notices of an item, from the webhook or its absence to the table, the events and what readers see. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { append } from "../../src/journal/append.ts";
import { eraseItem, unlinkItem } from "../../src/lifecycle/items.ts";
import { markOverdue } from "../../src/sync/notices.ts";
import { markAll } from "../support/mark.ts";
import { webhook } from "../support/webhook.ts";
import { startWorld, type World } from "../support/world/index.ts";
import { openEventReader, typesOf, type EventReader } from "./event-reader.ts";
import { clearedIn, noticeTools } from "./notice-tools.ts";
import { gated } from "./support.ts";

let world: World<"sync">;
let reader: EventReader;
beforeAll(async () => {
  world = await startWorld({ sync: {} });
  reader = openEventReader(world);
});
afterAll(() => world[Symbol.asyncDispose]());

const { say, run, after, arrives, noticesOf, kindsOf, inDays, finishesLink } = noticeTools(
  () => world,
  () => reader,
);

describe("a warning", () => {
  it("PENDING_DISCONNECT is a notice with its time until Plaid sends LOGIN_REPAIRED, and one event says that it went", async () => {
    const item = await world.sync.synced(1);
    const disconnect_time = inDays(7).toISOString();
    await after(item, () => arrives(item, "PENDING_DISCONNECT", { disconnect_time, reason: "INSTITUTION_MIGRATION" }));
    expect(await noticesOf(item)).toEqual([
      {
        kind: "disconnect_pending",
        since: expect.any(Date),
        until: new Date(disconnect_time),
        product: null,
        account_id: null,
      },
    ]);
    const events = await after(item, () => arrives(item, "LOGIN_REPAIRED"));
    expect(typesOf(events)).toEqual(["item.notice_cleared", "sync.completed"]);
    expect(events[0]?.data).toMatchObject({
      kind: "disconnect_pending",
      by: "login_repaired",
      until: disconnect_time,
      item: { item_id: item.item_id },
    });
    expect(await noticesOf(item)).toEqual([]);
    expect(clearedIn(await after(item, () => arrives(item, "LOGIN_REPAIRED")))).toEqual([]);
  });

  it("a session of Link in update mode clears the warnings of before once Plaid has answered, and the next run none of later ones", async () => {
    const item = await world.sync.synced(1);
    await after(item, () => arrives(item, "PENDING_DISCONNECT"));
    await after(item, () => arrives(item, "NEW_ACCOUNTS_AVAILABLE"));
    world.simulator.control.addFault({ kind: "server_error", endpoint: "/item/get", count: 1 });
    const events = await after(item, async () => {
      await finishesLink(item);
      await run();
      expect(await kindsOf(item)).toEqual(["disconnect_pending", "new_accounts"]);
      await world.sync.hurry();
    });
    expect(clearedIn(events)).toEqual([
      ["disconnect_pending", "link_session"],
      ["new_accounts", "link_session"],
    ]);
    await after(item, () => arrives(item, "PENDING_DISCONNECT"));
    expect(await kindsOf(item)).toEqual(["disconnect_pending"]);
    // The journal's webhook of before the session is served late.
    const receivedAt = inDays(-1);
    const late = { integrationId: world.integration.id, itemId: item.item_id, webhookType: "ITEM", receivedAt };
    await after(item, async () => {
      await append(world.database, [webhook({ ...late, webhookCode: "NEW_ACCOUNTS_AVAILABLE" })]);
      await markAll(world.database);
    });
    expect(await kindsOf(item)).toEqual(["disconnect_pending"]);
  });

  it("your ITEM/UPDATED clears every notice of an item that is well, and none while its user must act", async () => {
    const item = await world.sync.synced(1);
    await after(item, () => arrives(item, "PENDING_DISCONNECT"));
    await after(item, () => arrives(item, "PRODUCT_PERMISSIONS_REQUIRED", {}, "AUTH"));
    await after(item, () => arrives(item, "USER_ACCOUNT_REVOKED", { account_id: "an-account" }));
    expect(await noticesOf(item)).toMatchObject([
      { kind: "account_revoked", account_id: "an-account", product: null },
      { kind: "disconnect_pending" },
      { kind: "permissions_required", account_id: null, product: "auth", until: null },
    ]);
    world.simulator.control.breakItem(item.item_id, { webhooks: false });
    expect(clearedIn(await after(item, () => arrives(item, "UPDATED")))).toEqual([]);
    expect(await kindsOf(item)).toHaveLength(3);
    world.simulator.control.repairItem(item.item_id, { webhooks: false });
    expect(clearedIn(await after(item, () => arrives(item, "UPDATED"))).toSorted()).toEqual([
      ["account_revoked", "item_updated"],
      ["disconnect_pending", "item_updated"],
      ["permissions_required", "item_updated"],
    ]);
    expect(await noticesOf(item)).toEqual([]);
  });

  it("a login that was repaired without a word leaves no warning of it: the run that finds the item well again clears it", async () => {
    const item = await world.sync.synced(1);
    await after(item, () => arrives(item, "PENDING_DISCONNECT"));
    world.simulator.control.breakItem(item.item_id, { webhooks: false });
    await after(item, () => arrives(item, "ERROR"));
    expect(await kindsOf(item)).toEqual(["disconnect_pending"]);
    world.simulator.control.repairItem(item.item_id, { webhooks: false });
    const events = await after(item, () => world.sync.hurry());
    expect(typesOf(events)).toEqual(["item.repaired", "item.notice_cleared", "sync.completed"]);
    expect(clearedIn(events)).toEqual([["disconnect_pending", "noticed"]]);
  });
});

describe("time", () => {
  it("a consent that ends within a week is announced although no webhook came, and the notice goes when it was renewed", async () => {
    const item = await world.sync.synced(1);
    say({ consent_expiration_time: inDays(30).toISOString() });
    await after(item, () => arrives(item, "ERROR"));
    expect(await noticesOf(item)).toEqual([]);
    expect(await markOverdue(world.database)).toBe(0);
    // Three weeks and a half pass.
    const ends = inDays(5).toISOString();
    say({ consent_expiration_time: ends });
    await world.database.query("update plaid.items set consent_expiration_time = $2 where item_id = $1", [
      item.item_id,
      ends,
    ]);
    const events = await after(item, () => markOverdue(world.database));
    expect(typesOf(events).filter((type) => type !== "item.updated")).toEqual([
      "item.consent_expiring",
      "sync.completed",
    ]);
    expect(events.find(({ type }) => type === "item.consent_expiring")?.data).toMatchObject({
      reason: "PENDING_EXPIRATION",
      consent_expiration_time: ends,
    });
    expect(await noticesOf(item)).toMatchObject([{ kind: "consent_expiring", until: new Date(ends) }]);
    expect(await markOverdue(world.database)).toBe(0);
    say({ consent_expiration_time: inDays(180).toISOString() });
    expect(clearedIn(await after(item, () => arrives(item, "UPDATED")))).toEqual([
      ["consent_expiring", "item_updated"],
    ]);
    say({});
  });

  it("when the time of a disconnection has passed, Tartan asks Plaid: the warning goes where the item is well, and stays where its user must act", async () => {
    const [well, broken] = [await world.sync.synced(1), await world.sync.synced(1)];
    for (const item of [well, broken])
      await after(item, () => arrives(item, "PENDING_DISCONNECT", { disconnect_time: inDays(1).toISOString() }));
    expect(await markOverdue(world.database)).toBe(0);
    await world.database.query("update sync.notices set until = now() where item_id = any ($1)", [
      [well.item_id, broken.item_id],
    ]);
    world.simulator.control.breakItem(broken.item_id, { webhooks: false });
    expect(await markOverdue(world.database)).toBe(2);
    await run();
    expect(await noticesOf(well)).toEqual([]);
    expect(await kindsOf(broken)).toEqual(["disconnect_pending"]);
    expect(await world.sync.subject(broken.item_id)).toMatchObject({ status: "needs_user" });
    // It is tried daily; nothing makes it due more often.
    expect(await markOverdue(world.database)).toBe(0);
    expect(clearedIn(await reader.eventsOf(well.item_id))).toEqual([["disconnect_pending", "passed"]]);
  });
});

describe("what Plaid shows", () => {
  it("accounts that are new end the notice of new accounts, and a revoked account that is back ends its notice", async () => {
    const item = await world.sync.synced(1);
    const [account] = world.simulator.control.accounts(item.item_id).accounts;
    await after(item, () => arrives(item, "NEW_ACCOUNTS_AVAILABLE"));
    await after(item, () => arrives(item, "USER_ACCOUNT_REVOKED", { account_id: account?.["account_id"] }));
    expect(await kindsOf(item)).toEqual(["account_revoked", "new_accounts"]);
    world.simulator.control.addAccount(item.item_id, { webhooks: false });
    const events = await after(item, () =>
      arrives(item, "DEFAULT_UPDATE", {}, "HOLDINGS").then(() => arrives(item, "ERROR")),
    );
    expect(clearedIn(events).toSorted()).toEqual([
      ["account_revoked", "noticed"],
      ["new_accounts", "noticed"],
    ]);
  });

  it("a product that the item has by now ends the notice that its permission is missing", async () => {
    const item = await world.sync.synced(1);
    await after(item, () => arrives(item, "PRODUCT_PERMISSIONS_REQUIRED", {}, "IDENTITY"));
    expect(await kindsOf(item)).toEqual(["permissions_required"]);
    say({ consented_products: ["transactions", "identity"] });
    expect(clearedIn(await after(item, () => arrives(item, "ERROR")))).toEqual([["permissions_required", "noticed"]]);
    say({});
  });
});

describe("a session in update mode that nobody tells of", () => {
  it("an account that the user shares and a consent that the user renews end their notices at the next run", async () => {
    const item = await world.sync.synced(1);
    const { control, url, clientId: client_id, secret } = world.simulator;
    control.addAccount(item.item_id, { shared: false, webhooks: false });
    const { consent_expiration_time } = control.limitConsent(item.item_id, { ends_in_s: 5 * 86_400, webhooks: false });
    await after(item, () => arrives(item, "NEW_ACCOUNTS_AVAILABLE"));
    expect(await noticesOf(item)).toMatchObject([
      { kind: "consent_expiring", until: new Date(consent_expiration_time ?? 0) },
      { kind: "new_accounts" },
    ]);
    const answer = await fetch(`${url}/link/token/create`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({
        client_id,
        secret,
        client_name: "Test",
        language: "en",
        country_codes: ["US"],
        user: { client_user_id: "u" },
        access_token: item.access_token,
        update: { account_selection_enabled: true },
      }),
    });
    const { link_token } = (await answer.json()) as { link_token: string };
    control.completeLink({ link_token });
    // As a check of the item makes it due.
    const events = await after(item, () =>
      arrives(item, "DEFAULT_UPDATE", {}, "HOLDINGS").then(() => arrives(item, "ERROR")),
    );
    expect(clearedIn(events).toSorted()).toEqual([
      ["consent_expiring", "noticed"],
      ["new_accounts", "noticed"],
    ]);
    expect(await noticesOf(item)).toEqual([]);
  });
});

describe("what happens while a run asks Plaid", () => {
  it("a session in update mode that finishes while a run asks Plaid is left to the next run, which clears what was announced before it", async () => {
    const item = await world.sync.synced(1);
    await finishesLink(item);
    let asked = 0;
    const clientFor = gated(async (path, _body, pass) => {
      await pass();
      if (path !== "/item/get" || (asked += 1) > 1) return;
      await arrives(item, "PENDING_DISCONNECT");
      await finishesLink(item);
    });
    const before = (await reader.eventsOf(item.item_id)).length;
    const worker = await world.sync.start({ clientFor });
    await worker.idle();
    await worker[Symbol.asyncDispose]();
    expect(asked).toBeGreaterThan(1);
    const events = await reader.eventsOf(item.item_id, before);
    expect(typesOf(events)).toContain("item.consent_expiring");
    expect(clearedIn(events)).toEqual([["disconnect_pending", "link_session"]]);
    expect(await noticesOf(item)).toEqual([]);
  });
});

describe("the end of an item", () => {
  it("an item that ended, was unlinked or erased has no notices", async () => {
    const items = [await world.sync.synced(1), await world.sync.synced(1), await world.sync.synced(1)] as const;
    const [ended, unlinked, erased] = items;
    for (const item of items) await after(item, () => arrives(item, "NEW_ACCOUNTS_AVAILABLE"));
    await finishesLink(unlinked);
    world.simulator.control.revokeItem(ended.item_id, { webhooks: false });
    expect(typesOf(await after(ended, () => arrives(ended, "USER_PERMISSION_REVOKED")))).not.toContain(
      "item.notice_cleared",
    );
    await finishesLink(erased);
    await unlinkItem(world.database, world.integration.id, unlinked.item_id);
    await eraseItem(world.database, world.integration.id, erased.item_id);
    for (const item of items) expect(await noticesOf(item)).toEqual([]);
    const ids = items.map(({ item_id }) => item_id);
    expect((await world.database.query("select from sync.repairs where item_id = any ($1)", [ids])).rowCount).toBe(0);
  });
});
