/** Linking an item: its token, its webhook, its events and its first sync come in one transaction, or not at all. */
import { describe, expect, test } from "vitest";
import type { Database, Queryable } from "../../src/database/types.ts";
import { getItemSecret } from "../../src/integrations/items.ts";
import { append } from "../../src/journal/append.ts";
import { unlinkItem } from "../../src/lifecycle/items.ts";
import { fromWebhookId } from "../../src/model/ids.ts";
import { listItems } from "../../src/sync/items.ts";
import { eventsOf, integrate, SECRETS, subjectOf } from "../integrations/support.ts";
import { introduceItem } from "../support/link.ts";
import { webhook } from "../support/webhook.ts";
import { startWorld, type World } from "../support/world/index.ts";

const token = SECRETS.token;

/** As the receiver would, for an item that is not known yet. */
async function acceptWebhook({ database }: World, integrationId: string, itemId: string): Promise<string> {
  const [accepted] = await append(database, [webhook({ integrationId, itemId })]);
  return accepted?.id ?? "";
}

describe("linking an item", () => {
  test("linking an item stores its token sealed, journals ITEM/CREATED without it, and makes the item due with everything", async () => {
    await using world = await startWorld();
    const integration_id = await integrate(world);
    const linked = await introduceItem(world, { integration_id, item_id: "i1", access_token: token, user_id: "u1" });
    expect(linked).toMatchObject({ item_id: "i1", created: true });
    const { rows } = await world.database.query("select * from journal.webhooks where id = $1", [
      fromWebhookId(linked.webhook_id),
    ]);
    expect(rows[0]).toMatchObject({
      source: "BACKEND",
      webhook_type: "ITEM",
      webhook_code: "CREATED",
      item_id: "i1",
      user_id: "u1",
      environment: "sandbox",
    });
    expect(JSON.parse(String(rows[0]?.["body"]))).toEqual({
      webhook_type: "ITEM",
      webhook_code: "CREATED",
      item_id: "i1",
      user_id: "u1",
    });
    expect(await subjectOf(world, "i1")).toMatchObject({ status: "pending", due_at: expect.any(Date) });
    expect(rows[0]).toMatchObject({ requested: ["*"] });
    expect(await getItemSecret(world.database, world.vault, integration_id, "i1")).toEqual({
      access_token: token,
      user_id: "u1",
    });
  });

  test("linking an item twice replaces the token and keeps the known user", async () => {
    await using world = await startWorld();
    const integration_id = await integrate(world);
    const item = { integration_id, item_id: "i1" };
    await introduceItem(world, { ...item, access_token: token, user_id: "u1" });
    expect(await introduceItem(world, { ...item, access_token: "access-sandbox-2" })).toMatchObject({ created: false });
    expect(await getItemSecret(world.database, world.vault, integration_id, "i1")).toEqual({
      access_token: "access-sandbox-2",
      user_id: "u1",
    });
  });

  test("linking an item gives the webhooks that came before it their user", async () => {
    await using world = await startWorld();
    const integration_id = await integrate(world);
    const early = await acceptWebhook(world, integration_id, "i1");
    const foreign = await acceptWebhook(world, integration_id, "i2");
    await introduceItem(world, { integration_id, item_id: "i1", access_token: token, user_id: "u1" });
    const late = await acceptWebhook(world, integration_id, "i1");
    const { rows } = await world.database.query<{ id: string; user_id: string | null }>(
      "select id, user_id from journal.webhooks where source = 'PLAID'",
    );
    const users = new Map(rows.map((row) => [row.id, row.user_id]));
    expect([early, foreign, late].map((id) => users.get(id))).toEqual(["u1", null, "u1"]);
  });

  test("linking an item that had ended makes it due again", async () => {
    await using world = await startWorld();
    const integration_id = await integrate(world);
    const item = { integration_id, item_id: "i1", access_token: token };
    await introduceItem(world, item);
    await world.database.query(
      "update sync.subjects set status = 'ended', due_at = null, not_before = now() + interval '1 day', attempts = 9",
    );
    await introduceItem(world, item);
    const { rows } = await world.database.query("select status, attempts, due_at <= now() as due from sync.subjects");
    expect(rows).toEqual([{ status: "pending", attempts: 0, due: true }]);
  });

  test("linking an item never journals a body that still holds the token", async () => {
    await using world = await startWorld();
    const integration_id = await integrate(world);
    const body = Buffer.from(JSON.stringify({ item_id: "i1", access_token: token, extra: 1 }));
    await introduceItem(world, { integration_id, item_id: "i1", access_token: token, body });
    const { rows } = await world.database.query<{ body: Buffer }>("select body from journal.webhooks");
    expect(rows[0]?.body.includes(token)).toBe(false);
  });

  test("linking an item keeps the given body when it does not hold the token", async () => {
    await using world = await startWorld();
    const integration_id = await integrate(world);
    const body = Buffer.from('{ "item_id": "i1" }');
    await introduceItem(world, { integration_id, item_id: "i1", access_token: token, body });
    const { rows } = await world.database.query<{ body: Buffer }>("select body from journal.webhooks");
    expect(rows[0]?.body.equals(body)).toBe(true);
  });

  test("linking an item without an existing integration or without a required field changes nothing", async () => {
    await using world = await startWorld();
    const integration_id = await integrate(world);
    const item = { integration_id, item_id: "i1", access_token: token };
    await expect(introduceItem(world, { ...item, integration_id: "svi_none" })).rejects.toMatchObject({
      code: "not_found",
    });
    const refused = introduceItem(world, { ...item, item_id: "", access_token: "nul\0", user_id: " " });
    await expect(refused).rejects.toMatchObject({
      code: "invalid_request",
      fields: { item_id: expect.any(String), access_token: expect.any(String), user_id: expect.any(String) },
    });
    await expect(refused).rejects.not.toThrow("nul");
    const { rows } = await world.database.query("select from tartan.items union all select from sync.subjects");
    expect(rows).toEqual([]);
  });

  test("linking many items at once, some of them twice, links each once", async () => {
    await using world = await startWorld();
    const integration_id = await integrate(world);
    const results = await Promise.all(
      Array.from({ length: 60 }, (_, index) =>
        introduceItem(world, {
          integration_id,
          item_id: `i${index % 7}`,
          access_token: token,
          user_id: `u${index % 7}`,
        }),
      ),
    );
    expect(results.filter(({ created }) => created)).toHaveLength(7);
    expect((await listItems(world.database, {})).data).toHaveLength(7);
  });
});

