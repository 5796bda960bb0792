/** The events of linking and unlinking an item: recorded in the same transaction, or not at all. */
import { describe, expect, test } from "vitest";
import type { Database, Queryable } from "../../src/database/types.ts";
import { introduceItem } from "../support/link.ts";
import { unlinkItem } from "../../src/lifecycle/items.ts";
import { scene, SECRETS, eventsOf } from "./support.ts";

const token = SECRETS.token;

describe("linking an item", () => {
  test("linking an item records an event in the same transaction each time, which says whether the item is new", async () => {
    await using it = await scene();
    const integration_id = await it.integrate();
    const item = { integration_id, item_id: "i1", access_token: token, user_id: "u1" };
    await introduceItem(it, item);
    await introduceItem(it, item);
    await unlinkItem(it.database, integration_id, "i1");
    await unlinkItem(it.database, integration_id, "i1");
    await introduceItem(it, item);
    expect(await eventsOf(it, "i1")).toEqual([
      ["item.linked", { created: true }],
      ["item.linked", { created: false }],
      ["item.removed", { reason: "unlinked", error_code: null }],
      ["item.linked", { created: false }],
    ]);
    const { rows } = await it.database.query("select distinct user_id, environment, integration_id from events.events");
    expect(rows).toEqual([{ user_id: "u1", environment: "sandbox", integration_id }]);
  });

  test("linking an item leaves no event when it is rolled back", async () => {
    await using it = await scene();
    const { database } = it;
    const integration_id = await it.integrate();
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
    await expect(introduceItem({ ...it, database: failing }, item)).rejects.toThrow("cut");
    const { rows } = await database.query(
      "select id::text from events.events union all select id::text from events.outbox",
    );
    expect(rows).toEqual([]);
  });
});
