import { describe, expect, test } from "vitest";
import type { Queryable } from "../../src/database/types.ts";
import { noteNotice } from "../../src/events/sync-outbox.ts";
import { append } from "../../src/journal/append.ts";
import { markWaiting } from "../../src/sync/marker.ts";
import { markDue } from "../../src/sync/marks.ts";
import { markAll } from "../support/mark.ts";
import { INTEGRATION, webhook } from "../support/webhook.ts";
import { startWorld, type World } from "../support/world/index.ts";
import { linkItem, subject, unmarked } from "../journal/support.ts";

/** A world with the items `item-1` to `item-3`, which are linked. */
async function withItems(): Promise<World> {
  const world = await startWorld();
  for (const itemId of ["item-1", "item-2", "item-3"]) await linkItem(world.database, itemId, "user-1");
  return world;
}

const NOTHING = { subjects: 0, more: false, deferred: false };

describe("the marker", () => {
  test("a webhook makes its item due, and what its sender requests stays in the webhook's row", async () => {
    await using world = await withItems();
    const given = webhook({ requested: ["accounts"] });
    await append(world.database, [given]);
    expect(await subject(world.database)).toBeUndefined();
    expect(await markWaiting(world.database)).toEqual({ subjects: 1, more: false, deferred: false });
    const row = await subject(world.database);
    expect(row).toMatchObject({ generation: 1, oldest_unserved: given.id, requested: [] });
    expect(row?.due_at?.getTime()).toBeLessThanOrEqual(Date.now() + 1000);
    expect(await unmarked(world.database)).toEqual([]);
    expect(await markWaiting(world.database)).toEqual(NOTHING);
  });

  test("many webhooks of one item are one mark, which keeps the oldest, in any order", async () => {
    await using world = await withItems();
    const [first, second, third] = [webhook(), webhook(), webhook()];
    await append(world.database, [third, second]);
    await append(world.database, [first]);
    await markAll(world.database);
    expect(await subject(world.database)).toMatchObject({ generation: 1, oldest_unserved: first.id });
  });

  test("a webhook that is marked while an older one waits does not hide the older one", async () => {
    await using world = await withItems();
    const [older, newer] = [webhook(), webhook()];
    await append(world.database, [older]);
    await markAll(world.database);
    await append(world.database, [newer]);
    await markAll(world.database);
    expect(await subject(world.database)).toMatchObject({ generation: 2, oldest_unserved: older.id });
  });

  test("marks of thousands of subjects go to Postgres a thousand at a time", async () => {
    await using world = await startWorld();
    const sizes: number[] = [];
    const counted: Queryable = {
      query: (statement, values = []) => {
        const [integrations] = values;
        // The length of an array in Postgres' binary form.
        if (Buffer.isBuffer(integrations)) sizes.push(integrations.readInt32BE(12));
        return world.database.query(statement, values);
      },
    };
    const ids = Array.from({ length: 2001 }, (_, n) => `transfer-${n}`);
    await markDue(
      counted,
      ids.map((id) => ({ integrationId: INTEGRATION, kind: "transfer", id, requested: ["*"] })),
    );
    expect(sizes).toEqual([1000, 1000, 1]);
    const { rows } = await world.database.query("select from sync.subjects where ready and generation = 1");
    expect(rows).toHaveLength(ids.length);
  });

  test("the marker makes nothing due for a webhook that a run has already served", async () => {
    await using world = await withItems();
    await append(world.database, [webhook()]);
    await world.database.query("update journal.webhooks set processed_at = now()");
    expect(await markWaiting(world.database)).toEqual(NOTHING);
    expect(await subject(world.database)).toBeUndefined();
    expect(await unmarked(world.database)).toEqual([]);
  });

  test("a subject that a run works on stays with its worker and is newer than the run claimed", async () => {
    await using world = await withItems();
    await append(world.database, [webhook()]);
    await markAll(world.database);
    // In the future, or the subject would be due anyway.
    const leaseEnd = new Date("2099-01-01T00:00:00Z");
    await world.database.query("update sync.subjects set lease_token = gen_random_uuid(), due_at = $1", [leaseEnd]);
    await append(world.database, [webhook()]);
    await markAll(world.database);
    expect(await subject(world.database)).toMatchObject({ due_at: leaseEnd, generation: 2 });
  });

  test("a mark makes an idle subject due and a waiting one due sooner, but none before its not_before", async () => {
    await using world = await withItems();
    const mark = async (columns: string) => {
      await world.database.query(`update sync.subjects set ${columns}`);
      await append(world.database, [webhook()]);
      await markAll(world.database);
      return (await subject(world.database))?.due_at;
    };
    await append(world.database, [webhook()]);
    await markAll(world.database);
    expect((await mark("due_at = null"))?.getTime()).toBeLessThanOrEqual(Date.now() + 1000);
    expect((await mark("due_at = '2099-01-01'"))?.getTime()).toBeLessThanOrEqual(Date.now() + 1000);
    expect(await mark("due_at = '2099-01-02', not_before = '2099-01-01'")).toEqual(new Date("2099-01-01"));
  });

  test("a subject that another transaction locks is marked later, and the others at once", async () => {
    await using world = await withItems();
    await markDue(world.database, [{ integrationId: INTEGRATION, kind: "item", id: "item-1" }]);
    const [held, free] = [webhook({ itemId: "item-1" }), webhook({ itemId: "item-2" })];
    await append(world.database, [held, free]);
    await world.database.transaction(async (tx) => {
      await tx.query("select from sync.subjects where id = 'item-1' for update");
      expect(await markWaiting(world.database)).toEqual({ subjects: 1, more: false, deferred: true });
      expect(await subject(world.database, "item-2")).toMatchObject({ oldest_unserved: free.id });
      expect(await unmarked(world.database)).toEqual([[held.id]]);
    });
    expect(await markWaiting(world.database)).toEqual({ subjects: 1, more: false, deferred: false });
    expect(await subject(world.database, "item-1")).toMatchObject({ generation: 2, oldest_unserved: held.id });
  });

  test("a stale notice about a subject that another transaction locks is marked later, with all that it requests", async () => {
    await using world = await withItems();
    await markDue(world.database, [{ integrationId: INTEGRATION, kind: "item", id: "item-1" }]);
    const about = { integration_id: INTEGRATION, kind: "item", type: "TRANSACTIONS", requested: ["*"] };
    await noteNotice(world.database, { ...about, id: "item-1", code: "SYNC_UPDATES_AVAILABLE" });
    await world.database.transaction(async (tx) => {
      await tx.query("select from sync.subjects where id = 'item-1' for update");
      expect(await markWaiting(world.database)).toEqual({ subjects: 0, more: false, deferred: true });
    });
    expect(await markWaiting(world.database)).toEqual({ subjects: 1, more: false, deferred: false });
    expect(await subject(world.database, "item-1")).toMatchObject({ generation: 2, requested: ["*"] });
  });

  test("a marker skips rows that another marker has locked, and finds them when that one fails", async () => {
    await using world = await withItems();
    await append(world.database, [webhook()]);
    let during: unknown;
    const failing = world.database.transaction(async (tx) => {
      await tx.query("select from events.sync_outbox for update");
      during = await markWaiting(world.database);
      throw new Error("the process ends");
    });
    await expect(failing).rejects.toThrow("the process ends");
    expect(during).toEqual(NOTHING);
    expect(await markWaiting(world.database)).toMatchObject({ subjects: 1 });
  });

  test("webhooks beyond the bound of one transaction are marked by the next ones, each once", async () => {
    await using world = await withItems();
    for (let commit = 0; commit < 5; commit += 1)
      await append(
        world.database,
        Array.from({ length: 600 }, (_, index) => webhook({ itemId: `item-${(index % 3) + 1}`, proof: null })),
      );
    expect(await markWaiting(world.database)).toMatchObject({ subjects: 3, more: true });
    await markAll(world.database);
    expect(await unmarked(world.database)).toEqual([]);
    expect(await subject(world.database, "item-3")).toMatchObject({ generation: 2 });
  });

  test("linking an item makes its subject due in every status", async () => {
    await using world = await withItems();
    await markDue(world.database, [{ integrationId: INTEGRATION, kind: "item", id: "item-1" }]);
    await world.database.query(
      "update sync.subjects set status = 'needs_user', attempts = 3, not_before = '2099-01-01', due_at = '2099-01-01'",
    );
    await append(world.database, [
      webhook({ source: "BACKEND", proof: null, webhookType: "ITEM", webhookCode: "CREATED", requested: ["*"] }),
    ]);
    await markAll(world.database);
    const { rows } = await world.database.query("select status, attempts, due_at <= now() as due from sync.subjects");
    expect(rows).toEqual([{ status: "pending", attempts: 0, due: true }]);
  });

  test("a stale notice has all of its subject read, unless its webhook touches nothing mirrored", async () => {
    await using world = await withItems();
    const about = { integration_id: INTEGRATION, kind: "item", code: "SYNC_UPDATES_AVAILABLE", requested: ["*"] };
    await noteNotice(world.database, { ...about, id: "item-1", type: "TRANSACTIONS" });
    await noteNotice(world.database, { ...about, id: "item-2", type: "INVENTED" });
    await noteNotice(world.database, { ...about, id: "nobody-linked-it", type: "TRANSACTIONS" });
    await markAll(world.database);
    expect(await subject(world.database, "item-1")).toMatchObject({ requested: ["*"], oldest_unserved: null });
    expect(await subject(world.database, "item-2")).toBeUndefined();
    expect(await subject(world.database, "nobody-linked-it")).toMatchObject({ due_at: null });
  });
});