describe("the events of linking an item", () => {
  test("linking an item records an event in the same transaction each time, which says whether the item is new", async () => {
    await using world = await startWorld();
    const integration_id = await integrate(world);
    const item = { integration_id, item_id: "i1", access_token: token, user_id: "u1" };
    await introduceItem(world, item);
    await introduceItem(world, item);
    await unlinkItem(world.database, integration_id, "i1");
    await unlinkItem(world.database, integration_id, "i1");
    await introduceItem(world, item);
    expect(await eventsOf(world, "i1")).toEqual([
      ["item.linked", { created: true }],
      ["item.linked", { created: false }],
      ["item.removed", { reason: "unlinked", error_code: null }],
      ["item.linked", { created: false }],
    ]);
    const { rows } = await world.database.query(
      "select distinct user_id, environment, integration_id from events.events",
    );
    expect(rows).toEqual([{ user_id: "u1", environment: "sandbox", integration_id }]);
  });

  test("linking an item leaves no event when it is rolled back", async () => {
    await using world = await startWorld();
    const { database } = world;
    const integration_id = await integrate(world);
    const failing = {
      ...database,
      query: database.query.bind(database),
      listen: database.listen.bind(database),
      transaction: <T>(work: (tx: Queryable) => Promise<T>) =>
        database.transaction(async (tx) => {
          await work(tx);
          throw new Error("the connection was cut");
        }),
    } as Database;
    const item = { integration_id, item_id: "i1", access_token: token };
    await expect(introduceItem({ ...world, database: failing }, item)).rejects.toThrow("cut");
    const { rows } = await database.query(
      "select id::text from events.events union all select id::text from events.outbox",
    );
    expect(rows).toEqual([]);
  });
});
