/**
 * Webhooks that never arrive, and no check of an item: Plaid's list of the webhooks that it sent is enough, as long as Plaid sends one for
 * each change.
 */
import { afterEach, describe, expect, it } from "vitest";
import { openLists, readLists } from "../silence/support.ts";
import { expectMirrorEqualsTruth } from "../support/oracle.ts";
import { ALL_PRODUCTS, BOOK_NAMES, startWorld, type World } from "../support/world/index.ts";

const ITEMS = 4;
const ROUNDS = 3;

let world: World<"api" | "sync">;
afterEach(() => world[Symbol.asyncDispose]());

describe.each([0.5, 1])("when %d of all webhooks are lost and Plaid lists what it sent", (probability) => {
  it("the mirror equals the truth, each lost webhook is journaled once, and no item was checked", async () => {
    world = await startWorld({ simulator: { seed: `listed ${probability}` }, api: {}, sync: {} });
    const { control } = world.simulator;
    const items = world.integration.makeItemsFor(world.api, ITEMS, 20, ALL_PRODUCTS);
    for (const item of items) await world.integration.link(item);
    await using worker = await world.sync.start();
    await worker.idle();
    const lists = await openLists(world);
    control.addFault({ kind: "drop_webhooks", probability });
    for (let round = 0; round < ROUNDS; round += 1) {
      for (const { item_id } of items) {
        control.changeTransactions(item_id, { add: 3, modify: 2, remove: 1 });
        for (const name of BOOK_NAMES) control.change(item_id, name, { add: 1, modify: 1, remove: 1 });
      }
      await control.idle();
      await readLists(world, lists);
    }
    await readLists(world, lists);
    await worker.idle();
    for (const { item_id } of items) await expectMirrorEqualsTruth(world.database, world.simulator, item_id);
    const lost = control.webhooks({ status: "dropped" }).webhooks.length;
    const { rows } = await world.database.query<{ source: string; count: number }>(
      "select source, count(*)::int as count from journal.webhooks where source <> 'BACKEND' group by 1",
    );
    const journaled = Object.fromEntries(rows.map(({ source, count }) => [source, count]));
    expect(lost).toBeGreaterThan(0);
    expect(journaled["RECONCILER"]).toBe(lost);
    const checked = await world.database.query("select from tartan.items where checked_at is not null");
    expect(checked.rows).toEqual([]);
  });
});
