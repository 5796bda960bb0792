import { describe, expect, it } from "vitest";
import { systemClock } from "../../src/clock.ts";
import type { Database } from "../../src/database/types.ts";
import { append } from "../../src/journal/append.ts";
import { silentLogger } from "../../src/logger.ts";
import { metrics } from "../../src/metrics.ts";
import { workOnce } from "../../src/relay/job-runner.ts";
import { createRedrive } from "../../src/relay/jobs.ts";
import { createRoute } from "../../src/relay/routes.ts";
import { findOverdue, forget, relayDepth, startSweep, sweep } from "../../src/relay/sweep.ts";
import { webhook } from "../journal/support.ts";
import { until } from "../support/stage.ts";
import { deliveries, dispatchAll, settle, workAll } from "./past.ts";
import { INTEGRATION, openScene, type Scene } from "./scene.ts";

const NOWHERE = { url: "http://127.0.0.1:9" };

/** Makes it so that all there is, destinations too, has been there for so many minutes. */
async function age(database: Database, minutes: number): Promise<void> {
  const past = `now() - ${minutes} * interval '1 minute'`;
  await database.query(`update relay.deliveries set due_at = ${past} where status = 'scheduled'`);
  await database.query(`update relay.destinations set updated_at = ${past}`);
  await database.query(`update journal.outbox set written_at = ${past}`);
}

const told = async ({ database }: Scene): Promise<{ outbox: number; deliveries: number }[]> => {
  const { rows } = await database.query<{ payload: Buffer }>(
    "select payload from journal.events where type = 'relay.overdue' order by id",
  );
  return rows.map(
    ({ payload }) => (JSON.parse(payload.toString()) as { data: { outbox: number; deliveries: number } }).data,
  );
};

/** An event whose id and outbox row are so many days old. */
async function oldEvent(database: Database, days: number): Promise<string> {
  const { rows } = await database.query<{ id: string }>(
    `with made as (select journal.new_id(now() - $1 * interval '1 day') as id, now() - $1 * interval '1 day' as at), event as (
       insert into journal.events (id, type, integration_id, item_id, occurred_at, payload)
       select id, 'item.updated', $2, 'item-1', at, '{}' from made
     ), noted as (
       insert into journal.outbox (events, written_at) select array[id], at from made
     ) select id from made`,
    [days, INTEGRATION],
  );
  return rows[0]?.id ?? "";
}

const kept = async (database: Database, table: string): Promise<string[]> =>
  (await database.query<{ id: string }>(`select id from ${table} order by id`)).rows.map(({ id }) => id);

const keeping = (database: Database, retentionDays = 90) => ({ database, clock: systemClock, retentionDays });

