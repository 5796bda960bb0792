/** Items: linked in one transaction with their webhook and their first sync; forgotten without a trace. */
import { describe, expect, test } from "vitest";
import { getItemSecret } from "../../src/integrations/items.ts";
import { getItem, listItems } from "../../src/sync/items.ts";
import { introduceItem } from "../support/link.ts";
import { eraseItem, unlinkItem } from "../../src/lifecycle/items.ts";
import { append } from "../../src/journal/append.ts";
import { fromWebhookId, newUuid } from "../../src/model/ids.ts";
import { scene, SECRETS, eventsOf, type Scene } from "./support.ts";

const token = SECRETS.token;

async function subject({ database }: Scene, id: string) {
  const { rows } = await database.query<{
    due_at: Date | null;
    status: string;
    requested: string[];
    lease_token: string | null;
    generation: number;
  }>("select due_at, status, requested, lease_token, generation from sync.subjects where kind = 'item' and id = $1", [
    id,
  ]);
  return rows[0];
}

/** As the receiver would, for an item that is not known yet. */
async function plaidWebhook({ database }: Scene, integrationId: string, itemId: string): Promise<string> {
  const id = newUuid();
  await append(database, [
    {
      id,
      integrationId,
      source: "PLAID",
      subject: { kind: "item", id: itemId },
      itemId,
      webhookType: "TRANSACTIONS",
      webhookCode: "SYNC_UPDATES_AVAILABLE",
      environment: "sandbox",
      receivedAt: new Date(),
      body: Buffer.from("{}"),
      proof: null,
    },
  ]);
  return id;
}

