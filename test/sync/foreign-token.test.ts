/** Tokens that belong to another item than the one they were posted for. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { getItem } from "../../src/sync/items.ts";
import { unlinkItem } from "../../src/lifecycle/items.ts";
import { requestSync } from "../../src/sync/queries.ts";
import type { SyncOptions } from "../../src/sync/sync.ts";
import { expectMirrorEqualsTruth } from "../support/oracle.ts";
import { openEventReader, type EventReader } from "./event-reader.ts";
import { startWorld, type Item, type World } from "../support/world/index.ts";
import { gated } from "./support.ts";

let world: World<"sync">;
let reader: EventReader;
beforeAll(async () => {
  world = await startWorld({ sync: {} });
  reader = openEventReader(world);
});
afterAll(() => world[Symbol.asyncDispose]());

const run = async (clientFor?: SyncOptions["clientFor"]): Promise<void> => {
  const worker = await world.sync.start(clientFor && { clientFor });
  await worker.idle();
  await worker[Symbol.asyncDispose]();
};
const two = (): [Item, Item] => world.integration.makeItems(2, 7) as [Item, Item];
const mirrored = async ({ item_id }: Item): Promise<Record<string, number>> => {
  const { rows } = await world.database.query<Record<string, number>>(
    `select (select count(*)::int from plaid.accounts where item_id = $1) as accounts,
      (select count(*)::int from plaid.transactions where item_id = $1) as transactions`,
    [item_id],
  );
  return rows[0] ?? {};
};
const FOREIGN = { status: "misconfigured", error_code: "token_of_another_item" };

describe("the token of another item", () => {
  it("the token of another item is noticed in the first run: nothing of the other item is mirrored, the item shows the error, and the right token clears it", async () => {
    const [item, other] = two();
    await world.integration.link({ ...item, access_token: other.access_token });
    await run();
    expect(await mirrored(item)).toEqual({ accounts: 0, transactions: 0 });
    expect(await getItem(world.database, item.item_id)).toMatchObject({
      ...FOREIGN,
      next_step: expect.stringContaining("ITEM/CREATED"),
      institution_id: null,
    });
    const { rows } = await world.database.query("select error_code, raw from plaid.items where item_id = $1", [
      item.item_id,
    ]);
    expect(rows).toMatchObject([{ error_code: "token_of_another_item", raw: { item_id: item.item_id } }]);
    expect(JSON.stringify(rows)).not.toContain(other.item_id);
    const errors = (await reader.eventsOf(item.item_id)).filter(({ type }) => type === "item.error");
    expect(errors.map(({ data }) => data)).toMatchObject([{ error: { error_code: "token_of_another_item" } }]);

    await world.integration.link(item);
    await run();
    expect(await world.sync.subject(item.item_id)).toMatchObject({ status: "ok", claimed: [] });
    await expectMirrorEqualsTruth(world.database, world.simulator, item.item_id);
  });

  it("the token of another item is noticed before resources without an item id are read, even if /item/get fails at first", async () => {
    const [item, other] = two();
    await world.integration.link({ ...item, access_token: other.access_token });
    // As if the link's own webhook had been served already: what is left to do names no resource that says whose it is.
    await world.database.query(
      "update sync.subjects set status = 'ok', requested = '{transactions}', oldest_unserved = null where id = $1",
      [item.item_id],
    );
    world.simulator.control.addFault({ kind: "server_error", endpoint: "/item/get", item_id: other.item_id, count: 1 });
    const asked = world.simulator.asked("/transactions/sync");
    const worker = await world.sync.start();
    await worker.idle({ retries: true });
    await worker[Symbol.asyncDispose]();
    expect(world.simulator.asked("/transactions/sync")).toBe(asked);
    expect(await mirrored(item)).toEqual({ accounts: 0, transactions: 0 });
    expect(await getItem(world.database, item.item_id)).toMatchObject(FOREIGN);
  });

  it("the token of another item removes no rows of the item, and neither does the right token afterwards", async () => {
    const item = await world.sync.synced(9);
    const [other] = two();
    await world.integration.link({ ...item, access_token: other.access_token });
    await run();
    expect(await mirrored(item)).toMatchObject({ transactions: 9 });
    expect(await getItem(world.database, item.item_id)).toMatchObject(FOREIGN);
    await world.integration.link(item);
    await run();
    await expectMirrorEqualsTruth(world.database, world.simulator, item.item_id);
    const recorded = (await reader.eventsOf(item.item_id)).filter(({ type }) => type === "transactions.changed");
    expect(recorded.map(({ data }) => (data["counts"] as { removed: number }).removed)).toEqual([0]);
  });

  it("nothing of a run is mirrored when one endpoint answers for another item", async () => {
    const item = await world.sync.synced(3);
    const [other] = two();
    world.simulator.control.changeTransactions(item.item_id, { add: 4, webhooks: false });
    await world.sync.notify(item.item_id);
    const swapped = new Set(["/accounts/get", "/transactions/sync"]);
    const real = gated((_path, _body, pass) => pass());
    await run((integration) => {
      const client = real(integration);
      return {
        ...client,
        post: (path, body, signal) =>
          client.post(path, swapped.has(path) ? { ...body, access_token: other.access_token } : body, signal),
      };
    });
    expect(await mirrored(item)).toMatchObject({ transactions: 3 });
    expect(await getItem(world.database, item.item_id)).toMatchObject(FOREIGN);
    await world.integration.link(item);
    await requestSync(world.database, item.item_id);
    await run();
    await expectMirrorEqualsTruth(world.database, world.simulator, item.item_id);
  });

  it("rows that a token of another item once brought are removed by the full reading with the right token", async () => {
    const item = await world.sync.synced(5);
    const [other] = two();
    await world.database.query(
      `insert into plaid.transactions (integration_id, item_id, transaction_id, raw)
       values ($1, $2, 'of-the-other', '{"transaction_id": "of-the-other"}')`,
      [world.integration.id, item.item_id],
    );
    await world.integration.link({ ...item, access_token: other.access_token });
    await run();
    await world.integration.link(item);
    await run();
    const { rows } = await world.database.query(
      "select from plaid.current_transactions where transaction_id = 'of-the-other'",
    );
    expect(rows).toHaveLength(0);
  });

  it("the token of another item is noticed after the item was unlinked in between, and an unchanged token stays confirmed", async () => {
    const item = await world.sync.synced(2);
    const confirmed = async () =>
      (
        await world.database.query<{ confirmed: boolean }>(
          "select token_confirmed as confirmed from tartan.items where item_id = $1",
          [item.item_id],
        )
      ).rows[0]?.confirmed;
    expect(await confirmed()).toBe(true);
    await world.integration.link(item);
    expect(await confirmed()).toBe(true);
    await unlinkItem(world.database, world.integration.id, item.item_id);
    const [other] = two();
    await world.integration.link({ ...item, access_token: other.access_token });
    expect(await confirmed()).toBe(false);
  });
});