describe("the sweep", () => {
  it("finds nothing where nothing is late", async () => {
    await using scene = await openScene();
    await scene.destination(NOWHERE);
    await scene.webhooks("item-1");
    expect(await sweep({ ...scene, clock: systemClock, logger: silentLogger })).toEqual({
      outbox: 0,
      deliveries: 0,
      oldest_at: null,
    });
    await dispatchAll(scene.database);
    expect(await findOverdue(scene.database)).toEqual({ outbox: 0, deliveries: 0, oldest_at: null });
    expect(await told(scene)).toEqual([]);
  });

  it("finds what no dispatcher has taken, and deliveries that nobody attempts", async () => {
    await using scene = await openScene();
    await scene.destination(NOWHERE);
    await scene.webhooks("item-1", "item-2");
    await dispatchAll(scene.database);
    await scene.event({});
    await age(scene.database, 6);
    const overdue = await findOverdue(scene.database);
    expect(overdue).toMatchObject({ outbox: 1, deliveries: 2 });
    expect(Date.now() - (overdue.oldest_at?.getTime() ?? 0)).toBeGreaterThanOrEqual(6 * 60_000 - 1000);
    await dispatchAll(scene.database);
    expect(await findOverdue(scene.database)).toMatchObject({ outbox: 0, deliveries: 2 });
  });

  it.each([
    ["is paused", "update relay.destinations set paused_at = now() - interval '1 hour'"],
    ["is disabled", "update relay.destinations set disabled_at = now() - interval '1 hour'"],
    ["is paced", "update relay.destinations set rate_limit = 1"],
    ["was just changed", "update relay.destinations set updated_at = now()"],
    ["is deleted", "update relay.destinations set deleted_at = now()"],
    ["is open", "update relay.health set breaker = 'open', hold_until = now() + interval '1 minute'"],
    ["is tried out", "update relay.health set breaker = 'half_open', hold_until = now() - interval '1 hour'"],
    ["asked to wait", "update relay.health set hold_until = now() + interval '1 hour'"],
    ["has just asked to wait", "update relay.health set hold_until = now() - interval '1 minute'"],
  ])("does not take for late what waits because its destination %s", async (_, change) => {
    await using scene = await openScene();
    await scene.destination(NOWHERE);
    await scene.webhooks("item-1");
    await dispatchAll(scene.database);
    await age(scene.database, 60);
    expect(await findOverdue(scene.database)).toMatchObject({ deliveries: 1 });
    await scene.database.query(change);
    expect(await findOverdue(scene.database)).toMatchObject({ deliveries: 0 });
  });

  it("does not take for late what waits behind another of its lane that is not due", async () => {
    await using scene = await openScene();
    await scene.destination(NOWHERE, { ordering: "per_item" });
    await scene.webhooks("item-1", "item-1", "item-2");
    await dispatchAll(scene.database);
    await age(scene.database, 6);
    expect(await findOverdue(scene.database)).toMatchObject({ deliveries: 3 });
    await scene.database.query(
      "update relay.deliveries set due_at = now() + interval '1 hour' where seq = (select min(seq) from relay.deliveries)",
    );
    expect(await findOverdue(scene.database)).toMatchObject({ deliveries: 1 });
  });

  it("tells of it once, whoever looks, and again only when it had been over", async () => {
    await using scene = await openScene();
    const { database } = scene;
    await scene.destination(NOWHERE);
    const lines: string[] = [];
    const logger = {
      ...silentLogger,
      error: (_: unknown, line: string) => lines.push(line),
      info: (line: string) => lines.push(line),
    };
    const look = () => sweep({ database, clock: systemClock, logger: logger as unknown as typeof silentLogger });
    await scene.webhooks("item-1");
    await age(database, 2);
    await Promise.all([look(), look(), look()]);
    await look();
    expect(await told(scene)).toMatchObject([{ outbox: 1, deliveries: 0 }]);
    expect(lines).toHaveLength(1);
    await dispatchAll(database);
    await Promise.all([look(), look()]);
    expect(lines).toHaveLength(2);
    await age(database, 6);
    await look();
    expect(await told(scene)).toMatchObject([
      { outbox: 1, deliveries: 0 },
      { outbox: 0, deliveries: 1 },
    ]);
  });

  it("measures what waits, is held, and gave up", async () => {
    await using scene = await openScene();
    const { database } = scene;
    await scene.destination(NOWHERE);
    await scene.destination(NOWHERE, { paused_at: new Date(), ordering: "per_item" });
    await scene.webhooks("item-1", "item-2", "item-3");
    await dispatchAll(database);
    await settle(database, "dead", { where: "seq = 1" });
    await scene.event({});
    expect(await relayDepth(database)).toMatchObject({ undispatched: 1, scheduled: 2, held: 3, dead: 1 });
    await sweep({ database, clock: systemClock, logger: silentLogger });
    const { values } = await metrics.deliveriesWaiting.get();
    expect(Object.fromEntries(values.map(({ labels, value }) => [labels["state"], value]))).toEqual({
      scheduled: 2,
      held: 3,
      dead: 1,
    });
  });

  it("looks by itself until it is disposed", async () => {
    await using scene = await openScene();
    await scene.webhooks("item-1");
    await age(scene.database, 2);
    await using _sweep = await startSweep({ ...keeping(scene.database), logger: silentLogger });
    await until("it is told", async () => (await told(scene)).length === 1, 10);
  });
});