describe("linking an item", () => {
  test("linking an item stores its token sealed, journals ITEM/CREATED without it, and makes the item due with everything", async () => {
    await using it = await scene();
    const integration_id = await it.integrate();
    const linked = await introduceItem(it, { integration_id, item_id: "i1", access_token: token, user_id: "u1" });
    expect(linked).toMatchObject({ item_id: "i1", created: true });
    const { rows } = await it.database.query("select * from journal.webhooks where id = $1", [
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
    expect(await subject(it, "i1")).toMatchObject({ status: "pending", due_at: expect.any(Date) });
    expect(rows[0]).toMatchObject({ requested: ["*"] });
    expect(await getItemSecret(it.database, it.vault, integration_id, "i1")).toEqual({
      access_token: token,
      user_id: "u1",
    });
  });

  test("linking an item twice replaces the token and keeps the known user", async () => {
    await using it = await scene();
    const integration_id = await it.integrate();
    const item = { integration_id, item_id: "i1" };
    await introduceItem(it, { ...item, access_token: token, user_id: "u1" });
    expect(await introduceItem(it, { ...item, access_token: "access-sandbox-2" })).toMatchObject({ created: false });
    expect(await getItemSecret(it.database, it.vault, integration_id, "i1")).toEqual({
      access_token: "access-sandbox-2",
      user_id: "u1",
    });
  });

  test("linking an item gives the webhooks that came before it their user", async () => {
    await using it = await scene();
    const integration_id = await it.integrate();
    const early = await plaidWebhook(it, integration_id, "i1");
    const foreign = await plaidWebhook(it, integration_id, "i2");
    await introduceItem(it, { integration_id, item_id: "i1", access_token: token, user_id: "u1" });
    const late = await plaidWebhook(it, integration_id, "i1");
    const { rows } = await it.database.query<{ id: string; user_id: string | null }>(
      "select id, user_id from journal.webhooks where source = 'PLAID'",
    );
    const users = new Map(rows.map((row) => [row.id, row.user_id]));
    expect([early, foreign, late].map((id) => users.get(id))).toEqual(["u1", null, "u1"]);
  });

  test("linking an item that had ended makes it due again", async () => {
    await using it = await scene();
    const integration_id = await it.integrate();
    const item = { integration_id, item_id: "i1", access_token: token };
    await introduceItem(it, item);
    await it.database.query(
      "update sync.subjects set status = 'ended', due_at = null, not_before = now() + interval '1 day', attempts = 9",
    );
    await introduceItem(it, item);
    const { rows } = await it.database.query("select status, attempts, due_at <= now() as due from sync.subjects");
    expect(rows).toEqual([{ status: "pending", attempts: 0, due: true }]);
  });

  test("linking an item never journals a body that still holds the token", async () => {
    await using it = await scene();
    const integration_id = await it.integrate();
    const body = Buffer.from(JSON.stringify({ item_id: "i1", access_token: token, extra: 1 }));
    await introduceItem(it, { integration_id, item_id: "i1", access_token: token, body });
    const { rows } = await it.database.query<{ body: Buffer }>("select body from journal.webhooks");
    expect(rows[0]?.body.includes(token)).toBe(false);
  });

  test("linking an item keeps the given body when it does not hold the token", async () => {
    await using it = await scene();
    const integration_id = await it.integrate();
    const body = Buffer.from('{ "item_id": "i1" }');
    await introduceItem(it, { integration_id, item_id: "i1", access_token: token, body });
    const { rows } = await it.database.query<{ body: Buffer }>("select body from journal.webhooks");
    expect(rows[0]?.body.equals(body)).toBe(true);
  });

  test("linking an item without an existing integration or without a required field changes nothing", async () => {
    await using it = await scene();
    const integration_id = await it.integrate();
    const item = { integration_id, item_id: "i1", access_token: token };
    await expect(introduceItem(it, { ...item, integration_id: "svi_none" })).rejects.toMatchObject({
      code: "not_found",
    });
    const refused = introduceItem(it, { ...item, item_id: "", access_token: "nul\0", user_id: " " });
    await expect(refused).rejects.toMatchObject({
      code: "invalid_request",
      fields: { item_id: expect.any(String), access_token: expect.any(String), user_id: expect.any(String) },
    });
    await expect(refused).rejects.not.toThrow("nul");
    const { rows } = await it.database.query("select from tartan.items union all select from sync.subjects");
    expect(rows).toEqual([]);
  });

  test("linking many items at once, some of them twice, links each once", async () => {
    await using it = await scene();
    const integration_id = await it.integrate();
    const results = await Promise.all(
      Array.from({ length: 60 }, (_, index) =>
        introduceItem(it, { integration_id, item_id: `i${index % 7}`, access_token: token, user_id: `u${index % 7}` }),
      ),
    );
    expect(results.filter(({ created }) => created)).toHaveLength(7);
    expect((await listItems(it.database, {})).data).toHaveLength(7);
  });
});

describe("looking at items", () => {
  test("an item shows its sync status and what is mirrored, and no token", async () => {
    await using it = await scene();
    const integration_id = await it.integrate();
    await introduceItem(it, { integration_id, item_id: "i1", access_token: token, user_id: "u1" });
    await it.database.query(
      `insert into plaid.items (integration_id, item_id, institution_name, error_code, products, raw)
       values ($1, 'i1', 'Bank', 'ITEM_LOGIN_REQUIRED', '{transactions}', '{}')`,
      [integration_id],
    );
    await it.database.query(
      `insert into plaid.transactions (integration_id, item_id, transaction_id, raw, removed_at)
       values ($1, 'i1', 't1', '{}', null), ($1, 'i1', 't2', '{}', now()), ($1, 'i2', 't3', '{}', null)`,
      [integration_id],
    );
    const item = await getItem(it.database, "i1");
    expect(item).toMatchObject({
      item_id: "i1",
      integration_id,
      user_id: "u1",
      institution_name: "Bank",
      status: "pending",
      error_code: "ITEM_LOGIN_REQUIRED",
      products: ["transactions"],
      due: true,
      verified_at: null,
      counts: { transactions: 1, accounts: 0 },
    });
    expect(JSON.stringify(item)).not.toContain(token);
    expect(new Date(item?.linked_at ?? 0).toISOString()).toBe(item?.linked_at);
    expect(await getItem(it.database, "none")).toBeNull();
  });

  test("the pages of the item list hold each item once, with every filter", async () => {
    await using it = await scene();
    const [one, two] = [await it.integrate(), await it.integrate()];
    for (let index = 0; index < 11; index++) {
      const integration_id = index % 3 === 0 ? two : one;
      await introduceItem(it, { integration_id, item_id: `i${index}`, access_token: token, user_id: `u${index % 2}` });
    }
    await introduceItem(it, { integration_id: two, item_id: "i1", access_token: token });
    await unlinkItem(it.database, one, "i2");
    const all = async (filter: Parameters<typeof listItems>[1]) => {
      const seen: string[] = [];
      for (let cursor: string | null = null, more = true; more; more = cursor !== null) {
        const page: Awaited<ReturnType<typeof listItems>> = await listItems(it.database, {
          ...filter,
          limit: 2,
          cursor,
        });
        seen.push(...page.data.map((item) => `${item.integration_id === one ? 1 : 2}/${item.item_id}`));
        cursor = page.next_cursor;
      }
      expect(new Set(seen)).toHaveLength(seen.length);
      return seen;
    };
    expect(await all({})).toHaveLength(12);
    expect(await all({ integration_id: two })).toEqual(["2/i0", "2/i1", "2/i3", "2/i6", "2/i9"]);
    expect(await all({ user_id: "u1" })).toEqual(["1/i1", "2/i3", "1/i5", "1/i7", "2/i9"]);
    expect(await all({ status: "unlinked" })).toEqual(["1/i2"]);
    expect(await all({ status: "pending", integration_id: one })).toHaveLength(6);
  });

  test("a made-up cursor of the item list is refused", async () => {
    await using it = await scene();
    for (const cursor of ["", "x", "bnVsbA", "W10", "WzEsMl0", "\0"]) {
      const listing = listItems(it.database, { cursor });
      await expect(listing).rejects.toMatchObject({ fields: { cursor: expect.any(String) } });
    }
  });
});

describe("letting go of an item", () => {
  async function linkedAndRunning(it: Scene) {
    const integration_id = await it.integrate();
    for (const item_id of ["i1", "i2"]) {
      await introduceItem(it, { integration_id, item_id, access_token: token, user_id: "u1" });
      await it.database.query(
        "insert into plaid.accounts (integration_id, item_id, account_id, raw) values ($1, $2, 'a', '{}')",
        [integration_id, item_id],
      );
    }
    await it.database.query("update sync.subjects set lease_token = gen_random_uuid()");
    return integration_id;
  }

  test("unlinking an item deletes the token, ends the subject even while a run works on it, and keeps the rows", async () => {
    await using it = await scene();
    const integration = await linkedAndRunning(it);
    await unlinkItem(it.database, integration, "i1");
    expect(await getItemSecret(it.database, it.vault, integration, "i1")).toBeNull();
    expect(await subject(it, "i1")).toMatchObject({ status: "unlinked", due_at: null, lease_token: null });
    expect(await subject(it, "i2")).toMatchObject({ lease_token: expect.any(String) });
    expect(await getItem(it.database, "i1")).toMatchObject({ status: "unlinked", due: false, counts: { accounts: 1 } });
    expect((await listItems(it.database, { status: "unlinked" })).data).toHaveLength(1);
  });

  test("erasing an item deletes all its rows and no others", async () => {
    await using it = await scene();
    const integration = await linkedAndRunning(it);
    await deliveries(it, integration);
    await eraseItem(it.database, integration, "i1");
    expect(await getItem(it.database, "i1")).toBeNull();
    const { rows } = await it.database.query<Record<string, number>>(
      `select (select count(*) from journal.webhooks where item_id = 'i1') as webhooks,
              (select count(*) from plaid.accounts where item_id = 'i1') as accounts,
              (select count(*) from sync.subjects where id = 'i1') as subjects,
              (select count(*) from relay.deliveries where item_id = 'i1') as deliveries,
              (select count(*) from relay.deliveries) as all_deliveries,
              (select count(*) from journal.webhooks) as all_webhooks,
              (select count(*) from plaid.accounts) as all_accounts`,
    );
    expect(rows[0]).toEqual({
      webhooks: 0,
      accounts: 0,
      subjects: 0,
      deliveries: 0,
      all_deliveries: 1,
      all_webhooks: 1,
      all_accounts: 1,
    });
    expect(await eventsOf(it, "i1")).toEqual([["item.removed", { reason: "erased", error_code: null }]]);
    expect(await eventsOf(it, "i2")).toHaveLength(1);
    const { rows: kept } = await it.database.query("select user_id from events.events where item_id = 'i1'");
    expect(kept).toEqual([{ user_id: null }]);
  });

  async function deliveries({ database }: Scene, integration: string) {
    await database.query("insert into relay.destinations (id, url) values ('dst_1', 'https://x.example')");
    for (const item of ["i1", "i2"])
      await database.query(
        `insert into relay.deliveries (id, destination_id, event_id, event_type, integration_id, item_id, route_id, route_version, form, due_at)
         values (gen_random_uuid(), 'dst_1', gen_random_uuid(), 'item.linked', $1, $2, 'rte_1', 1, 'event', now())`,
        [integration, item],
      );
  }

  test("an item that does not exist can be neither unlinked nor erased", async () => {
    await using it = await scene();
    const integration = await it.integrate();
    await expect(unlinkItem(it.database, integration, "none")).rejects.toMatchObject({ code: "not_found" });
    await expect(eraseItem(it.database, integration, "none")).rejects.toMatchObject({ code: "not_found" });
  });
});
