/** Since when each resource, and the item as a whole, is known to be equal to Plaid. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { append } from "../../src/journal/append.ts";
import { resourcesOf } from "../../src/resources/index.ts";
import { resourcesOfItem } from "../../src/sync/cursor-queries.ts";
import { requestSync } from "../../src/sync/queries.ts";
import { WEBHOOKS_MAX } from "../../src/sync/queue.ts";
import { startWorld, type Item, type World } from "../support/world/index.ts";
import { webhook } from "../support/webhook.ts";
import { gated } from "./support.ts";

let world: World<"sync">;
beforeAll(async () => {
  world = await startWorld({ simulator: { extraction: { initialMs: 60_000, historicalMs: 180_000 } }, sync: {} });
});
afterAll(() => world[Symbol.asyncDispose]());

const run = async (retries = true): Promise<void> => {
  const worker = await world.sync.start();
  await worker.idle({ retries });
  await worker[Symbol.asyncDispose]();
};

interface Times {
  item: number | null;
  row: number | null;
  [resource: string]: number | null;
}

/** The item's verified_at as sync and as the mirror have it, and that of each resource. */
async function times({ item_id }: Item): Promise<Times> {
  const { rows } = await world.database.query<{ subject: Date | null; row: Date | null }>(
    `select s.verified_at as subject, i.verified_at as row from sync.subjects s
     left join plaid.items i on i.integration_id = s.integration_id and i.item_id = s.id
     where s.kind = 'item' and s.id = $1`,
    [item_id],
  );
  const resources = await resourcesOfItem(world.database, world.integration.id, item_id);
  return {
    item: rows[0]?.subject?.getTime() ?? null,
    row: rows[0]?.row?.getTime() ?? null,
    ...Object.fromEntries(
      resources.map(({ resource, verified_at }) => [resource, verified_at === null ? null : Date.parse(verified_at)]),
    ),
  };
}

const moved = (before: Times, after: Times): string[] =>
  Object.keys(after).filter((name) => after[name] !== before[name]);

describe("verified_at", () => {
  it("a newly synced item has the verified_at of all its resources", async () => {
    const now = await times(await world.sync.synced(5));
    const read = ["items", "accounts", "transactions"];
    // It has none of the other products.
    const others = resourcesOf("item").filter(({ name }) => !read.includes(name));
    expect(now).toMatchObject(Object.fromEntries(others.map(({ name }) => [name, null])));
    expect(new Set(["item", "row", ...read].map((name) => now[name])).size).toBe(1);
    expect(now.item).not.toBeNull();
  });

  it("verified_at does not move for a resource that the run did not read, although the run succeeded", async () => {
    const item = await world.sync.synced(5);
    const before = await times(item);
    world.simulator.control.changeTransactions(item.item_id, { add: 2, webhooks: false });
    await world.sync.notify(item.item_id, "WEBHOOK_UPDATE_ACKNOWLEDGED", "ITEM");
    await run();
    expect(await world.sync.subject(item.item_id)).toMatchObject({ status: "ok" });
    expect(moved(before, await times(item))).toEqual(["items"]);
  });

  it("verified_at of the item is the oldest of its resources, and moves once the oldest was read", async () => {
    const item = await world.sync.synced(5);
    const before = await times(item);
    await requestSync(world.database, item.item_id, { resources: ["items", "accounts"] });
    await run();
    const between = await times(item);
    expect(moved(before, between)).toEqual(["items", "accounts"]);
    await requestSync(world.database, item.item_id, { resources: ["transactions"] });
    await run();
    const after = await times(item);
    expect(after.item).toBe(Math.min(after["items"] ?? 0, after["accounts"] ?? 0));
    expect(after.row).toBe(after.item);
    expect(after.item).toBeGreaterThan(before.item ?? 0);
  });

  it("verified_at moves for the resources that were read while another one fails", async () => {
    const item = await world.sync.synced(5);
    const before = await times(item);
    const fault = world.simulator.control.addFault({
      kind: "server_error",
      endpoint: "/transactions/sync",
      item_id: item.item_id,
    });
    await requestSync(world.database, item.item_id);
    await run(false);
    expect(moved(before, await times(item))).toEqual(["items", "accounts"]);
    world.simulator.control.clearFaults(fault.fault_id);
    await run();
    expect(moved(before, await times(item))).toEqual(["item", "row", "items", "accounts", "transactions"]);
  });

  it("verified_at of an item does not wait for a resource whose product it lacks, and counts it once it was read", async () => {
    const [item] = world.integration.makeItems(1, 5, { products: ["auth"] });
    if (!item) throw new Error("no item");
    await world.integration.link(item);
    await run();
    const now = await times(item);
    expect(now.item).not.toBeNull();
    expect(now["transactions"]).toBeNull();
    const absent = async () =>
      (await resourcesOfItem(world.database, world.integration.id, item.item_id))
        .filter(({ resource }) => ["items", "accounts", "transactions", "holdings"].includes(resource))
        .map((each) => each.absent);
    expect(await absent()).toEqual([null, null, "not_listed", "not_listed"]);

    // A resource that is requested by name is read although its product is not listed.
    await requestSync(world.database, item.item_id, { resources: ["transactions"] });
    await run();
    expect(await absent()).toEqual([null, null, null, "not_listed"]);
    expect((await times(item))["transactions"]).not.toBeNull();
  });

  it("verified_at does not move while webhooks wait that the run did not serve", async () => {
    const item = await world.sync.synced(5);
    const before = await times(item);
    const webhooks = Array.from({ length: WEBHOOKS_MAX + 1 }, () =>
      webhook({ integrationId: world.integration.id, itemId: item.item_id }),
    );
    for (let from = 0; from < webhooks.length; from += 100)
      await append(world.database, webhooks.slice(from, from + 100));
    const seen: Times[] = [];
    const worker = await world.sync.start({
      concurrency: 1,
      clientFor: gated(async (path, _body, pass) => {
        if (path === "/accounts/get") seen.push(await times(item));
        await pass();
      }),
    });
    await worker.idle();
    await worker[Symbol.asyncDispose]();
    expect(seen.map((each) => moved(before, each))).toEqual([[], []]);
    // The second run, which takes in the rest, moves what it reads.
    expect(moved(before, await times(item))).toEqual(["accounts", "transactions"]);
    const { rows } = await world.database.query<{ webhooks: number }>(
      "select webhooks from sync.runs where subject_id = $1 order by id desc limit 2",
      [item.item_id],
    );
    expect(rows.map((each) => each.webhooks)).toEqual([1, WEBHOOKS_MAX]);
  });

  it("verified_at is null while a resource of the item was never read", async () => {
    const [item] = world.integration.makeItems(1, 5, { ready: false });
    if (!item) throw new Error("no item");
    await world.integration.link(item);
    await run(false);
    const now = await times(item);
    expect(now).toMatchObject({ item: null, row: null, transactions: null });
    expect(now["items"]).not.toBeNull();
    expect(now["accounts"]).not.toBeNull();
  });
});
