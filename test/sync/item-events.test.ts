/** What is told of an item: that it was linked, changed, is ill, was repaired or is gone; and how its runs end. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { listRuns } from "../../src/sync/queries.ts";
import { eraseItem, unlinkItem } from "../../src/lifecycle/items.ts";
import { expectMirrorEqualsTruth } from "../support/oracle.ts";
import { openScene, type Scene } from "./support.ts";
import { openTeller, typesOf, type Teller } from "./teller.ts";

let scene: Scene;
let teller: Teller;
beforeAll(async () => {
  scene = await openScene();
  teller = openTeller(scene);
});
afterAll(() => scene[Symbol.asyncDispose]());

const told: Teller["told"] = (...args) => teller.told(...args);
const work: Teller["work"] = (...args) => teller.work(...args);
const hearAndWork: Teller["hearAndWork"] = (...args) => teller.hearAndWork(...args);

describe("an item", () => {
  it("that falls ill and is repaired tells so once each, and the failed run says what is wrong", async () => {
    const item = await scene.synced(3);
    scene.simulator.control.breakItem(item.item_id, { webhooks: false });
    const ill = await hearAndWork(item, "ERROR");
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
    expect(typesOf(await hearAndWork(item, "ERROR"))).toEqual(["sync.failed"]);
    scene.simulator.control.repairItem(item.item_id, { webhooks: false });
    const well = await hearAndWork(item, "LOGIN_REPAIRED");
    expect(typesOf(well)).toEqual(["item.repaired", "sync.completed"]);
    expect(well[0]?.data).toMatchObject({
      previous_error_code: "ITEM_LOGIN_REQUIRED",
      item: { item_id: item.item_id, error: null },
    });
  });

  it("that says something else than before tells what", async () => {
    const item = await scene.synced(3);
    const { url, clientId: client_id, secret } = scene.simulator;
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
    const events = await hearAndWork(item, "WEBHOOK_UPDATE_ACKNOWLEDGED");
    expect(typesOf(events)).toEqual(["item.updated", "sync.completed"]);
    expect(events[0]?.data).toMatchObject({
      changed: ["webhook"],
      item: { item_id: item.item_id, webhook: "https://hooks.example/new" },
    });
  });

  it("that is ill when it is first read says so", async () => {
    const [item] = scene.makeItems(1, 3);
    if (!item) throw new Error("no item");
    scene.simulator.control.breakItem(item.item_id, { webhooks: false });
    await scene.link(item);
    await work();
    expect(typesOf(await told(item.item_id))).toEqual(["item.linked", "item.error", "sync.failed"]);
  });

  it("whose consent ends is told with what Plaid announced", async () => {
    const item = await scene.synced(3);
    for (const reason of ["PENDING_EXPIRATION", "PENDING_DISCONNECT"]) {
      const events = await hearAndWork(item, reason);
      expect(typesOf(events)).toEqual(["item.consent_expiring", "sync.completed"]);
      expect(events[0]?.data).toMatchObject({
        reason,
        consent_expiration_time: null,
        item: { item_id: item.item_id },
      });
    }
  });

  it("that Plaid no longer has is told to be removed, once, with all that went with it", async () => {
    const item = await scene.synced(130);
    scene.simulator.control.revokeItem(item.item_id, { webhooks: false });
    const events = await hearAndWork(item, "USER_PERMISSION_REVOKED");
    expect(typesOf(events).filter((type, index, all) => type !== all[index - 1])).toEqual([
      "item.removed",
      "accounts.changed",
      "transactions.changed",
      "sync.completed",
    ]);
    expect(events[0]?.data).toEqual({ reason: "ended", error_code: expect.any(String) });
    const removed = events.filter(({ type }) => type === "transactions.changed");
    expect(removed[0]).toMatchObject({ history: false, data: { counts: { added: 0, modified: 0, removed: 130 } } });
    expect(events.at(-1)?.data).toMatchObject({ outcome: "ended" });
    expect(typesOf(await hearAndWork(item, "USER_PERMISSION_REVOKED"))).not.toContain("item.removed");
    await expectMirrorEqualsTruth(scene.database, scene.simulator, item.item_id);
  });

  it("that nobody linked has none, since no run is needed to know that", async () => {
    const [item] = scene.makeItems(1, 3);
    if (!item) throw new Error("no item");
    for (const [type, code] of [
      ["TRANSACTIONS", "SYNC_UPDATES_AVAILABLE"],
      ["ITEM", "PENDING_DISCONNECT"],
    ]) {
      expect(await hearAndWork(item, code ?? "", type)).toEqual([]);
    }
  });

  it("of an item that is unlinked or erased is there, and of the erased one nothing else", async () => {
    const [kept, erased] = [await scene.synced(3), await scene.synced(3)];
    const before = (await told(kept.item_id)).length;
    await unlinkItem(scene.database, scene.integrationId, kept.item_id);
    expect((await told(kept.item_id, before)).map(({ type, data }) => [type, data])).toEqual([
      ["item.removed", { reason: "unlinked", error_code: null }],
    ]);
    await eraseItem(scene.database, scene.integrationId, erased.item_id);
    expect((await told(erased.item_id)).map(({ type, data }) => [type, data])).toEqual([
      ["item.removed", { reason: "erased", error_code: null }],
    ]);
  });
});

describe("runs that fail", () => {
  it("are told with the time of the next try; those that wait for Plaid are not", async () => {
    const item = await scene.synced(3);
    const before = (await told(item.item_id)).length;
    scene.simulator.control.addFault({ kind: "server_error", item_id: item.item_id, count: 2 });
    const worker = await scene.work({ delays: { retryMs: 600_000, retryMaxMs: 600_000 } });
    await scene.hear(item.item_id);
    await worker.idle();
    await worker[Symbol.asyncDispose]();
    scene.simulator.control.clearFaults();
    const [event] = (await told(item.item_id, before)).filter(({ type }) => type === "sync.failed");
    expect(event?.data).toMatchObject({ status: "retrying", attempts: 1, error: { class: "backoff" } });
    expect(new Date(String(event?.data["retry_at"])).getTime()).toBeGreaterThan(Date.now() + 200_000);

    const [young] = scene.makeItems(1, 10, { ready: false });
    if (!young) throw new Error("no item");
    await scene.link(young);
    await work();
    expect(await scene.subject(young.item_id)).toMatchObject({ status: "waiting" });
    expect(typesOf(await told(young.item_id))).toEqual(["item.linked", "accounts.changed"]);
  });

  it("for a reason nobody foresaw are told too, and the run is listed with its error", async () => {
    const item = await scene.synced(3);
    const before = (await told(item.item_id)).length;
    const worker = await scene.work({
      clientFor: () => {
        throw new Error("nobody foresaw this");
      },
      delays: { retryMs: 600_000, retryMaxMs: 600_000 },
    });
    await scene.hear(item.item_id);
    await worker.idle();
    await worker[Symbol.asyncDispose]();
    const events = await told(item.item_id, before);
    expect(typesOf(events)).toEqual(["sync.failed"]);
    expect(events[0]).toMatchObject({ environment: "sandbox" });
    expect(events[0]?.data).toMatchObject({ status: "retrying", error: { class: "internal" } });
    const { data } = await listRuns(scene.database, { item_id: item.item_id, limit: 1 });
    expect(data).toMatchObject([
      { id: events[0]?.data["run_id"], outcome: "failed", webhooks: 0, error: { message: "nobody foresaw this" } },
    ]);
  });
});
