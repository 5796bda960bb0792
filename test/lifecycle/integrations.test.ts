/** An integration that is deleted leaves nothing secret, and one that is purged leaves no row. */
import { describe, expect, test } from "vitest";
import { getIntegration, listIntegrations } from "../../src/integrations/integrations.ts";
import { deleteIntegration } from "../../src/lifecycle/integrations.ts";
import { unlinkItem } from "../../src/lifecycle/items.ts";
import { eventsOf, integrate, SECRETS } from "../integrations/support.ts";
import { introduceItem } from "../support/link.ts";
import { startWorld, type World } from "../support/world/index.ts";

describe("deleting", () => {
  const token = SECRETS.token;

  test("deleting an integration deletes its secrets and tokens, takes its subjects out of the queue and keeps its rows", async () => {
    await using world = await startWorld();
    const { database } = world;
    const [id, other] = [await integrate(world), await integrate(world)];
    for (const each of [id, other]) {
      await introduceItem(world, { integration_id: each, item_id: "item-1", access_token: token });
      await addMirrorRow(world, each);
    }
    await deleteIntegration(database, id);
    expect((await listIntegrations(database)).map((integration) => integration.id)).toEqual([other]);
    const { rows: items } = await database.query<{ integration_id: string }>(
      "select integration_id from tartan.items where access_token_sealed is not null",
    );
    expect(items).toEqual([{ integration_id: other }]);
    const { rows: sealed } = await database.query(
      "select id from tartan.integrations where client_secret_sealed is not null or webhook_secret_sealed is not null",
    );
    expect(sealed).toEqual([{ id: other }]);
    const { rows: due } = await database.query("select integration_id from sync.subjects where due_at is not null");
    expect(due).toEqual([{ integration_id: other }]);
    const { rows: waiting } = await database.query(
      "select integration_id from journal.webhooks where processed_at is null",
    );
    expect(waiting).toEqual([{ integration_id: other }]);
    expect(await count(world, "plaid.transactions", id)).toBe(1);
    await expect(
      introduceItem(world, { integration_id: id, item_id: "item-2", access_token: token }),
    ).rejects.toMatchObject({ code: "not_found" });
  });

  test("deleting an integration records item.removed for each linked item and for no other", async () => {
    await using world = await startWorld();
    const { database } = world;
    const id = await integrate(world);
    for (const item_id of ["item-1", "item-2", "item-3"])
      await introduceItem(world, { integration_id: id, item_id, access_token: token, user_id: "u" });
    await unlinkItem(database, id, "item-3");
    const before = await eventsOf(world, "item-3");
    await deleteIntegration(database, id);
    await deleteIntegration(database, id);
    for (const item of ["item-1", "item-2"]) {
      expect((await eventsOf(world, item)).slice(1)).toEqual([
        ["item.removed", { reason: "unlinked", error_code: null }],
      ]);
    }
    expect(await eventsOf(world, "item-3")).toEqual(before);
  });

  test("a purge deletes every row of the integration but who created and deleted it, and no row of the others", async () => {
    await using world = await startWorld();
    const { database } = world;
    const [id, other] = [await integrate(world), await integrate(world)];
    for (const each of [id, other]) {
      await introduceItem(world, { integration_id: each, item_id: "item-1", access_token: token });
      await addMirrorRow(world, each);
      await database.query("insert into journal.refusals (integration_id, reason) values ($1, 'body_mismatch')", [
        each,
      ]);
      await database.query(
        "insert into tartan.plaid_calls (integration_id, day, endpoint, calls, failures, billed) values ($1, now(), '/item/get', 1, 0, 0)",
        [each],
      );
    }
    await deleteIntegration(database, id);
    await deleteIntegration(database, id, { purge: true });
    const { rows: tables } = await database.query<{ name: string }>(
      `select format('%I.%I', n.nspname, c.relname) as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
       where c.relkind = 'r' and exists (select from pg_attribute where attrelid = c.oid and attname = 'integration_id')`,
    );
    expect(tables.length).toBeGreaterThan(8);
    const kept = { "tartan.audit_log": 3 } as Record<string, number>;
    for (const { name } of tables) expect([name, await count(world, name, id)]).toEqual([name, kept[name] ?? 0]);
    for (const name of [
      "plaid.transactions",
      "journal.webhooks",
      "journal.refusals",
      "sync.subjects",
      "tartan.items",
      "tartan.plaid_calls",
    ]) {
      expect([name, await count(world, name, other)]).toEqual([name, 1]);
    }
    expect(await getIntegration(database, other)).not.toBeNull();
  });

  async function addMirrorRow({ database }: World, id: string): Promise<void> {
    const values = [id, "item-1", "transaction-1"];
    await database.query(
      "insert into plaid.transactions (integration_id, item_id, transaction_id, raw) values ($1, $2, $3, '{}')",
      values,
    );
  }

  async function count({ database }: World, table: string, id: string): Promise<number | undefined> {
    const { rows } = await database.query<{ count: number }>(
      `select count(*) as count from ${table} where integration_id = $1`,
      [id],
    );
    return rows[0]?.count;
  }
});