describe("retention", () => {
  it("forgets finished deliveries with their attempts, events and outbox rows that are older, and keeps the others", async () => {
    await using scene = await openScene();
    const { database } = scene;
    await scene.destination(NOWHERE);
    const [, young] = [await oldEvent(database, 91), await oldEvent(database, 89)];
    await dispatchAll(database);
    await database.query(
      `update relay.deliveries r set status = 'dead', due_at = null, finished_at = e.occurred_at,
         id = journal.new_id(e.occurred_at) from journal.events e where e.id = r.event_id`,
    );
    await database.query(
      `insert into relay.attempts (delivery_id, number, started_at, duration_ms, url)
       select id, 1, now(), 1, '' from relay.deliveries`,
    );
    expect(await forget(keeping(database))).toEqual({ deliveries: 1, events: 1, outbox: 1 });
    expect(await kept(database, "journal.events")).toEqual([young]);
    expect(await deliveries(database)).toMatchObject([{ event_id: young }]);
    expect((await database.query("select from relay.attempts")).rowCount).toBe(1);
    expect((await database.query("select from journal.outbox")).rowCount).toBe(1);
    expect(await forget(keeping(database))).toEqual({ deliveries: 0, events: 0, outbox: 0 });
  });

  it("never forgets an event that is still to be delivered or dispatched, however old", async () => {
    await using scene = await openScene();
    const { database } = scene;
    await scene.destination(NOWHERE, { paused_at: new Date() });
    const held = await oldEvent(database, 400);
    await dispatchAll(database);
    await database.query("update relay.deliveries set id = journal.new_id(now() - interval '400 days')");
    const waiting = await oldEvent(database, 300);
    const behind = await oldEvent(database, 200);
    expect(await forget(keeping(database))).toEqual({ deliveries: 0, events: 0, outbox: 1 });
    expect(await kept(database, "journal.events")).toEqual([held, waiting, behind]);
    await dispatchAll(database);
    await settle(database, "delivered", { where: `event_id <> '${waiting}'` });
    expect(await forget(keeping(database))).toMatchObject({ deliveries: 0, events: 2 });
    expect(await kept(database, "journal.events")).toEqual([waiting]);
    expect((await deliveries(database)).map(({ status }) => status)).toEqual(["delivered", "scheduled", "delivered"]);
  });

  it("keeps a dead letter as long as events, from when it gave up", async () => {
    await using scene = await openScene();
    const { database } = scene;
    await scene.destination(NOWHERE);
    await oldEvent(database, 95);
    await dispatchAll(database);
    await database.query("update relay.deliveries set id = journal.new_id(now() - interval '95 days')");
    await settle(database, "dead", { cause: "timeout", at: "now() - interval '89 days'" });
    expect(await forget(keeping(database))).toMatchObject({ deliveries: 0, events: 1 });
    expect(await scene.statuses()).toEqual({ dead: 1 });
    // What would be sent is gone, so a redrive does not schedule it.
    await createRedrive(database, {});
    await workAll(database);
    expect(await scene.statuses()).toEqual({ dead: 1 });
  });

  it("goes through more than a batch, past what it has to keep", async () => {
    await using scene = await openScene();
    const { database } = scene;
    const { id } = await scene.destination(NOWHERE, {}, { enabled: false });
    const route = await createRoute(database, { destination_id: id });
    await database.query(
      `insert into journal.events (id, type, occurred_at, payload)
       select journal.new_id(now() - interval '100 days' + n * interval '1 ms'), 'item.updated', now(), '{}' from generate_series(1, 12000) n`,
    );
    await database.query(
      `insert into relay.deliveries (id, destination_id, event_id, event_type, route_id, route_version, form, status, due_at, finished_at)
       select id, $1, id, type, $2, 1, 'event', case when n <= 5500 then 'scheduled' else 'delivered' end, now(), now() - interval '95 days'
       from (select *, row_number() over (order by id) as n from journal.events) e`,
      [id, route.id],
    );
    expect(await forget(keeping(database))).toMatchObject({ deliveries: 6500, events: 6500 });
    expect(await scene.statuses()).toEqual({ scheduled: 5500 });
    expect(await kept(database, "journal.events")).toHaveLength(5500);
  });

  it("does not take an event from under a job that is just scheduling it", async () => {
    await using scene = await openScene();
    const { database } = scene;
    await scene.destination(NOWHERE);
    const event = await oldEvent(database, 95);
    await dispatchAll(database);
    await settle(database, "dead", { cause: "timeout" });
    await createRedrive(database, {});
    let forgetting: Promise<unknown> = Promise.resolve();
    const slow: Database = {
      query: (...args) => database.query(...args),
      listen: (...args) => database.listen(...args),
      transaction: (work) =>
        database.transaction(async (tx) => {
          const result = await work(tx);
          forgetting = forget(keeping(database));
          // Retention has looked at what there is by now, or waits.
          await until(
            "retention waits",
            async () => {
              const { rowCount } = await database.query(
                "select from pg_locks join pg_database d on d.oid = database where d.datname = current_database() and not granted",
              );
              return rowCount > 0;
            },
            10,
          );
          return result;
        }),
      [Symbol.asyncDispose]: async () => undefined,
    };
    await workOnce(slow);
    await forgetting;
    expect(await scene.statuses()).toEqual({ scheduled: 1 });
    expect(await kept(database, "journal.events")).toEqual([event]);
  });

  it("forgets what a finished job was about, and the job when it is old", async () => {
    await using scene = await openScene();
    const { database } = scene;
    await scene.destination(NOWHERE);
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
