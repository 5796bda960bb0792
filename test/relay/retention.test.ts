import { describe, expect, it } from "vitest";
import { janitorOptions } from "../../src/cli/wiring/upkeep.ts";
import { systemClock } from "../../src/clock.ts";
import { loadConfig } from "../../src/config.ts";
import type { Database } from "../../src/database/types.ts";
import { FORGET_OUTBOX } from "../../src/events/retention-queries.ts";
import { append } from "../../src/journal/append.ts";
import { tidy } from "../../src/journal/janitor.ts";
import { silentLogger } from "../../src/logger.ts";
import { groups } from "../../src/relay/ledger/dead-letters.ts";
import { workOnce } from "../../src/relay/jobs/job-runner.ts";
import { cancelJob, createRedrive, createReplay, pauseJob } from "../../src/relay/jobs/jobs.ts";
import { createRoute } from "../../src/relay/routing/routes.ts";
import { relayNeeds } from "../../src/relay/needs.ts";
import { forget } from "../../src/relay/retention.ts";
import { kept, keeping, oldEvent } from "./old.ts";
import { deliveries, dispatchAll, settle, whole, workAll } from "./past.ts";
import { webhook } from "../support/webhook.ts";
import { until } from "../support/until.ts";
import { startWorld } from "../support/world/index.ts";

/** What the janitor of a process does, of the default configuration. */
const roundOf = (database: Database) => janitorOptions({ database, logger: silentLogger, config: loadConfig({}) });

const NOWHERE = { url: "http://127.0.0.1:9" };
const DAY_MS = 86_400_000;

