/**
 * Webhooks that never arrive: some, half, or all of what Plaid sends is lost for good, as after an outage of days or under
 * the rule that ends retries. Looks at the items close every gap, and each gap is in the journal.
 */
import { afterEach, describe, expect, it } from "vitest";
import { expectMirrorEqualsTruth } from "../support/oracle.ts";
import { ALL_PRODUCTS, BOOK_NAMES, startWorld, type World } from "../support/world/index.ts";
import { until } from "../support/until.ts";

const ITEMS = 8;
const ROUNDS = 5;

/** Every item is checked once in two seconds, and Plaid's list of sent webhooks does not help. */
const CHECKED = { TARTAN_RECONCILE_H: String(2 / 3600), TARTAN_SENT_WEBHOOKS_MIN: "0" };

let world: World<"integration" | "processes">;
afterEach(() => world[Symbol.asyncDispose]());

const equal = (itemId: string): Promise<boolean> =>
  expectMirrorEqualsTruth(world.database, world.simulator, itemId).then(
    () => true,
    () => false,
  );

describe.each([0.1, 0.5, 1])("when %d of all webhooks are lost", (probability) => {
  it("the mirror equals the truth although webhooks were dropped, and the journal records the gaps", async () => {
    world = await startWorld({ simulator: { seed: `dropped ${probability}` }, integration: {}, processes: {} });
    const tartan = await world.processes.start(["up"], CHECKED);
    const { control } = world.simulator;
    const items = world.integration.makeItemsFor(tartan, ITEMS, 40, ALL_PRODUCTS);
    control.addFault({ kind: "drop_webhooks", probability });
    for (const item of items) expect((await world.integration.linkAt(tartan, item)).status).toBe(200);
    await until("the first sync of each item", async () => {
      const { rows } = await world.database.query("select from sync.subjects where kind = 'item' and status = 'ok'");
      return rows.length === ITEMS;
    });
    for (let round = 0; round < ROUNDS; round += 1) {
      for (const { item_id } of items) {
        control.changeTransactions(item_id, { add: 3, modify: 2, remove: 1 });
        for (const name of BOOK_NAMES) control.change(item_id, name, { add: 1, modify: 1, remove: 1 });
      }
      control.addAccount(items[round]?.item_id ?? "");
    }
    await control.idle();
    for (const { item_id } of items) await until(`the mirror of ${item_id} equal`, () => equal(item_id));
    if (probability < 1) return;
    await until("a gap of each item in the journal", async () => {
      const { rows } = await world.database.query(
        "select distinct item_id from journal.webhooks where source = 'RECONCILER' and processed_at is not null",
      );
      return rows.length === ITEMS;
    });
  }, 90_000);
});

it("an item that waits for its user is read again within the window although no webhook says that it was repaired", async () => {
  world = await startWorld({ simulator: { seed: "repaired in silence" }, integration: {}, processes: {} });
  const tartan = await world.processes.start(["up"], CHECKED);
  const { control } = world.simulator;
  const [item] = world.integration.makeItemsFor(tartan, 1, 40);
  const itemId = item?.item_id ?? "";
  if (item) await world.integration.linkAt(tartan, item);
  const status = async (wanted: string) => {
    const { rows } = await world.database.query("select from sync.subjects where id = $1 and status = $2", [
      itemId,
      wanted,
    ]);
    return rows.length === 1;
  };
  await until("the first sync", () => status("ok"));
  control.breakItem(itemId);
  await until("the item to wait for its user", () => status("needs_user"));
  control.changeTransactions(itemId, { add: 3, webhooks: false });
  control.repairItem(itemId, { webhooks: false });
  await until("the mirror equal", () => equal(itemId));
  expect(await status("ok")).toBe(true);
});
