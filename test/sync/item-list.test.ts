/** Items as they are listed and shown, including those without a token. */
import { describe, expect, test } from "vitest";
import { getItem, listItems } from "../../src/sync/items.ts";
import { unlinkItem } from "../../src/lifecycle/items.ts";
import { introduceItem } from "../support/link.ts";
import { startWorld } from "../support/world/index.ts";
import { integrate } from "../integrations/support.ts";

const token = "access-sandbox-1";

describe("looking at items", () => {
  test("an item shows its sync status and what is mirrored, and no token", async () => {
    await using world = await startWorld();
    const integration_id = await integrate(world);
    await introduceItem(world, { integration_id, item_id: "i1", access_token: token, user_id: "u1" });
    await world.database.query(
      `insert into plaid.items (integration_id, item_id, institution_name, error_code, products, raw)
       values ($1, 'i1', 'Bank', 'ITEM_LOGIN_REQUIRED', '{transactions}', '{}')`,
      [integration_id],
    );
    await world.database.query(
      `insert into plaid.transactions (integration_id, item_id, transaction_id, raw, removed_at)
       values ($1, 'i1', 't1', '{}', null), ($1, 'i1', 't2', '{}', now()), ($1, 'i2', 't3', '{}', null)`,
      [integration_id],
    );
    const item = await getItem(world.database, "i1");
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
    expect(await getItem(world.database, "none")).toBeNull();
  });

  test("the pages of the item list hold each item once, with every filter", async () => {
    await using world = await startWorld();
    const [one, two] = [await integrate(world), await integrate(world)];
    for (let index = 0; index < 11; index++) {
      const integration_id = index % 3 === 0 ? two : one;
      await introduceItem(world, {
        integration_id,
        item_id: `i${index}`,
        access_token: token,
        user_id: `u${index % 2}`,
      });
    }
    await introduceItem(world, { integration_id: two, item_id: "i1", access_token: token });
    await unlinkItem(world.database, one, "i2");
    const all = async (filter: Parameters<typeof listItems>[1]) => {
      const seen: string[] = [];
      for (let cursor: string | null = null, more = true; more; more = cursor !== null) {
        const page: Awaited<ReturnType<typeof listItems>> = await listItems(world.database, {
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
    await using world = await startWorld();
    for (const cursor of ["", "x", "bnVsbA", "W10", "WzEsMl0", "\0"]) {
      const listing = listItems(world.database, { cursor });
      await expect(listing).rejects.toMatchObject({ fields: { cursor: expect.any(String) } });
    }
  });
});

describe("items that are unlinked or unknown", () => {
  test("items with webhooks and without a token are listed and shown as unlinked, in the same pages", async () => {
    await using world = await startWorld();
    const integration_id = await integrate(world);
    await world.database.query(
      `insert into sync.subjects (integration_id, kind, id, status) values
         ($1, 'item', 'i1', 'unlinked'), ($1, 'item', 'i3', 'unlinked'), ($1, 'institution', 'ins_1', 'unlinked')`,
      [integration_id],
    );
    for (const item_id of ["i0", "i2", "i3"]) {
      await introduceItem(world, { integration_id, item_id, access_token: token, user_id: "u1" });
    }
    const ids = async (filter: Parameters<typeof listItems>[1]) =>
      (await listItems(world.database, filter)).data.map(({ item_id }) => item_id);
    expect(await ids({})).toEqual(["i0", "i1", "i2", "i3"]);
    expect(await ids({ status: "unlinked" })).toEqual(["i1"]);
    expect(await ids({ status: "pending" })).not.toContain("i1");
    expect(await ids({ user_id: "u1" })).toEqual(["i0", "i2", "i3"]);
    expect(await ids({ integration_id: "svi_another" })).toEqual([]);
    const first = await listItems(world.database, { limit: 2 });
    expect(await ids({ limit: 2, cursor: first.next_cursor })).toEqual(["i2", "i3"]);
    expect(await getItem(world.database, "i1")).toMatchObject({ status: "unlinked", linked_at: null, integration_id });
    expect(await getItem(world.database, "i1", "svi_another")).toBeNull();
  });

  test("an unknown status is refused, and the one that was meant is named", async () => {
    await using world = await startWorld();
    await expect(listItems(world.database, { status: "nope" })).rejects.toMatchObject({
      code: "invalid_request",
      fields: { status: expect.stringContaining("needs_user") },
    });
    await expect(listItems(world.database, { status: "need_user" })).rejects.toMatchObject({
      fields: { status: expect.stringContaining("did you mean needs_user?") },
    });
  });

  test.each([
    ["/v1/integrations/", "", true],
    ["/v1/service_integrations/", "/", true],
    ["/v1/integrations/", "x", false],
    ["/elsewhere/", "", false],
  ])("a webhook URL that ends with %s<id>%s is the intake: %s", async (path, more, is) => {
    await using world = await startWorld();
    const integration_id = await integrate(world);
    await introduceItem(world, { integration_id, item_id: "i1", access_token: token });
    expect(await getItem(world.database, "i1")).toMatchObject({ webhook_url: null, webhook_url_is_intake: null });
    const url = `https://tartan.example.com${path}${integration_id}${more}`;
    await world.database.query(
      "insert into plaid.items (integration_id, item_id, webhook, raw) values ($1, 'i1', $2, '{}')",
      [integration_id, url],
    );
    expect(await getItem(world.database, "i1")).toMatchObject({ webhook_url: url, webhook_url_is_intake: is });
  });
});
