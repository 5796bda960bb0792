/** What the API and the CLI ask of sync. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { queueDepth } from "../../src/sync/depth.ts";
import { listRuns, requestSync } from "../../src/sync/queries.ts";
import { startWorld, type Item, type World } from "../support/world/index.ts";

let world: World<"sync">;
let item: Item;
beforeAll(async () => {
  world = await startWorld({ sync: {} });
  item = await world.sync.synced(3);
});
afterAll(() => world[Symbol.asyncDispose]());

const run = async () => {
  const worker = await world.sync.start();
  await worker.idle();
  await worker[Symbol.asyncDispose]();
};

describe("requestSync", () => {
  it("requestSync makes an item due with all of its resources, or with those named", async () => {
    await requestSync(world.database, item.item_id);
    expect(await world.sync.subject(item.item_id)).toMatchObject({ requested: ["*"] });
    await run();
    await requestSync(world.database, item.item_id, { resources: ["accounts"], full: true });
    expect(await world.sync.subject(item.item_id)).toMatchObject({ requested: ["accounts:full"] });
    const asked = world.simulator.asked("/accounts/get");
    await run();
    expect(world.simulator.asked("/accounts/get") - asked).toBe(1);
    expect(await world.sync.subject(item.item_id)).toMatchObject({ requested: [], claimed: [], due_at: null });
  });

  it("requestSync refuses an item that is not linked and an unknown resource, and says what to do", async () => {
    await expect(requestSync(world.database, "nobody")).rejects.toMatchObject({ code: "not_found" });
    await expect(requestSync(world.database, item.item_id, { resources: ["cheese"] })).rejects.toMatchObject({
      code: "invalid_request",
      fields: { "resources.0": expect.stringMatching(/^must be one of items, accounts, transactions, /) },
    });
  });
});

describe("listRuns", () => {
  it("listRuns yields an item's runs newest first, page by page", async () => {
    for (let n = 0; n < 3; n += 1) {
      await world.sync.notify(item.item_id);
      await run();
    }
    const all = await listRuns(world.database, { item_id: item.item_id });
    expect(all.next_cursor).toBeNull();
    expect(all.data.length).toBeGreaterThanOrEqual(4);
    expect(all.data[0]).toMatchObject({
      item_id: item.item_id,
      integration_id: world.integration.id,
      outcome: "synced",
      webhooks: 1,
      update_info: { outcome: "synced" },
    });
    expect(all.data[0]?.started_at).toMatch(/Z$/);
    expect(all.data.map(({ id }) => id)).toEqual(
      all.data
        .map(({ id }) => id)
        .toSorted()
        .toReversed(),
    );
    const found = [];
    for (let cursor: string | null | undefined; cursor !== null;) {
      const page = await listRuns(world.database, { item_id: item.item_id, limit: 2, cursor });
      found.push(...page.data);
      cursor = page.next_cursor;
    }
    expect(found).toEqual(all.data);
    await expect(listRuns(world.database, { item_id: item.item_id, cursor: "'" })).rejects.toMatchObject({
      code: "invalid_request",
    });
  });
});

describe("queueDepth", () => {
  it("queueDepth counts what waits, for how long, and the subjects by status", async () => {
    expect(await queueDepth(world.database)).toMatchObject({
      due: 0,
      running: 0,
      oldest_due_seconds: 0,
      by_status: { ok: 2 },
    });
    await world.sync.notify(item.item_id);
    await world.database.query("update sync.subjects set due_at = now() - interval '1 minute' where id = $1", [
      item.item_id,
    ]);
    const depth = await queueDepth(world.database);
    expect(depth).toMatchObject({ due: 1, running: 0 });
    expect(depth.oldest_due_seconds).toBeGreaterThanOrEqual(60);
    await run();
  });
});
