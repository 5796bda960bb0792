/** Checks of an item while something else happens: to the item, to Postgres, or in another process. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { systemClock } from "../../src/clock.ts";
import type { Queryable } from "../../src/database/types.ts";
import { updateIntegration } from "../../src/lifecycle/integrations.ts";
import { eraseItem, unlinkItem } from "../../src/lifecycle/items.ts";
import { createLimiter } from "../../src/sync/limiter.ts";
import { answering, gapsOf, checkDirectly, unheardItem } from "./reconcile-support.ts";
import { startWorld, type Item, type World } from "../support/world/index.ts";

let world: World<"sync">;
beforeEach(async () => {
  world = await startWorld({ sync: {} });
});
afterEach(() => world[Symbol.asyncDispose]());

it("a check fails when Postgres goes away while it records Plaid's answer, and the process continues", async () => {
  const item = await world.sync.synced();
  const { database, integration } = world;
  const query: Queryable["query"] = async (statement, values) => {
    if (typeof statement !== "string" && statement.name === "sync_reset_strikes") throw new Error("Postgres is away");
    return await database.query(statement, values);
  };
  const limiter = createLimiter({ query }, systemClock, 10_000);
  const asking = {
    integrationId: integration.id,
    environment: "sandbox",
    endpoint: "/item/get",
    itemId: item.item_id,
  } as const;
  const refusal = { errorCode: "ITEM_GET_LIMIT", retryAfterMs: 1 };
  await limiter.refused({ ...asking, institutionId: null }, refusal);
  await database.query("delete from sync.rate_limits");
  await expect(checkDirectly(world, { limiter })).rejects.toThrow("Postgres is away");
});

describe("a running check", () => {
  const rowsOf = async ({ item_id }: Item): Promise<number> => {
    const { rows } = await world.database.query<{ rows: number }>(
      `select (select count(*) from journal.webhooks where item_id = $1)
         + (select count(*) from sync.subjects where id = $1) as rows`,
      [item_id],
    );
    return rows[0]?.rows ?? -1;
  };

  it("a check leaves nothing of an item that is erased meanwhile", async () => {
    for (const differs of [false, true]) {
      const item = await unheardItem(world);
      if (differs) world.simulator.control.changeTransactions(item.item_id, { add: 3 });
      else
        await updateIntegration(world.database, world.vault, world.integration.id, {
          include_original_description: true,
        });
      const results = await checkDirectly(world, {
        clientFor: answering(() => eraseItem(world.database, world.integration.id, item.item_id)),
      });
      expect(results).toEqual([{ outcome: "lost" }]);
      expect(await rowsOf(item)).toBe(0);
    }
  });

  it("a check makes nothing due of an item that is unlinked meanwhile", async () => {
    const item = await unheardItem(world);
    world.simulator.control.changeTransactions(item.item_id, { add: 3 });
    const clientFor = answering(() => unlinkItem(world.database, world.integration.id, item.item_id));
    expect(await checkDirectly(world, { clientFor })).toEqual([{ outcome: "lost" }]);
    expect(await world.sync.subject(item.item_id)).toMatchObject({ due_at: null, requested: [], status: "unlinked" });
    expect(await gapsOf(world)).toEqual([]);
  });

  it("a check that another process has taken over records neither a second gap nor older data", async () => {
    const item = await unheardItem(world);
    world.simulator.control.changeTransactions(item.item_id, { add: 3 });
    let others: unknown;
    const clientFor = answering(async () => {
      others = await checkDirectly(world);
    });
    expect(await checkDirectly(world, { clientFor })).toEqual([{ outcome: "lost" }]);
    expect(others).toMatchObject([{ outcome: "gap" }]);
    expect(await gapsOf(world)).toHaveLength(1);
  });
});
