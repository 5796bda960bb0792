/** What retention makes of jobs, routes and destinations that are over, and what it keeps for those that are not. */
import { describe, expect, it } from "vitest";
import { append } from "../../../src/journal/append.ts";
import { deleteDestination } from "../../../src/relay/delete-destination.ts";
import {
  cancelJob,
  createRedrive,
  createReplay,
  createRoutePast,
  getJob,
  pauseJob,
} from "../../../src/relay/jobs/jobs.ts";
import { listRoutes, updateRoute } from "../../../src/relay/routing/routes.ts";
import { forget } from "../../../src/relay/retention.ts";
import { kept, keeping, oldEvent } from "../old.ts";
import { dispatchAll, settle, whole, workAll } from "../past.ts";
import { webhook } from "../../support/webhook.ts";
import { startWorld } from "../../support/world/index.ts";

const NOWHERE = { url: "http://127.0.0.1:9" };

describe("retention", () => {
  it("retention keeps the members of an unfinished job until the job is finished", async () => {
    await using world = await startWorld({ relay: {} });
    const { database } = world;
    const { id } = await world.relay.destination(NOWHERE);
    const event = await oldEvent(database, 95);
    await dispatchAll(database);
    await database.query("update relay.deliveries set id = tartan.new_id(now() - interval '95 days')");
    await settle(database, "dead", { cause: "timeout", at: "now() - interval '91 days'" });
    const redrive = whole(await createRedrive(database, {}));
    const replay = whole(await createReplay(database, { destination_id: id, from: "2020-01-01T00:00:00Z" }));
    await pauseJob(database, replay.id);
    expect(await forget(keeping(database))).toMatchObject({ deliveries: 0, events: 0 });
    await cancelJob(database, redrive.id);
    expect(await forget(keeping(database))).toMatchObject({ deliveries: 1, events: 0 });
    expect(await kept(database, "events.events")).toEqual([event]);
    await cancelJob(database, replay.id);
    expect(await forget(keeping(database))).toMatchObject({ events: 1 });
  });

  it("retention cancels a job that was paused for longer than events are kept, and deletes its members", async () => {
    await using world = await startWorld({ relay: {} });
    const { database } = world;
    await world.relay.destination(NOWHERE);
    await world.relay.webhooks("item-1");
    await dispatchAll(database);
    await settle(database, "dead", { cause: "timeout" });
    const { id } = whole(await createRedrive(database, {}));
    await pauseJob(database, id);
    await forget(keeping(database));
    expect(await getJob(database, id)).toMatchObject({ status: "paused" });
    await database.query("update relay.jobs set updated_at = now() - interval '91 days'");
    await forget(keeping(database));
    expect(await getJob(database, id)).toMatchObject({ status: "cancelled" });
    expect((await database.query("select from relay.job_members")).rowCount).toBe(0);
  });

  it("retention keeps the weeks of webhooks that an unfinished job will process", async () => {
    await using world = await startWorld({ relay: {} });
    const { database } = world;
    const { id } = await world.relay.destination(NOWHERE, {}, { enabled: false });
    const [hook] = await world.relay.webhooks("item-1");
    await dispatchAll(database);
    const [route] = await listRoutes(database);
    const job = whole(await createRoutePast(database, { route_id: route?.id ?? "", from: "2020-01-01T00:00:00Z" }));
    const needed = async () => {
      const { rows } = await database.query<{ needed: boolean }>(
        "select relay.needs_webhooks($1, 'ffffffff-ffff-ffff-ffff-ffffffffffff') as needed",
        [hook],
      );
      return rows[0]?.needed;
    };
    expect(await needed()).toBe(true);
    await cancelJob(database, job.id);
    expect(await needed()).toBe(false);
    expect(id).toBe(route?.destination_id);
  });

  it("retention deletes routes, their versions and destinations once no kept delivery can refer to them", async () => {
    await using world = await startWorld({ relay: {} });
    const { database } = world;
    const { id } = await world.relay.destination(NOWHERE);
    const [route] = await listRoutes(database);
    await updateRoute(database, route?.id ?? "", { filter: { types: ["*"], history: true } });
    await world.relay.webhooks("item-1");
    await dispatchAll(database);
    await settle(database, "delivered");
    await deleteDestination(database, id);
    const counts = async () => {
      const { rows } = await database.query<Record<string, number>>(
        `select (select count(*)::int from relay.route_versions) as versions, (select count(*)::int from relay.routes) as routes,
           (select count(*)::int from relay.destinations) as destinations`,
      );
      return rows[0];
    };
    const age = (table: string, column: string, days: number) =>
      database.query(`update relay.${table} set ${column} = now() - ${days} * interval '1 day'`);
    await age("routes", "deleted_at", 100);
    await age("destinations", "deleted_at", 100);
    await age("route_versions", "created_at", 150);
    await age("deliveries", "created_at", 160);
    await forget(keeping(database));
    expect(await counts()).toEqual({ versions: 2, routes: 1, destinations: 1 });
    await age("deliveries", "created_at", 120);
    await forget(keeping(database));
    expect(await counts()).toEqual({ versions: 1, routes: 1, destinations: 1 });
    await age("deliveries", "created_at", 91);
    await forget(keeping(database));
    expect(await counts()).toEqual({ versions: 0, routes: 0, destinations: 1 });
    await database.query("delete from relay.deliveries");
    await forget(keeping(database));
    expect(await counts()).toEqual({ versions: 0, routes: 0, destinations: 0 });
  });

  it("retention deletes the members of a finished job, and the job when it is old", async () => {
    await using world = await startWorld({ relay: {} });
    const { database } = world;
    await world.relay.destination(NOWHERE);
    await append(database, [webhook({})]);
    await dispatchAll(database);
    await settle(database, "dead", { cause: "timeout" });
    await createRedrive(database, {});
    await forget(keeping(database));
    expect((await database.query("select from relay.job_members")).rowCount).toBe(1);
    await workAll(database);
    await forget(keeping(database));
    expect((await database.query("select from relay.job_members")).rowCount).toBe(0);
    expect((await database.query("select from relay.jobs")).rowCount).toBe(1);
    await database.query("update relay.jobs set finished_at = now() - interval '91 days'");
    await forget(keeping(database));
    expect((await database.query("select from relay.jobs")).rowCount).toBe(0);
  });
});
