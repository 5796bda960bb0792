/** The fixture itself: which parts a world has, that they work together, and that a world leaves nothing behind. */
import { describe, expect, it } from "vitest";
import { testDatabase } from "../database.ts";
import { until } from "../until.ts";
import { PARTS, startWorld } from "./index.ts";

const gone = (url: string): Promise<boolean> =>
  fetch(url).then(
    () => false,
    () => true,
  );

describe("a world", () => {
  it("a world has the parts that were asked for and those that they need, and no others", async () => {
    await using bare = await startWorld();
    await using world = await startWorld({ sync: {} });
    const partsOf = (of: object) => Object.keys(PARTS).filter((name) => name in of);
    expect(partsOf(bare)).toEqual([]);
    expect(partsOf(world)).toEqual(["simulator", "integration", "sync"]);
    // @ts-expect-error its type has no other part either
    expect(world.relay).toBeUndefined();
  });

  it("every part is started after the parts that it needs", () => {
    const names = Object.keys(PARTS);
    for (const [index, { needs }] of Object.values(PARTS).entries())
      for (const needed of needs) expect(names.slice(0, index)).toContain(needed);
  });

  it("a webhook that the simulator sends comes through the parts of one world to a destination", async () => {
    await using world = await startWorld({ simulator: { seed: "one world" }, receiver: {}, sync: {}, relay: {} });
    const [item] = world.integration.makeItemsFor(world.receiver, 1, 7);
    if (!item) throw new Error("the simulator made no item");
    const application = await world.relay.receiver();
    await world.relay.destination(application, {}, { filter: { types: ["transactions.changed"] } });
    await world.relay.start();
    await world.sync.start();
    expect((await world.integration.linkAt(world.receiver, item)).status).toBe(200);
    await until(
      "the first sync",
      async () => (await world.sync.subject(item.item_id).catch(() => null))?.status === "ok",
    );
    world.simulator.control.changeTransactions(item.item_id, { add: 2 });
    await until("the delivery", () => application.received.length > 0);
    expect(JSON.parse(String(application.received[0]?.body))).toMatchObject({ data: { counts: { added: 2 } } });
    expect((await world.receiver.webhooks()).map(({ source }) => source)).toContain("PLAID");
  });

  it("a world closes what it started, the last first, and drops its database", async () => {
    const world = await startWorld({ api: {} });
    const order: string[] = [];
    for (const name of ["first", "second"]) world.use({ [Symbol.asyncDispose]: async () => void order.push(name) });
    await world[Symbol.asyncDispose]();
    expect(order).toEqual(["second", "first"]);
    expect([await gone(world.api.url), await gone(world.simulator.url)]).toEqual([true, true]);
    await expect(world.database.query("select 1")).rejects.toThrow();
  });

  it("a world whose part cannot start closes the parts before it", async () => {
    const { database, url, ...held } = await testDatabase();
    await using _held = held;
    const start = startWorld({
      database: { given: { database, url } },
      api: { config: { trustedProxies: ["no-network"] } },
    });
    await expect(start).rejects.toMatchObject({ code: "config_invalid" });
    // A database that was given stays open: its owner closes it.
    expect((await database.query("select 1 as one")).rows).toEqual([{ one: 1 }]);
    const { rows } = await database.query(
      "select from pg_stat_activity where datname = current_database() and query like 'listen%'",
    );
    expect(rows).toEqual([]);
  });
});
