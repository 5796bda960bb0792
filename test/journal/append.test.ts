import { describe, expect, test } from "vitest";
import { append, findAccepted } from "../../src/journal/append.ts";
import { markDue } from "../../src/sync/marks.ts";
import { testDatabase } from "../support/database.ts";
import { INTEGRATION, journaled, linkItem, proof, subject, webhook } from "./support.ts";

describe("append", () => {
  test("a webhook is journaled as it came, and its subject is due", async () => {
    await using db = await testDatabase();
    const given = webhook({ body: Buffer.from([0, 255, 34, 10]), wanted: ["accounts"] });
    expect(await append(db.database, [given])).toEqual([{ id: given.id, duplicate: false }]);
    const { rows } = await db.database.query("select * from journal.webhooks");
    expect(rows).toEqual([
      {
        id: given.id,
        integration_id: INTEGRATION,
        source: "PLAID",
        subject_kind: "item",
        subject_id: "item-1",
        item_id: "item-1",
        user_id: null,
        webhook_type: "TRANSACTIONS",
        webhook_code: "SYNC_UPDATES_AVAILABLE",
        environment: "sandbox",
        received_at: given.receivedAt,
        body: given.body,
        verification: given.proof?.jwt,
        key_id: "kid-1",
        signed_at: given.proof?.signedAt,
        processed_at: null,
        update_info: null,
      },
    ]);
    const row = await subject(db.database);
    expect(row).toMatchObject({ generation: 1, oldest_unserved: given.id, wanted: ["accounts"] });
    expect(row?.due_at).toBeInstanceOf(Date);
  });

  test("the same JWT twice in one batch is one webhook, with the id of the first", async () => {
    await using db = await testDatabase();
    const first = webhook();
    const again = webhook({ proof: first.proof });
    const other = webhook();
    expect(await append(db.database, [first, again, other])).toEqual([
      { id: first.id, duplicate: false },
      { id: first.id, duplicate: true },
      { id: other.id, duplicate: false },
    ]);
    expect(await journaled(db.database)).toBe(2);
  });

  test("the same JWT in a later batch is a duplicate: nothing is stored and nothing becomes due", async () => {
    await using db = await testDatabase();
    const first = webhook();
    await append(db.database, [first]);
    const before = await subject(db.database);
    const again = webhook({ proof: first.proof });
    expect(await append(db.database, [again])).toEqual([{ id: first.id, duplicate: true }]);
    expect(await journaled(db.database)).toBe(1);
    expect(await subject(db.database)).toEqual(before);
    expect(await findAccepted(db.database, first.proof ?? proof())).toBe(first.id);
    expect(await findAccepted(db.database, proof())).toBeNull();
  });

  test("equal bodies under different JWTs are different webhooks", async () => {
    await using db = await testDatabase();
    const body = Buffer.from("{}");
    await append(db.database, [webhook({ body }), webhook({ body })]);
    expect(await journaled(db.database)).toBe(2);
  });

  test("webhooks without a token are never duplicates", async () => {
    await using db = await testDatabase();
    await append(db.database, [
      webhook({ proof: null, source: "BACKEND" }),
      webhook({ proof: null, source: "BACKEND" }),
    ]);
    expect(await journaled(db.database)).toBe(2);
  });

  test("a batch with a duplicate among many still marks the others, and the item of both once", async () => {
    await using db = await testDatabase();
    const first = webhook({ itemId: "item-1" });
    await append(db.database, [first]);
    const batch = [
      webhook({ itemId: "item-1", proof: first.proof }),
      webhook({ itemId: "item-2" }),
      webhook({ itemId: "item-1" }),
      webhook({ itemId: null, proof: proof() }),
    ];
    const appended = await append(db.database, batch);
    expect(appended.map(({ duplicate }) => duplicate)).toEqual([true, false, false, false]);
    expect(await subject(db.database, "item-1")).toMatchObject({ generation: 2, oldest_unserved: first.id });
    expect(await subject(db.database, "item-2")).toMatchObject({ generation: 1, oldest_unserved: batch[1]?.id });
    expect(await journaled(db.database)).toBe(4);
  });

  test("the oldest unserved webhook of a batch is remembered, whatever their order", async () => {
    await using db = await testDatabase();
    const [older, newer] = [webhook(), webhook()];
    await append(db.database, [newer, older]);
    expect(await subject(db.database)).toMatchObject({ generation: 1, oldest_unserved: older.id });
  });

  test("what is wanted adds up without repeating itself", async () => {
    await using db = await testDatabase();
    await append(db.database, [webhook({ wanted: ["accounts"] }), webhook({ wanted: ["*", "accounts"] })]);
    expect((await subject(db.database))?.wanted.toSorted()).toEqual(["*", "accounts"]);
    await append(db.database, [webhook({ wanted: ["transactions:full"] }), webhook()]);
    expect((await subject(db.database))?.wanted.toSorted()).toEqual(["*", "accounts", "transactions:full"]);
  });

  test("the user is looked up from the item, unless the webhook names one", async () => {
    await using db = await testDatabase();
    await linkItem(db.database, "item-1", "user-1");
    await append(db.database, [webhook(), webhook({ userId: "user-2" }), webhook({ itemId: "item-9" })]);
    const { rows } = await db.database.query<{ user_id: string | null }>(
      "select user_id from journal.webhooks order by id",
    );
    expect(rows.map(({ user_id }) => user_id)).toEqual(["user-1", "user-2", null]);
  });

  test("a subject that is being worked on stays with its worker and is newer than what it claimed", async () => {
    await using db = await testDatabase();
    await append(db.database, [webhook()]);
    const leaseEnd = new Date("2026-01-01T00:00:00Z");
    await db.database.query("update sync.subjects set lease_token = gen_random_uuid(), due_at = $1", [leaseEnd]);
    await append(db.database, [webhook()]);
    expect(await subject(db.database)).toMatchObject({ due_at: leaseEnd, generation: 2 });
  });

  test("a mark makes an idle subject due, a waiting one due sooner, but none before its not_before", async () => {
    await using db = await testDatabase();
    const set = (columns: string) => db.database.query(`update sync.subjects set ${columns}`);
    await append(db.database, [webhook()]);
    await set("due_at = null");
    await append(db.database, [webhook()]);
    expect((await subject(db.database))?.due_at?.getTime()).toBeLessThanOrEqual(Date.now() + 1000);
    await set("due_at = '2099-01-01'");
    await append(db.database, [webhook()]);
    expect((await subject(db.database))?.due_at?.getTime()).toBeLessThanOrEqual(Date.now() + 1000);
    await set("due_at = '2099-01-02', not_before = '2099-01-01'");
    await append(db.database, [webhook()]);
    expect((await subject(db.database))?.due_at).toEqual(new Date("2099-01-01"));
  });

  test("a rolled-back transaction leaves neither webhook, nor mark, nor memory of the JWT", async () => {
    await using db = await testDatabase();
    const given = webhook();
    await expect(
      db.database.transaction(async (tx) => {
        await append(tx, [given]);
        throw new Error("no");
      }),
    ).rejects.toThrow("no");
    expect(await journaled(db.database)).toBe(0);
    expect(await subject(db.database)).toBeUndefined();
    expect(await append(db.database, [given])).toEqual([{ id: given.id, duplicate: false }]);
  });

  test("listeners hear that something is due", async () => {
    await using db = await testDatabase();
    let heard: () => void = () => undefined;
    const hint = new Promise<void>((resolve) => (heard = resolve));
    await using _listening = await db.database.listen("tartan_due", () => heard());
    await append(db.database, [webhook()]);
    await hint;
  });

  test("an empty batch is nothing", async () => {
    await using db = await testDatabase();
    expect(await append(db.database, [])).toEqual([]);
    await markDue(db.database, []);
  });
});

describe("markDue", () => {
  test("marks subjects without a webhook, each once, with all that is wanted", async () => {
    await using db = await testDatabase();
    const mark = { integrationId: INTEGRATION, kind: "item" };
    await markDue(db.database, [
      { ...mark, id: "item-2", wanted: ["*"] },
      { ...mark, id: "item-1" },
      { ...mark, id: "item-2", wanted: ["accounts"] },
    ]);
    expect(await subject(db.database, "item-1")).toMatchObject({ generation: 1, oldest_unserved: null, wanted: [] });
    expect((await subject(db.database, "item-2"))?.wanted).toEqual(["*", "accounts"]);
    await markDue(db.database, [{ ...mark, id: "item-1", wanted: ["accounts"] }]);
    expect(await subject(db.database, "item-1")).toMatchObject({ generation: 2, wanted: ["accounts"] });
  });

  test("one marked for later is due no sooner", async () => {
    await using db = await testDatabase();
    const notBefore = new Date("2099-01-01");
    await markDue(db.database, [{ integrationId: INTEGRATION, kind: "item", id: "item-1", notBefore }]);
    expect((await subject(db.database))?.due_at).toEqual(notBefore);
  });
});
