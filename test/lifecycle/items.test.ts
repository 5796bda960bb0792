/** An item that is unlinked keeps its rows; one that is erased leaves no trace in any table. */
import { describe, expect, test } from "vitest";
import { getItemSecret } from "../../src/integrations/items.ts";
import { eraseItem, unlinkItem } from "../../src/lifecycle/items.ts";
import { getItem, listItems } from "../../src/sync/items.ts";
import { eventsOf, integrate, SECRETS, subjectOf } from "../integrations/support.ts";
import { introduceItem } from "../support/link.ts";
import { startWorld, type World } from "../support/world/index.ts";

const token = SECRETS.token;

describe("letting go of an item", () => {
  async function linkedAndRunning(world: World) {
    const integration_id = await integrate(world);
    for (const item_id of ["i1", "i2"]) {
      await introduceItem(world, { integration_id, item_id, access_token: token, user_id: "u1" });
      await world.database.query(
        "insert into plaid.accounts (integration_id, item_id, account_id, raw) values ($1, $2, 'a', '{}')",
        [integration_id, item_id],
      );
    }
    await world.database.query("update sync.subjects set lease_token = gen_random_uuid()");
    return integration_id;
  }

  test("unlinking an item deletes the token, ends the subject even while a run works on it, and keeps the rows", async () => {
    await using world = await startWorld();
    const integration = await linkedAndRunning(world);
    await unlinkItem(world.database, integration, "i1");
    expect(await getItemSecret(world.database, world.vault, integration, "i1")).toBeNull();
    expect(await subjectOf(world, "i1")).toMatchObject({ status: "unlinked", due_at: null, lease_token: null });
    expect(await subjectOf(world, "i2")).toMatchObject({ lease_token: expect.any(String) });
    expect(await getItem(world.database, "i1")).toMatchObject({
      status: "unlinked",
      due: false,
      counts: { accounts: 1 },
    });
    expect((await listItems(world.database, { status: "unlinked" })).data).toHaveLength(1);
  });

  test("erasing an item deletes all its rows and no others", async () => {
    await using world = await startWorld();
    const integration = await linkedAndRunning(world);
    await deliveries(world, integration);
    await eraseItem(world.database, integration, "i1");
    expect(await getItem(world.database, "i1")).toBeNull();
    const { rows } = await world.database.query<Record<string, number>>(
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
    expect(await eventsOf(world, "i1")).toEqual([["item.removed", { reason: "erased", error_code: null }]]);
    expect(await eventsOf(world, "i2")).toHaveLength(1);
    const { rows: kept } = await world.database.query("select user_id from events.events where item_id = 'i1'");
    expect(kept).toEqual([{ user_id: null }]);
  });

  async function deliveries({ database }: World, integration: string) {
    await database.query("insert into relay.destinations (id, url) values ('dst_1', 'https://x.example')");
    for (const item of ["i1", "i2"])
      await database.query(
        `insert into relay.deliveries (id, destination_id, event_id, event_type, integration_id, item_id, route_id, route_version, form, due_at)
         values (gen_random_uuid(), 'dst_1', gen_random_uuid(), 'item.linked', $1, $2, 'rte_1', 1, 'event', now())`,
        [integration, item],
      );
  }

  test("an item that does not exist can be neither unlinked nor erased", async () => {
    await using world = await startWorld();
    const integration = await integrate(world);
    await expect(unlinkItem(world.database, integration, "none")).rejects.toMatchObject({ code: "not_found" });
    await expect(eraseItem(world.database, integration, "none")).rejects.toMatchObject({ code: "not_found" });
  });
});
