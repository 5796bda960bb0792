/** Options of an integration that go into requests for transactions: how far back, and the bank's own description. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type IntegrationChange } from "../../src/integrations/integrations.ts";
import { updateIntegration } from "../../src/lifecycle/integrations.ts";
import { requestSync } from "../../src/sync/queries.ts";
import { startWorld, type Item, type World } from "../support/world/index.ts";
import { gated } from "./support.ts";

let world: World<"sync">;
beforeEach(async () => {
  world = await startWorld({ sync: {} });
});
afterEach(() => world[Symbol.asyncDispose]());

const change = (changes: IntegrationChange) =>
  updateIntegration(world.database, world.vault, world.integration.id, changes);

/** Items that Link did not initialise with Transactions: the first request of Tartan's does. */
async function linkWithoutTransactions(): Promise<Item> {
  const [item] = world.integration.makeItems(1, 48, { user: "user_good", days: 90, ready: false, products: ["auth"] });
  if (!item) throw new Error("the simulator made no item");
  await world.integration.link(item);
  return item;
}

/** Reads the item's transactions until Plaid has all of its history; resolves with the age of the oldest in days. */
async function readHistory({ item_id }: Item): Promise<number> {
  const worker = await world.sync.start();
  await worker.idle();
  await requestSync(world.database, item_id, { resources: ["transactions"] });
  await worker.idle();
  await world.simulator.control.advanceClock({ advance_s: 10 });
  await requestSync(world.database, item_id, { resources: ["transactions"] });
  await worker.idle();
  const { rows } = await world.database.query<{ days: number }>(
    "select current_date - min(date) as days from plaid.current_transactions where item_id = $1",
    [item_id],
  );
  return Number(rows[0]?.days);
}

describe("days_requested", () => {
  it("days_requested is the length of an item's history when Tartan's first request initialises it", async () => {
    await change({ days_requested: 730 });
    expect(await readHistory(await linkWithoutTransactions())).toBeGreaterThan(700);
  });

  it("days_requested is left to Plaid, which gives 90 days, unless the integration says otherwise", async () => {
    const days = await readHistory(await linkWithoutTransactions());
    expect(days).toBeGreaterThan(80);
    expect(days).toBeLessThan(95);
  });

  it("days_requested does not lengthen the history of an initialised item, even when everything is read again", async () => {
    const item = await linkWithoutTransactions();
    const before = await readHistory(item);
    await change({ days_requested: 730 });
    await requestSync(world.database, item.item_id, { full: true });
    expect(await readHistory(item)).toBe(before);
  });

  it("days_requested returns to Plaid's default with null, and stays unless a change names it", async () => {
    expect(await change({ days_requested: 400 })).toMatchObject({ days_requested: 400 });
    expect(await change({ name: "renamed" })).toMatchObject({ days_requested: 400 });
    expect(await change({ days_requested: null })).toMatchObject({ days_requested: null });
  });

  it.each([0, 731, 1.5, Number.NaN, "90" as unknown as number])(
    "days_requested is refused by its name with %s",
    async (days) => {
      await expect(change({ days_requested: days })).rejects.toMatchObject({
        code: "invalid_request",
        fields: { days_requested: expect.stringContaining("from 1 to 730") },
      });
    },
  );
});

describe("include_original_description", () => {
  const described = async ({ item_id }: Item) => {
    const { rows } = await world.database.query<{ described: number; all: number }>(
      `select count(*)::int as all, count(original_description)::int as described
       from plaid.current_transactions where item_id = $1`,
      [item_id],
    );
    return rows[0];
  };

  it("include_original_description is requested with every page once the integration has it, and not before", async () => {
    const plain = await world.sync.synced(20);
    expect(await described(plain)).toEqual({ all: 20, described: 0 });
    await change({ include_original_description: true });
    const paged = await world.sync.synced(1200);
    expect(await described(paged)).toEqual({ all: 1200, described: 1200 });
  });

  it("include_original_description is filled into existing rows at the item's next sync, for any cause of the sync", async () => {
    const item = await world.sync.synced(20);
    await change({ include_original_description: true });
    world.simulator.control.changeTransactions(item.item_id, { add: 1 });
    await world.sync.notify(item.item_id);
    const worker = await world.sync.start();
    await worker.idle();
    expect(await described(item)).toEqual({ all: 21, described: 21 });
    await change({ include_original_description: false });
    await world.sync.notify(item.item_id);
    await worker.idle();
    expect(await described(item)).toEqual({ all: 21, described: 0 });
  });

  it("changing include_original_description causes one full reading, after which increments follow the cursor again", async () => {
    const item = await world.sync.synced(20);
    await change({ include_original_description: true });
    const cursors: unknown[] = [];
    const worker = await world.sync.start({
      clientFor: gated(async (path, body, pass) => {
        if (path === "/transactions/sync") cursors.push((body as { cursor?: unknown }).cursor);
        await pass();
      }),
    });
    for (const _ of [1, 2]) {
      await world.sync.notify(item.item_id);
      await worker.idle();
    }
    expect(cursors).toEqual(["", expect.stringMatching(/.+/)]);
  });

  it("include_original_description is refused by its name when it is not a boolean", async () => {
    await expect(change({ include_original_description: "yes" as unknown as boolean })).rejects.toMatchObject({
      fields: { include_original_description: "must be true or false" },
    });
  });
});
