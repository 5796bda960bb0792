/** Items as they are listed and shown, including those without a token. */
import { describe, expect, test } from "vitest";
import { getItem, listItems } from "../../src/sync/items.ts";
import { introduceItem } from "../support/link.ts";
import { scene } from "./support.ts";

const token = "access-sandbox-1";

describe("items", () => {
  test("items with webhooks and without a token are listed and shown as unlinked, in the same pages", async () => {
    await using it = await scene();
    const integration_id = await it.integrate();
    await it.database.query(
      `insert into sync.subjects (integration_id, kind, id, status) values
         ($1, 'item', 'i1', 'unlinked'), ($1, 'item', 'i3', 'unlinked'), ($1, 'institution', 'ins_1', 'unlinked')`,
      [integration_id],
    );
    for (const item_id of ["i0", "i2", "i3"]) {
      await introduceItem(it, { integration_id, item_id, access_token: token, user_id: "u1" });
    }
    const ids = async (filter: Parameters<typeof listItems>[1]) =>
      (await listItems(it.database, filter)).data.map(({ item_id }) => item_id);
    expect(await ids({})).toEqual(["i0", "i1", "i2", "i3"]);
    expect(await ids({ status: "unlinked" })).toEqual(["i1"]);
    expect(await ids({ status: "pending" })).not.toContain("i1");
    expect(await ids({ user_id: "u1" })).toEqual(["i0", "i2", "i3"]);
    expect(await ids({ integration_id: "svi_another" })).toEqual([]);
    const first = await listItems(it.database, { limit: 2 });
    expect(await ids({ limit: 2, cursor: first.next_cursor })).toEqual(["i2", "i3"]);
    expect(await getItem(it.database, "i1")).toMatchObject({ status: "unlinked", linked_at: null, integration_id });
    expect(await getItem(it.database, "i1", "svi_another")).toBeNull();
  });

  test("an unknown status is refused, and the one that was meant is named", async () => {
    await using it = await scene();
    await expect(listItems(it.database, { status: "nope" })).rejects.toMatchObject({
      code: "invalid_request",
      fields: { status: expect.stringContaining("needs_user") },
    });
    await expect(listItems(it.database, { status: "need_user" })).rejects.toMatchObject({
      fields: { status: expect.stringContaining("did you mean needs_user?") },
    });
  });

  test.each([
    ["/v1/integrations/", "", true],
    ["/v1/service_integrations/", "/", true],
    ["/v1/integrations/", "x", false],
    ["/elsewhere/", "", false],
  ])("a webhook URL that ends with %s<id>%s is the intake: %s", async (path, more, is) => {
    await using it = await scene();
    const integration_id = await it.integrate();
    await introduceItem(it, { integration_id, item_id: "i1", access_token: token });
    expect(await getItem(it.database, "i1")).toMatchObject({ webhook_url: null, webhook_url_is_intake: null });
    const url = `https://tartan.example.com${path}${integration_id}${more}`;
    await it.database.query(
      "insert into plaid.items (integration_id, item_id, webhook, raw) values ($1, 'i1', $2, '{}')",
      [integration_id, url],
    );
    expect(await getItem(it.database, "i1")).toMatchObject({ webhook_url: url, webhook_url_is_intake: is });
  });
});