describe("retention", () => {
  it("retention deletes older finished deliveries with their attempts, events and outbox rows, and keeps the others", async () => {
    await using world = await startWorld({ relay: {} });
    const { database } = world;
    await world.relay.destination(NOWHERE);
    const [, young] = [await oldEvent(database, 91), await oldEvent(database, 89)];
    await dispatchAll(database);
    await database.query(
      `update relay.deliveries r set status = 'dead', due_at = null, finished_at = e.occurred_at,
         id = tartan.new_id(e.occurred_at) from events.events e where e.id = r.event_id`,
    );
    await database.query(
      `insert into relay.attempts (delivery_id, number, started_at, duration_ms, url)
       select id, 1, now(), 1, '' from relay.deliveries`,
    );
    expect(await forget(keeping(database))).toEqual({ deliveries: 1, events: 1, outbox: 1 });
    expect(await kept(database, "events.events")).toEqual([young]);
    expect(await deliveries(database)).toMatchObject([{ event_id: young }]);
    expect((await database.query("select from relay.attempts")).rowCount).toBe(1);
    expect((await database.query("select from events.outbox")).rowCount).toBe(1);
    expect(await forget(keeping(database))).toEqual({ deliveries: 0, events: 0, outbox: 0 });
  });

  it("retention that fails to note how far it went has deleted no event that a reader of a feed would miss", async () => {
    await using world = await startWorld({ relay: {} });
    const { database } = world;
    const old = await oldEvent(database, 91);
    await dispatchAll(database);
    const failing: Database = {
      ...database,
      transaction: (work, patience) => database.transaction(work, patience),
      query: async (statement, values) => {
        if (statement === FORGET_OUTBOX) throw new Error("the connection ended");
        return await database.query(statement, values);
      },
    };
    await expect(forget(keeping(failing))).rejects.toThrow("the connection ended");
    expect(await kept(database, "events.events")).toEqual([old]);
  });

  it("retention never deletes an event that waits for delivery or dispatch, however old", async () => {
    await using world = await startWorld({ relay: {} });
    const { database } = world;
    await world.relay.destination(NOWHERE, { paused_at: new Date() });
    const held = await oldEvent(database, 400);
    await dispatchAll(database);
    await database.query("update relay.deliveries set id = tartan.new_id(now() - interval '400 days')");
    const waiting = await oldEvent(database, 300);
    const behind = await oldEvent(database, 200);
    expect(await forget(keeping(database))).toEqual({ deliveries: 0, events: 0, outbox: 1 });
    expect(await kept(database, "events.events")).toEqual([held, waiting, behind]);
    await dispatchAll(database);
    await settle(database, "delivered", { where: `event_id <> '${waiting}'` });
    expect(await forget(keeping(database))).toMatchObject({ deliveries: 0, events: 2 });
    expect(await kept(database, "events.events")).toEqual([waiting]);
    expect((await deliveries(database)).map(({ status }) => status)).toEqual(["delivered", "scheduled", "delivered"]);
  });

  it("retention keeps a dead letter and its event for as long, from the time when it became dead", async () => {
    await using world = await startWorld({ relay: {} });
    const { database } = world;
    await world.relay.destination(NOWHERE);
    const event = await oldEvent(database, 95);
    await dispatchAll(database);
    await database.query("update relay.deliveries set id = tartan.new_id(now() - interval '95 days')");
    await settle(database, "dead", { cause: "timeout", at: "now() - interval '89 days'" });
    expect(await forget(keeping(database))).toMatchObject({ deliveries: 0, events: 0 });
    expect(await kept(database, "events.events")).toEqual([event]);
    expect((await groups(database)).data).toMatchObject([{ count: 1, replayable: 1 }]);
    await database.query("update relay.deliveries set finished_at = now() - interval '91 days'");
    expect(await forget(keeping(database))).toMatchObject({ deliveries: 1, events: 1 });
  });

  it("retention keeps a dead letter replayable that was held for longer than events are kept", async () => {
    await using world = await startWorld({ relay: {} });
    const { database } = world;
    const receiver = await world.relay.receiver();
    await world.relay.destination(receiver);
    const event = await oldEvent(database, 200);
    await dispatchAll(database);
    await database.query("update relay.deliveries set id = tartan.new_id(now() - interval '200 days')");
    await settle(database, "dead", { cause: "timeout" });
    await forget(keeping(database));
    await createRedrive(database, {});
    await workAll(database);
    const relay = await world.relay.start();
    await relay.idle();
    expect(await world.relay.statuses()).toEqual({ delivered: 1 });
    expect(receiver.received.map(({ id }) => id)).toEqual([`evt_${event.replaceAll("-", "")}`]);
  });

  it("retention keeps an event while one of its destinations needs it", async () => {
    await using world = await startWorld({ relay: {} });
    const { database } = world;
    const [one, two] = [await world.relay.destination(NOWHERE), await world.relay.destination(NOWHERE)];
    const event = await oldEvent(database, 95);
    await dispatchAll(database);
    await database.query("update relay.deliveries set id = tartan.new_id(now() - interval '95 days', seq)");
    await settle(database, "delivered", { at: "now() - interval '95 days'", where: `destination_id = '${one.id}'` });
    await settle(database, "dead", { cause: "timeout", where: `destination_id = '${two.id}'` });
    expect(await forget(keeping(database))).toMatchObject({ deliveries: 1, events: 0 });
    expect(await kept(database, "events.events")).toEqual([event]);
  });

  it("retention uses the database's clock, not that of the process", async () => {
    await using world = await startWorld({ relay: {} });
    const { database } = world;
    const event = await oldEvent(database, 10);
    await dispatchAll(database);
    const real = Date.now;
    Date.now = () => real() + 400 * DAY_MS;
    try {
      await forget(keeping(database));
    } finally {
      Date.now = real;
    }
    expect(await kept(database, "events.events")).toEqual([event]);
  });

  it("retention deletes nothing for a day after the database's clock has jumped", async () => {
    await using world = await startWorld({ relay: {} });
    const { database } = world;
    const event = await oldEvent(database, 95);
    await dispatchAll(database);
    await database.query("update journal.retention set steady_since = now() - interval '23 hours'");
    expect(await forget(keeping(database))).toEqual({ deliveries: 0, events: 0, outbox: 0 });
    expect(await kept(database, "events.events")).toEqual([event]);
    await database.query("update journal.retention set steady_since = now() - interval '25 hours'");
    expect(await forget(keeping(database))).toEqual({ deliveries: 0, events: 1, outbox: 1 });
  });

  it.each([
    [
      "jumped a year ahead since the last round",
      "looked_at = now() - interval '1 year', steady_since = '-infinity'",
      0,
    ],
    ["jumped back since the last round", "looked_at = now() + interval '30 days', steady_since = '-infinity'", 0],
    ["has been a year ahead of this process for long", "looked_at = now(), steady_since = '-infinity'", -365],
    ["has been a year behind this process for long", "looked_at = now(), steady_since = '-infinity'", 365],
  ])(
    "retention deletes nothing in a round that finds that the clock of the database %s",
    async (_, columns, daysAhead) => {
      await using world = await startWorld({ relay: {} });
      const { database } = world;
      const event = await oldEvent(database, 95);
      await dispatchAll(database);
      await database.query(`update journal.retention set ${columns}`);
      const clock = { ...systemClock, now: () => Date.now() + daysAhead * DAY_MS };
      await tidy({ ...roundOf(database), clock });
      expect(await kept(database, "events.events")).toEqual([event]);
    },
  );

  it("retention runs as a step of the janitor's round, when the clocks agree", async () => {
    await using world = await startWorld({ relay: {} });
    const { database } = world;
    const [, young] = [await oldEvent(database, 95), await oldEvent(database, 89)];
    await dispatchAll(database);
    await tidy(roundOf(database));
    expect(await kept(database, "events.events")).toEqual([young]);
  });

  it("retention reads more than one batch, past rows that it keeps", async () => {
    await using world = await startWorld({ relay: {} });
    const { database } = world;
    const { id } = await world.relay.destination(NOWHERE, {}, { enabled: false });
    const route = await createRoute(database, { destination_id: id });
    await database.query(
      `insert into events.events (id, type, occurred_at, payload)
       select tartan.new_id(now() - interval '100 days' + n * interval '1 ms'), 'item.updated', now(), '{}' from generate_series(1, 12000) n`,
    );
    await database.query(
      `insert into relay.deliveries (id, destination_id, event_id, event_type, route_id, route_version, form, status, due_at, finished_at)
       select id, $1, id, type, $2, 1, 'event', case when n <= 5500 then 'scheduled' else 'delivered' end, now(), now() - interval '95 days'
       from (select *, row_number() over (order by id) as n from events.events) e`,
      [id, route.id],
    );
    expect(await forget(keeping(database))).toMatchObject({ deliveries: 6500, events: 6500 });
    expect(await world.relay.statuses()).toEqual({ scheduled: 5500 });
    expect(await kept(database, "events.events")).toHaveLength(5500);
  });

  it("retention does not delete an event that a job is scheduling", async () => {
    await using world = await startWorld({ relay: {} });
    const { database } = world;
    await world.relay.destination(NOWHERE);
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
    expect(await world.relay.statuses()).toEqual({ scheduled: 1 });
    expect(await kept(database, "events.events")).toEqual([event]);
  });

  it("retention keeps the weeks of webhooks with scheduled deliveries", async () => {
    await using world = await startWorld({ relay: {} });
    const { database } = world;
    await world.relay.destination(NOWHERE, { paused_at: new Date() }, { form: "original" });
    const weeks = (count: number) => new Date(Date.now() - count * 7 * DAY_MS);
    await database.query("select journal.make_weeks(date_trunc('week', $1::timestamptz, 'UTC'), now())", [weeks(12)]);
    const [delivered = "", held = "", later = ""] = await Promise.all(
      [12, 8, 4].map(async (count) => {
        const { id, ...hook } = webhook({ receivedAt: weeks(count) });
        await append(database, [{ id, ...hook }]);
        return id;
      }),
    );
    await dispatchAll(database);
    await database.query("update journal.webhooks set processed_at = now()");
    await settle(database, "delivered", { where: `event_id = '${delivered}'` });
    const neededBy = [relayNeeds];
    const drop = () => tidy({ database, logger: silentLogger, clock: systemClock, retentionDays: 1, neededBy });
    await drop();
    expect(await kept(database, "journal.webhooks")).toEqual([held, later]);
    await settle(database, "delivered");
    await drop();
    expect(await kept(database, "journal.webhooks")).toEqual([]);
  });

  it("retention keeps webhooks older than all weeks while a delivery or an unfinished job needs them", async () => {
    await using world = await startWorld({ relay: {} });
    const { database } = world;
    const { id } = await world.relay.destination(NOWHERE, { paused_at: new Date() }, { form: "original" });
    const [first, second] = [60, 61].map((weeks) => webhook({ receivedAt: new Date(Date.now() - weeks * 7 * DAY_MS) }));
    if (!first || !second) throw new Error("there are two");
    await append(database, [first, second]);
    await dispatchAll(database);
    await database.query("update journal.webhooks set processed_at = now()");
    await settle(database, "delivered", { where: `event_id = '${second.id}'` });
    const neededBy = [relayNeeds];
    const drop = () => tidy({ database, logger: silentLogger, clock: systemClock, retentionDays: 1, neededBy });
    await drop();
    expect(await kept(database, "journal.webhooks")).toEqual([first.id]);
    await settle(database, "delivered");
    const replay = whole(await createReplay(database, { destination_id: id, from: "2020-01-01T00:00:00Z" }));
    await pauseJob(database, replay.id);
    await drop();
    expect(await kept(database, "journal.webhooks")).toEqual([first.id]);
    await cancelJob(database, replay.id);
    await drop();
    expect(await kept(database, "journal.webhooks")).toEqual([]);
  });
});
