/** From linking to a mirror that equals Plaid, and from there on. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { expectMirrorEqualsTruth } from "../support/oracle.ts";
import { openScene, type Scene } from "./support.ts";

describe("a linked item", () => {
  let scene: Scene;
  beforeAll(async () => {
    scene = await openScene();
  });
  afterAll(() => scene[Symbol.asyncDispose]());

  it("a linked item is synced at once with its institution, and has verified_at", async () => {
    const item = await scene.synced(1200);
    await expectMirrorEqualsTruth(scene.database, scene.simulator, item.item_id);
    const subject = await scene.subject(item.item_id);
    expect(subject).toMatchObject({
      status: "ok",
      due_at: null,
      oldest_unserved: null,
      requested: [],
      claimed: [],
      attempts: 0,
    });
    expect(subject.verified_at).toBeInstanceOf(Date);
    const { rows } = await scene.database.query(
      "select verified_at from plaid.items i where item_id = $1 and exists (select from plaid.current_institutions n where n.institution_id = i.institution_id)",
      [item.item_id],
    );
    expect(rows).toEqual([{ verified_at: subject.verified_at }]);
  });

  it("the first sync of a linked item writes its summary to the webhook", async () => {
    const item = await scene.synced(30);
    const worker = await scene.work();
    scene.simulator.control.changeTransactions(item.item_id, { add: 7, modify: 3, remove: 2, webhooks: false });
    const uuid = await scene.notify(item.item_id);
    await worker.idle();
    const info = await scene.info(uuid);
    expect(info).toMatchObject({
      outcome: "synced",
      total_transactions: 35,
      counts: { transactions: { added: 7, modified: 3, removed: 2 } },
      pages: 2,
    });
    expect(info?.["plaid_accounts"]).toHaveLength(scene.simulator.control.accounts(item.item_id).accounts.length);
    expect(info?.cursor?.from).not.toBe(info?.cursor?.to);
    await expectMirrorEqualsTruth(scene.database, scene.simulator, item.item_id);
    await worker[Symbol.asyncDispose]();
  });
});
