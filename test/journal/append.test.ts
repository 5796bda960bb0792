import { describe, expect, test } from "vitest";
import { append, findAccepted } from "../../src/journal/append.ts";
import { testDatabase } from "../support/database.ts";
import { INTEGRATION, proof, webhook } from "../support/webhook.ts";
import { journaled, linkItem, unmarked } from "./support.ts";

describe("append", () => {
  test("a webhook is journaled as it came, with what its sender requests, and waits to be marked", async () => {
    await using db = await testDatabase();
    const given = webhook({ body: Buffer.from([0, 255, 34, 10]), requested: ["accounts"] });
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
        requested: ["accounts"],
        processed_at: null,
        update_info: null,
        body_sha256: null,
        body_bytes: null,
        body_pruned_at: null,
      },
    ]);
    expect(await unmarked(db.database)).toEqual([[given.id]]);
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

  test("the same JWT in a later batch is a duplicate: nothing is stored and nothing is to be marked", async () => {
    await using db = await testDatabase();
    const first = webhook();
    await append(db.database, [first]);
    const again = webhook({ proof: first.proof });
    expect(await append(db.database, [again])).toEqual([{ id: first.id, duplicate: true }]);
    expect(await journaled(db.database)).toBe(1);
    expect(await unmarked(db.database)).toEqual([[first.id]]);
    expect(await findAccepted(db.database, first.proof ?? proof())).toEqual({ id: first.id, waits: false });
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

  test("a batch with a duplicate puts the others into the outbox, in the order of their ids", async () => {
    await using db = await testDatabase();
    const first = webhook({ itemId: "item-1" });
    await append(db.database, [first]);
    const batch = [
      webhook({ itemId: "item-1", proof: first.proof }),
      webhook({ itemId: "item-2" }),
      webhook({ itemId: "item-1" }),
      webhook({ itemId: null, proof: proof() }),
    ];
    const appended = await append(db.database, batch.toReversed());
    expect(appended.map(({ duplicate }) => duplicate)).toEqual([false, false, false, true]);
    const fresh = batch.slice(1).map(({ id }) => id);
    expect(await unmarked(db.database)).toEqual([[first.id], fresh]);
    const { rows } = await db.database.query<{ webhooks: string[] }>("select webhooks from events.outbox order by id");
    expect(rows.map(({ webhooks }) => webhooks)).toEqual([[first.id], fresh]);
    expect(await journaled(db.database)).toBe(4);
  });

  test("a webhook gets the user of its item unless it names one", async () => {
    await using db = await testDatabase();
    await linkItem(db.database, "item-1", "user-1");
    await append(db.database, [webhook(), webhook({ userId: "user-2" }), webhook({ itemId: "item-9" })]);
    const { rows } = await db.database.query<{ user_id: string | null }>(
      "select user_id from journal.webhooks order by id",
    );
    expect(rows.map(({ user_id }) => user_id)).toEqual(["user-1", "user-2", null]);
  });

  test("a rolled-back transaction leaves no webhook, no row in the outbox and no accepted token", async () => {
    await using db = await testDatabase();
    const given = webhook();
    await expect(
      db.database.transaction(async (tx) => {
        await append(tx, [given]);
        throw new Error("no");
      }),
    ).rejects.toThrow("no");
    expect(await journaled(db.database)).toBe(0);
    expect(await unmarked(db.database)).toEqual([]);
    expect(await append(db.database, [given])).toEqual([{ id: given.id, duplicate: false }]);
  });

  test("sync is notified that something arrived", async () => {
    await using db = await testDatabase();
    let notified: () => void = () => undefined;
    const hint = new Promise<void>((resolve) => (notified = resolve));
    await using _listening = await db.database.listen("tartan_arrived", () => notified());
    await append(db.database, [webhook()]);
    await hint;
  });

  test("the index of accepted tokens begins with the time of signing in every partition, so that new ones come to its end", async () => {
    await using db = await testDatabase();
    const { rows } = await db.database.query<{ first: string }>(
      `select distinct a.attname as first from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
       where i.indisprimary and i.indrelid in (select relid from pg_partition_tree('journal.accepted_tokens'))`,
    );
    expect(rows).toEqual([{ first: "signed_at" }]);
  });

  test("an empty batch stores nothing", async () => {
    await using db = await testDatabase();
    expect(await append(db.database, [])).toEqual([]);
  });
});
