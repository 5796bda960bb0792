/** What is routed and replayed of the past, while dispatch is at work: nothing falls between the two. */
import { describe, expect, it } from "vitest";
import type { Database } from "../../../src/database/types.ts";
import { Dispatcher } from "../../../src/relay/dispatch/dispatcher.ts";
import { createReplay, createRoutePast } from "../../../src/relay/jobs/jobs.ts";
import { createRoute, updateRoute } from "../../../src/relay/routing/routes.ts";
import { until } from "../../support/stage.ts";
import { deliveries, dispatchAll, workAll } from "../past.ts";
import { openScene, type Scene } from "../scene.ts";

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
async function overOrWaiting({ database }: Scene, work: Promise<unknown>): Promise<void> {
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
    await using scene = await openScene();
    const { id } = await scene.destination(NOWHERE, {}, { enabled: false });
    await scene.webhooks("item-1", "item-2");
    const dispatch = await heldDispatch(scene.database);
    const route = await createRoute(scene.database, { destination_id: id });
    const routed = createRoutePast(scene.database, { route_id: route.id, ...PAST });
    await overOrWaiting(scene, routed);
    await dispatch.end();
    expect(await routed).toMatchObject({ total: 2 });
    await workAll(scene.database);
    expect((await deliveries(scene.database)).map(({ item_id }) => item_id)).toEqual(["item-1", "item-2"]);
  });

  it("a replay takes the events of that dispatch too", async () => {
    await using scene = await openScene();
    const { id } = await scene.destination(NOWHERE, {}, { enabled: false });
    await scene.webhooks("item-1");
    const dispatch = await heldDispatch(scene.database);
    await createRoute(scene.database, { destination_id: id });
    const replayed = createReplay(scene.database, { destination_id: id, ...PAST });
    await overOrWaiting(scene, replayed);
    await dispatch.end();
    expect(await replayed).toMatchObject({ total: 1 });
  });
});

describe("an event that waits for dispatch", () => {
  it("an event that waits for dispatch is left to dispatch when the route is enabled, and is routed by the job when it is not", async () => {
    await using scene = await openScene();
    const { id } = await scene.destination(NOWHERE, {}, { enabled: false });
    const route = await createRoute(scene.database, { destination_id: id });
    await scene.webhooks("item-1");
    expect(await createRoutePast(scene.database, { route_id: route.id, ...PAST, dry_run: true })).toEqual({ count: 0 });
    await updateRoute(scene.database, route.id, { enabled: false });
    expect(await createRoutePast(scene.database, { route_id: route.id, ...PAST })).toMatchObject({ total: 1 });
    await workAll(scene.database);
    await dispatchAll(scene.database);
    expect(await scene.statuses()).toEqual({ scheduled: 1 });
  });
});