describe("markDue", () => {
  test("markDue without marks runs no statement", async () => {
    await using world = await startWorld();
    await markDue(world.database, []);
  });

  test("markDue marks subjects without a webhook, each once, with everything that is requested", async () => {
    await using world = await startWorld();
    const mark = { integrationId: INTEGRATION, kind: "item" };
    await markDue(world.database, [
      { ...mark, id: "item-2", requested: ["*"] },
      { ...mark, id: "item-1" },
      { ...mark, id: "item-2", requested: ["accounts"] },
    ]);
    expect(await subject(world.database, "item-1")).toMatchObject({
      generation: 1,
      oldest_unserved: null,
      requested: [],
    });
    expect((await subject(world.database, "item-2"))?.requested).toEqual(["*", "accounts"]);
    await markDue(world.database, [{ ...mark, id: "item-1", requested: ["accounts"] }]);
    expect(await subject(world.database, "item-1")).toMatchObject({ generation: 2, requested: ["accounts"] });
  });

  test("a subject that is marked for later is not due earlier", async () => {
    await using world = await startWorld();
    const notBefore = new Date("2099-01-01");
    await markDue(world.database, [{ integrationId: INTEGRATION, kind: "item", id: "item-1", notBefore }]);
    expect((await subject(world.database))?.due_at).toEqual(notBefore);
  });
});
