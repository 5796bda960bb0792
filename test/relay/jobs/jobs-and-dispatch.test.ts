/** What is routed and replayed of the past, while dispatch is at work: nothing falls between the two. */
import { describe, expect, it } from "vitest";
import type { Database } from "../../../src/database/types.ts";
import { Dispatcher } from "../../../src/relay/dispatch/dispatcher.ts";
import { createReplay, createRoutePast } from "../../../src/relay/jobs/jobs.ts";
import { createRoute, updateRoute } from "../../../src/relay/routing/routes.ts";
import { deliveries, dispatchAll, workAll } from "../past.ts";
import { until } from "../../support/until.ts";
import { startWorld, type World } from "../../support/world/index.ts";

const NOWHERE = { url: "http://127.0.0.1:9" };
const PAST = { from: "2020-01-01T00:00:00Z" };

/** A dispatch that has done everything but commit. `end` lets it. */
async function heldDispatch(database: Database): Promise<{ end: () => Promise<void> }> {
  let go: () => void = () => undefined;
  const gate = new Promise<void>((resolve) => (go = resolve));
  let arrived: () => void = () => undefined;
  const there = new Promise<void>((resolve) => (arrived = resolve));
  const held: Database = {
    query: database.query.bind(database),
    listen: database.listen.bind(database),
    transaction: (work) =>
      database.transaction(async (tx) => {
        const result = await work(tx);
        arrived();
        await gate;
        return result;
      }),
    [Symbol.asyncDispose]: async () => undefined,
  };
  const dispatched = new Dispatcher(held, "held").dispatch();
  await there;
  return {
    end: async () => {
      go();
      await dispatched;
    },
  };
}

/** Resolves once `work` is over or waits for a lock. */
async function overOrWaiting({ database }: World, work: Promise<unknown>): Promise<void> {
  let over = false;
  void work.finally(() => (over = true)).catch(() => undefined);
  await until("it is over or waits", async () => {
    const { rowCount } = await database.query(
      "select from pg_locks join pg_database d on d.oid = database where d.datname = current_database() and not granted",
    );
    return over || rowCount > 0;
  });
}

describe("during a dispatch that began before a route was created", () => {
  it("routing the past takes the events of that dispatch too", async () => {
    await using world = await startWorld({ relay: {} });
    const { id } = await world.relay.destination(NOWHERE, {}, { enabled: false });
    await world.relay.webhooks("item-1", "item-2");
    const dispatch = await heldDispatch(world.database);
    const route = await createRoute(world.database, { destination_id: id });
    const routed = createRoutePast(world.database, { route_id: route.id, ...PAST });
    await overOrWaiting(world, routed);
    await dispatch.end();
    expect(await routed).toMatchObject({ total: 2 });
    await workAll(world.database);
    expect((await deliveries(world.database)).map(({ item_id }) => item_id)).toEqual(["item-1", "item-2"]);
  });

  it("a replay takes the events of that dispatch too", async () => {
    await using world = await startWorld({ relay: {} });
    const { id } = await world.relay.destination(NOWHERE, {}, { enabled: false });
    await world.relay.webhooks("item-1");
    const dispatch = await heldDispatch(world.database);
    await createRoute(world.database, { destination_id: id });
    const replayed = createReplay(world.database, { destination_id: id, ...PAST });
    await overOrWaiting(world, replayed);
    await dispatch.end();
    expect(await replayed).toMatchObject({ total: 1 });
  });
});

describe("an event that waits for dispatch", () => {
  it("an event that waits for dispatch is left to dispatch when the route is enabled, and is routed by the job when it is not", async () => {
    await using world = await startWorld({ relay: {} });
    const { id } = await world.relay.destination(NOWHERE, {}, { enabled: false });
    const route = await createRoute(world.database, { destination_id: id });
    await world.relay.webhooks("item-1");
    expect(await createRoutePast(world.database, { route_id: route.id, ...PAST, dry_run: true })).toEqual({ count: 0 });
    await updateRoute(world.database, route.id, { enabled: false });
    expect(await createRoutePast(world.database, { route_id: route.id, ...PAST })).toMatchObject({ total: 1 });
    await workAll(world.database);
    await dispatchAll(world.database);
    expect(await world.relay.statuses()).toEqual({ scheduled: 1 });
  });
});
