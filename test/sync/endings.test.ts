/** Items that end, come back, or were never linked. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { systemClock } from "../../src/clock.ts";
import { unlinkItem } from "../../src/lifecycle/items.ts";
import { createPlaidClient } from "../../src/plaid/client.ts";
import { PlaidError } from "../../src/plaid/errors.ts";
import type { SyncOptions } from "../../src/sync/sync.ts";
import { expectMirrorEqualsTruth } from "../support/oracle.ts";
import { startWorld, type Item, type World } from "../support/world/index.ts";
import { gated } from "./support.ts";

let world: World<"sync">;
beforeAll(async () => {
  world = await startWorld({ simulator: { extraction: { initialMs: 60_000, historicalMs: 180_000 } }, sync: {} });
});
afterAll(() => world[Symbol.asyncDispose]());

const itemRow = async ({ item_id }: Item): Promise<Record<string, unknown> | undefined> =>
  (await world.database.query("select * from plaid.items where item_id = $1", [item_id])).rows[0];
const run = async (clientFor?: SyncOptions["clientFor"]): Promise<void> => {
  const worker = await world.sync.start(clientFor && { clientFor });
  await worker.idle({ retries: true });
  await worker[Symbol.asyncDispose]();
};
describe("an item that is gone", () => {
  it("an item whose user revoked access ends: every row is removed, no request follows, and linking it anew restores it", async () => {
    const item = await world.sync.synced(25);
    world.simulator.control.revokeItem(item.item_id, { webhooks: false });
    const uuid = await world.sync.notify(item.item_id, "USER_PERMISSION_REVOKED", "ITEM");
    const asked = world.simulator.asked("/transactions/sync");
    await run();
    expect(world.simulator.asked("/transactions/sync")).toBe(asked);
    expect(await world.sync.info(uuid)).toMatchObject({ outcome: "ended", counts: { transactions: { removed: 25 } } });
    await expectMirrorEqualsTruth(world.database, world.simulator, item.item_id);
    expect(await world.sync.subject(item.item_id)).toMatchObject({ status: "ended", due_at: null });
    const cursors = await world.database.query("select from sync.cursors where id = $1", [item.item_id]);
    expect(cursors.rows).toHaveLength(0);
    expect((await itemRow(item))?.["removed_at"]).toBeInstanceOf(Date);
  });

  it("an item that was removed at Plaid ends, and gets all its rows back when it is linked again", async () => {
    const item = await world.sync.synced(25);
    const { database } = world;
    await world.sync.notify(item.item_id, "ERROR", "ITEM");
    await run(
      gated(() => {
        throw new PlaidError({ errorType: "INVALID_INPUT", errorCode: "ITEM_NOT_FOUND", httpStatus: 400 });
      }),
    );
    expect(await world.sync.subject(item.item_id)).toMatchObject({
      status: "ended",
      last_error: { error_code: "ITEM_NOT_FOUND" },
    });
    const { rows } = await database.query("select from plaid.current_transactions where item_id = $1", [item.item_id]);
    expect(rows).toHaveLength(0);
    expect(await itemRow(item)).toMatchObject({ error_code: "ITEM_NOT_FOUND", removed_at: expect.any(Date) });
    await world.integration.link(item);
    await run();
    expect(await world.sync.subject(item.item_id)).toMatchObject({ status: "ok", attempts: 0 });
    await expectMirrorEqualsTruth(world.database, world.simulator, item.item_id);
  });

  it("an item that is given the token of another removed item keeps its rows", async () => {
    const item = await world.sync.synced(25);
    const [other] = world.integration.makeItems(1, 1);
    if (!other) throw new Error("no item");
    await post("/item/remove", other.access_token);
    await world.integration.link({ ...item, access_token: other.access_token });
    await run();
    expect(await world.sync.subject(item.item_id)).toMatchObject({
      status: "ended",
      last_error: { error_code: "ITEM_NOT_FOUND" },
    });
    expect(await itemRow(item)).toMatchObject({ error_code: "ITEM_NOT_FOUND", removed_at: null });
    const { rows } = await world.database.query("select from plaid.current_transactions where item_id = $1", [
      item.item_id,
    ]);
    expect(rows).toHaveLength(25);
    await world.integration.link(item);
    await run();
    expect(await world.sync.subject(item.item_id)).toMatchObject({ status: "ok", attempts: 0 });
    await expectMirrorEqualsTruth(world.database, world.simulator, item.item_id);
  });

  it("an item loses the rows of an account whose access was revoked, and no others", async () => {
    const item = await world.sync.synced(60);
    world.simulator.control.revokeAccount(item.item_id, { webhooks: false });
    await world.sync.notify(item.item_id, "USER_ACCOUNT_REVOKED", "ITEM");
    await run();
    await expectMirrorEqualsTruth(world.database, world.simulator, item.item_id);
  });

  const post = async (path: string, access_token: string): Promise<void> => {
    const { url: baseUrl, clientId, secret } = world.simulator;
    await createPlaidClient({ baseUrl, clientId, secret, timeoutMs: 5000, clock: systemClock }).post(path, {
      access_token,
    });
  };
});

describe("an item without a token", () => {
  it("the webhooks of an item without a token are processed as item_unknown without a run, and the item is synced as soon as it is linked", async () => {
    const [item] = world.integration.makeItems(1, 12);
    if (!item) throw new Error("no item");
    const uuid = await world.sync.notify(item.item_id, "INITIAL_UPDATE");
    await run();
    expect(await world.sync.info(uuid)).toMatchObject({ outcome: "item_unknown" });
    expect(await world.sync.subject(item.item_id)).toMatchObject({ status: "unlinked", due_at: null });
    const { rows } = await world.database.query("select outcome, webhooks from sync.runs where subject_id = $1", [
      item.item_id,
    ]);
    expect(rows).toEqual([]);
    await world.integration.link(item);
    await run();
    expect(await world.sync.subject(item.item_id)).toMatchObject({ status: "ok" });
    await expectMirrorEqualsTruth(world.database, world.simulator, item.item_id);
  });

  it("webhooks of an unlinked item leave its mirror as it is", async () => {
    const item = await world.sync.synced(3);
    await unlinkItem(world.database, world.integration.id, item.item_id);
    const uuid = await world.sync.notify(item.item_id);
    await run();
    expect(await world.sync.info(uuid)).toMatchObject({ outcome: "item_unknown" });
    await expectMirrorEqualsTruth(world.database, world.simulator, item.item_id);
  });
});
