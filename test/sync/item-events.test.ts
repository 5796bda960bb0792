/** The events of an item: linked, updated, error, repaired, removed; and of the ends of its runs. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { listRuns } from "../../src/sync/queries.ts";
import { eraseItem, unlinkItem } from "../../src/lifecycle/items.ts";
import { append } from "../../src/journal/append.ts";
import { markAll } from "../support/mark.ts";
import { expectMirrorEqualsTruth } from "../support/oracle.ts";
import { openEventReader, typesOf, type EventReader } from "./event-reader.ts";
import { webhook } from "../support/webhook.ts";
import { startWorld, type World } from "../support/world/index.ts";

let world: World<"sync">;
let reader: EventReader;
beforeAll(async () => {
  world = await startWorld({ sync: {} });
  reader = openEventReader(world);
});
afterAll(() => world[Symbol.asyncDispose]());

const eventsOf: EventReader["eventsOf"] = (...args) => reader.eventsOf(...args);
const work: EventReader["work"] = (...args) => reader.work(...args);
const notifyAndWork: EventReader["notifyAndWork"] = (...args) => reader.notifyAndWork(...args);

describe("an item", () => {
  it("an item that breaks and is repaired causes one event each, and the failed run names the error", async () => {
    const item = await world.sync.synced(3);
    world.simulator.control.breakItem(item.item_id, { webhooks: false });
    const ill = await notifyAndWork(item, "ERROR");
    expect(typesOf(ill)).toEqual(["item.error", "sync.failed"]);
    expect(ill[0]?.data).toMatchObject({
      error: { error_code: "ITEM_LOGIN_REQUIRED", error_type: "ITEM_ERROR" },
      item: { item_id: item.item_id, status: {} },
    });
    expect(ill[1]?.data).toMatchObject({
      run_id: expect.any(String),
      status: "needs_user",
      attempts: 1,
      retry_at: expect.any(String),
      error: { error_code: "ITEM_LOGIN_REQUIRED" },
    });
    expect(typesOf(await notifyAndWork(item, "ERROR"))).toEqual(["sync.failed"]);
    world.simulator.control.repairItem(item.item_id, { webhooks: false });
    const well = await notifyAndWork(item, "LOGIN_REPAIRED");
    expect(typesOf(well)).toEqual(["item.repaired", "sync.completed"]);
    expect(well[0]?.data).toMatchObject({
      previous_error_code: "ITEM_LOGIN_REQUIRED",
      item: { item_id: item.item_id, error: null },
    });
  });

  it("item.updated names what changed in an item", async () => {
    const item = await world.sync.synced(3);
    const { url, clientId: client_id, secret } = world.simulator;
    const answer = await fetch(`${url}/item/webhook/update`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({
        client_id,
        secret,
        access_token: item.access_token,
        webhook: "https://hooks.example/new",
      }),
    });
    expect(answer.status).toBe(200);
    const events = await notifyAndWork(item, "WEBHOOK_UPDATE_ACKNOWLEDGED");
    expect(typesOf(events)).toEqual(["item.updated", "sync.completed"]);
    expect(events[0]?.data).toMatchObject({
      changed: ["webhook"],
      item: { item_id: item.item_id, webhook: "https://hooks.example/new" },
    });
  });

  it("an item that has an error when it is first read causes item.error", async () => {
    const [item] = world.integration.makeItems(1, 3);
    if (!item) throw new Error("no item");
    world.simulator.control.breakItem(item.item_id, { webhooks: false });
    await world.integration.link(item);
    await work();
    expect(typesOf(await eventsOf(item.item_id))).toEqual(["item.linked", "item.error", "sync.failed"]);
  });

  it("item.consent_expiring holds what Plaid announced", async () => {
    const item = await world.sync.synced(3);
    for (const reason of ["PENDING_EXPIRATION", "PENDING_DISCONNECT"]) {
      const events = await notifyAndWork(item, reason);
      expect(typesOf(events)).toEqual(["item.consent_expiring", "sync.completed"]);
      expect(events[0]?.data).toMatchObject({
        reason,
        consent_expiration_time: null,
        item: { item_id: item.item_id },
      });
    }
  });

  it("an event has the field of a webhook that no answer of Plaid's has", async () => {
    const item = await world.sync.synced(3);
    const before = (await eventsOf(item.item_id)).length;
    const said = (webhookType: string, webhookCode: string, fields: Record<string, unknown>) =>
      webhook({
        integrationId: world.integration.id,
        itemId: item.item_id,
        webhookType,
        webhookCode,
        body: Buffer.from(JSON.stringify(fields)),
      });
    await append(world.database, [
      said("ITEM", "USER_ACCOUNT_REVOKED", { account_id: "an-account" }),
      said("ITEM", "PENDING_DISCONNECT", { disconnect_time: "2027-01-01T00:00:00Z" }),
      said("ITEM", "NEW_ACCOUNTS_AVAILABLE", {}),
      said("AUTH", "PRODUCT_PERMISSIONS_REQUIRED", {}),
    ]);
    await markAll(world.database);
    await work();
    expect((await eventsOf(item.item_id, before)).map(({ type, data }) => [type, data])).toMatchObject([
      ["item.consent_expiring", { reason: "PENDING_DISCONNECT", disconnect_time: "2027-01-01T00:00:00Z" }],
      ["item.new_accounts", { item: { item_id: item.item_id } }],
      ["item.account_revoked", { account_id: "an-account" }],
      ["item.permissions_required", { product: "auth" }],
      ["sync.completed", {}],
    ]);
  });

  it("an item that Plaid no longer has causes item.removed once, with the removed rows", async () => {
    const item = await world.sync.synced(130);
    world.simulator.control.revokeItem(item.item_id, { webhooks: false });
    const events = await notifyAndWork(item, "USER_PERMISSION_REVOKED");
    expect(typesOf(events).filter((type, index, all) => type !== all[index - 1])).toEqual([
      "item.removed",
      "accounts.changed",
      "transactions.changed",
      "sync.completed",
    ]);
    expect(events[0]?.data).toEqual({
      reason: "ended",
      error_code: expect.any(String),
      message: expect.any(String),
      next_step: expect.any(String),
    });
    const removed = events.filter(({ type }) => type === "transactions.changed");
    expect(removed[0]).toMatchObject({ history: false, data: { counts: { added: 0, modified: 0, removed: 130 } } });
    expect(events.at(-1)?.data).toMatchObject({ outcome: "ended" });
    expect(typesOf(await notifyAndWork(item, "USER_PERMISSION_REVOKED"))).not.toContain("item.removed");
    await expectMirrorEqualsTruth(world.database, world.simulator, item.item_id);
  });

  it("an item that nobody linked causes no event, since it needs no run", async () => {
    const [item] = world.integration.makeItems(1, 3);
    if (!item) throw new Error("no item");
    for (const [type, code] of [
      ["TRANSACTIONS", "SYNC_UPDATES_AVAILABLE"],
      ["ITEM", "PENDING_DISCONNECT"],
    ]) {
      expect(await notifyAndWork(item, code ?? "", type)).toEqual([]);
    }
  });

  it("item.removed is recorded for an unlinked and for an erased item, and nothing else remains of the erased one", async () => {
    const [kept, erased] = [await world.sync.synced(3), await world.sync.synced(3)];
    const before = (await eventsOf(kept.item_id)).length;
    await unlinkItem(world.database, world.integration.id, kept.item_id);
    expect((await eventsOf(kept.item_id, before)).map(({ type, data }) => [type, data])).toEqual([
      ["item.removed", { reason: "unlinked", error_code: null }],
    ]);
    await eraseItem(world.database, world.integration.id, erased.item_id);
    expect((await eventsOf(erased.item_id)).map(({ type, data }) => [type, data])).toEqual([
      ["item.removed", { reason: "erased", error_code: null }],
    ]);
  });
});

describe("runs that fail", () => {
  it("a failed run records sync.failed with the time of the next try, and a run that waits for Plaid does not", async () => {
    const item = await world.sync.synced(3);
    const before = (await eventsOf(item.item_id)).length;
    world.simulator.control.addFault({ kind: "server_error", item_id: item.item_id, count: 2 });
    const worker = await world.sync.start({ delays: { retryMs: 600_000, retryMaxMs: 600_000 } });
    await world.sync.notify(item.item_id);
    await worker.idle();
    await worker[Symbol.asyncDispose]();
    world.simulator.control.clearFaults();
    const [event] = (await eventsOf(item.item_id, before)).filter(({ type }) => type === "sync.failed");
    expect(event?.data).toMatchObject({ status: "retrying", attempts: 1, error: { class: "backoff" } });
    expect(new Date(String(event?.data["retry_at"])).getTime()).toBeGreaterThan(Date.now() + 200_000);

    const [young] = world.integration.makeItems(1, 10, { ready: false });
    if (!young) throw new Error("no item");
    await world.integration.link(young);
    await work();
    expect(await world.sync.subject(young.item_id)).toMatchObject({ status: "waiting" });
    expect(typesOf(await eventsOf(young.item_id))).toEqual(["item.linked", "accounts.changed"]);
  });

  it("a run that fails unexpectedly records sync.failed and is listed with its error", async () => {
    const item = await world.sync.synced(3);
    const before = (await eventsOf(item.item_id)).length;
    const worker = await world.sync.start({
      clientFor: () => {
        throw new Error("something unexpected");
      },
      delays: { retryMs: 600_000, retryMaxMs: 600_000 },
    });
    await world.sync.notify(item.item_id);
    await worker.idle();
    await worker[Symbol.asyncDispose]();
    const events = await eventsOf(item.item_id, before);
    expect(typesOf(events)).toEqual(["sync.failed"]);
    expect(events[0]).toMatchObject({ environment: "sandbox" });
    expect(events[0]?.data).toMatchObject({ status: "retrying", error: { class: "internal" } });
    const { data } = await listRuns(world.database, { item_id: item.item_id, limit: 1 });
    expect(data).toMatchObject([
      { id: events[0]?.data["run_id"], outcome: "failed", webhooks: 0, error: { message: "something unexpected" } },
    ]);
  });
});
