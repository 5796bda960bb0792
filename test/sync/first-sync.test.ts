/** From linking to a mirror that equals Plaid, and from there on. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { expectMirrorEqualsTruth } from "../support/oracle.ts";
import { startWorld, type World } from "../support/world/index.ts";

describe("a linked item", () => {
  let world: World<"sync">;
  beforeAll(async () => {
    world = await startWorld({ sync: {} });
  });
  afterAll(() => world[Symbol.asyncDispose]());

  it("a linked item is synced at once with its institution, and has verified_at", async () => {
    const item = await world.sync.synced(1200);
    await expectMirrorEqualsTruth(world.database, world.simulator, item.item_id);
    const subject = await world.sync.subject(item.item_id);
    expect(subject).toMatchObject({
      status: "ok",
      due_at: null,
      oldest_unserved: null,
      requested: [],
      claimed: [],
      attempts: 0,
    });
    expect(subject.verified_at).toBeInstanceOf(Date);
    const { rows } = await world.database.query(
      "select verified_at from plaid.items i where item_id = $1 and exists (select from plaid.current_institutions n where n.institution_id = i.institution_id)",
      [item.item_id],
    );
    expect(rows).toEqual([{ verified_at: subject.verified_at }]);
  });

  it("the first sync of a linked item writes its summary to the webhook", async () => {
    const item = await world.sync.synced(30);
    const worker = await world.sync.start();
    world.simulator.control.changeTransactions(item.item_id, { add: 7, modify: 3, remove: 2, webhooks: false });
    const uuid = await world.sync.notify(item.item_id);
    await worker.idle();
    const info = await world.sync.info(uuid);
    expect(info).toMatchObject({
      outcome: "synced",
      total_transactions: 35,
      counts: { transactions: { added: 7, modified: 3, removed: 2 } },
      pages: 2,
    });
    expect(info?.["plaid_accounts"]).toHaveLength(world.simulator.control.accounts(item.item_id).accounts.length);
    expect(info?.cursor?.from).not.toBe(info?.cursor?.to);
    await expectMirrorEqualsTruth(world.database, world.simulator, item.item_id);
    await worker[Symbol.asyncDispose]();
  });
});
