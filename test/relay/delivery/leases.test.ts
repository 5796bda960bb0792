import { setTimeout as delay } from "node:timers/promises";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { describe, expect, it } from "vitest";
import type { Clock } from "../../../src/clock.ts";
import type { Queryable } from "../../../src/database/types.ts";
import { silentLogger } from "../../../src/logger.ts";
import { NO_ATTEMPTS } from "../../../src/relay/delivery/attempt-notes.ts";
import { DestinationLeases } from "../../../src/relay/delivery/leases.ts";
import { hasEnded, identifyProcess } from "../../../src/relay/delivery/process-identity.ts";
import { NOTE_ATTEMPTS } from "../../../src/relay/delivery/attempt-queries.ts";
import { startWorld, type World } from "../../support/world/index.ts";

/** A clock whose sleepers sleep until they are woken. */
function sleepyClock(): Clock & { wake(): void } {
  let wakes: (() => void)[] = [];
  return {
    now: Date.now,
    sleep: (_ms, signal) =>
      new Promise((resolve) => {
        wakes.push(resolve);
        signal?.addEventListener("abort", () => resolve());
      }),
    wake: () => {
      for (const wake of wakes.splice(0)) wake();
      wakes = [];
    },
  };
}

const leases = (world: World): DestinationLeases =>
  new DestinationLeases({ database: world.database, clock: sleepyClock(), logger: silentLogger, leaseSeconds: 45 });

/** Two workers: the first leases the only destination, and the second has renewed its own lease for a while. */
async function twoWorkers(world: World<"relay">) {
  const { id } = await world.relay.destination(await world.relay.receiver());
  const first = leases(world);
  await first.start();
  const { leased } = await first.acquire([]);
  expect(leased.map(({ destinationId }) => destinationId)).toEqual([id]);
  const second = leases(world);
  await second.start();
  await world.database.query("update relay.workers set alive_since = now() - interval '1 minute'");
  return {
    id,
    first,
    second,
    epoch: leased[0]?.epoch ?? 0,
    [Symbol.asyncDispose]: async () => {
      await first[Symbol.asyncDispose]();
      await second[Symbol.asyncDispose]();
    },
  };
}

/** As when the session of a worker is cut: by a proxy, or since its process was killed. */
async function cutSession(world: World, worker: string): Promise<void> {
  await world.database.query("select pg_terminate_backend(session_pid) from relay.workers where id = $1", [worker]);
  await delay(300);
}

const silentFor = (world: World, worker: string, seconds: number) =>
  world.database.query("update relay.workers set beat_at = now() - $2 * interval '1 second' where id = $1", [
    worker,
    seconds,
  ]);

/** Deliveries that are due at the destination. @returns their ids */
async function schedule(q: Queryable, id: string, count: number): Promise<string[]> {
  const { rows } = await q.query<{ id: string }>(
    `insert into relay.deliveries (id, destination_id, event_id, event_type, route_id, route_version, form, status, due_at)
     select gen_random_uuid(), $1, gen_random_uuid(), 'item.error', 'rte_1', 1, 'event', 'scheduled', now()
     from generate_series(1, $2::int) returning id`,
    [id, count],
  );
  return rows.map((row) => row.id);
}

/** Notes the first attempt of a delivery as under way, for so long. @returns what Postgres says to the note */
async function note(q: Queryable, leased: { id: string; epoch: number }, delivery: string, busySeconds: number) {
  const row = {
    destination_id: leased.id,
    epoch: leased.epoch,
    url: "http://127.0.0.1/",
    delivery_ids: [delivery],
    numbers: [1],
    started_at: [new Date().toISOString()],
    fresh: [delivery],
    fresh_jobs: [null],
    busy_s: busySeconds,
  };
  return (await q.query<{ scheduled: string[] }>(NOTE_ATTEMPTS, [JSON.stringify([row])])).rows;
}

/** Notes an attempt of a new delivery. @returns the delivery, and what Postgres says to the note */
async function begin({ database }: World, id: string, epoch: number, busySeconds: number) {
  const [delivery = ""] = await schedule(database, id, 1);
  return { delivery, noted: await note(database, { id, epoch }, delivery, busySeconds) };
}

it("a note of attempts reads no more when there are a hundred times as many deliveries as when it was first made", async () => {
  await using world = await startWorld({ relay: {} });
  await using it = await twoWorkers(world);
  const read = await world.database.transaction(async (tx) => {
    const few = await schedule(tx, it.id, 200);
    const readBy = async (delivery = "") => {
      expect(await note(tx, it, delivery, 1)).toMatchObject([{ scheduled: [delivery] }]);
      const counted = await tx.query<{ read: number }>(
        "select seq_tup_read::int as read from pg_stat_xact_user_tables where relid = 'relay.deliveries'::regclass",
      );
      return counted.rows[0]?.read ?? 0;
    };
    // A session keeps a plan from the sixth time on.
    for (const delivery of few.slice(0, 8)) await readBy(delivery);
    await schedule(tx, it.id, 20_000);
    const before = await readBy(few[8]);
    return (await readBy(few[9])) - before;
  });
  expect(read).toBe(0);
});

describe("a destination whose worker's session was cut", () => {
  it("a destination whose worker's session was cut stays with the worker that renewed its lease in the last three seconds", async () => {
    await using world = await startWorld({ relay: {} });
    await using it = await twoWorkers(world);
    await cutSession(world, it.first.workerId);
    expect((await it.second.acquire([])).leased).toHaveLength(0);
  });

  it("a destination whose worker's session was cut accepts no note after its release, such as a note whose answer was lost", async () => {
    await using world = await startWorld({ relay: {} });
    await using it = await twoWorkers(world);
    await it.first.release(it.id, it.epoch, NO_ATTEMPTS);
    expect((await begin(world, it.id, it.epoch, 60)).noted).toEqual([]);
    expect((await it.second.acquire([])).leased).toMatchObject([{ destinationId: it.id, epoch: it.epoch + 1 }]);
    expect((await begin(world, it.id, it.epoch + 1, 60)).noted).toHaveLength(1);
  });

  it("a destination whose worker's session was cut is leased to another worker after three seconds without renewal when no attempt is under way", async () => {
    await using world = await startWorld({ relay: {} });
    await using it = await twoWorkers(world);
    await silentFor(world, it.first.workerId, 4);
    expect((await it.second.acquire([])).leased).toHaveLength(0);
    await cutSession(world, it.first.workerId);
    expect((await it.second.acquire([])).leased).toMatchObject([{ destinationId: it.id, epoch: it.epoch + 1 }]);
  });

  it("a destination whose worker's session was cut stays with the worker while an attempt that it noted can be under way", async () => {
    await using world = await startWorld({ relay: {} });
    await using it = await twoWorkers(world);
    const { delivery, noted } = await begin(world, it.id, it.epoch, 60);
    expect(noted).toEqual([{ destination_id: it.id, scheduled: [delivery] }]);
    await silentFor(world, it.first.workerId, 30);
    await cutSession(world, it.first.workerId);
    expect((await it.second.acquire([])).leased).toHaveLength(0);
    await world.database.query("update relay.under_way set busy_until = now() - interval '1 second'");
    expect((await it.second.acquire([])).leased).toHaveLength(1);
  });

  it("a destination whose worker's session was cut is leased to another worker as soon as every noted attempt is recorded", async () => {
    await using world = await startWorld({ relay: {} });
    await using it = await twoWorkers(world);
    const { delivery } = await begin(world, it.id, it.epoch, 60);
    await silentFor(world, it.first.workerId, 30);
    await cutSession(world, it.first.workerId);
    await world.database.query(
      "insert into relay.attempts (delivery_id, number, started_at, duration_ms, url) values ($1, 1, now(), 1, '')",
      [delivery],
    );
    expect((await it.second.acquire([])).leased).toHaveLength(1);
  });

  it("a destination whose worker's session was cut is not leased to a worker that did not renew its own lease until just now, as after an outage of Postgres", async () => {
    await using world = await startWorld({ relay: {} });
    await using it = await twoWorkers(world);
    await silentFor(world, it.first.workerId, 30);
    await cutSession(world, it.first.workerId);
    await world.database.query("update relay.workers set alive_since = now() - interval '3 seconds' where id = $1", [
      it.second.workerId,
    ]);
    expect((await it.second.acquire([])).leased).toHaveLength(0);
  });

  it("a destination whose worker's session was cut rejects the notes of its earlier worker", async () => {
    await using world = await startWorld({ relay: {} });
    await using it = await twoWorkers(world);
    await silentFor(world, it.first.workerId, 30);
    await cutSession(world, it.first.workerId);
    await it.second.acquire([]);
    expect((await begin(world, it.id, it.epoch, 60)).noted).toEqual([]);
    expect(await it.first.check([{ id: it.id, epoch: it.epoch }])).toMatchObject([{ held: false }]);
  });

  it("a destination whose worker's session was cut has an attempt of unknown outcome for each that was noted and not recorded", async () => {
    await using world = await startWorld({ relay: {} });
    await using it = await twoWorkers(world);
    const { delivery } = await begin(world, it.id, it.epoch, -1);
    await silentFor(world, it.first.workerId, 30);
    await cutSession(world, it.first.workerId);
    await it.second.acquire([]);
    const { rows } = await world.database.query(
      `select a.number, a.error, a.duration_ms, a.url, d.attempts, d.tries
       from relay.attempts a join relay.deliveries d on d.id = a.delivery_id where d.id = $1`,
      [delivery],
    );
    expect(rows).toEqual([
      { number: 1, error: "outcome_unknown", duration_ms: null, url: "http://127.0.0.1/", attempts: 1, tries: 0 },
    ]);
  });
});

describe("a worker that renews its lease again after a pause", () => {
  it("a worker that renews its lease again after a pause is alive since then, and one that renews without a pause since its start", async () => {
    await using world = await startWorld({ relay: {} });
    const clock = sleepyClock();
    await using worker = new DestinationLeases({
      database: world.database,
      clock,
      logger: silentLogger,
      leaseSeconds: 45,
    });
    await worker.start();
    const age = async () => {
      clock.wake();
      await delay(200);
      const { rows } = await world.database.query<{ seconds: number }>(
        "select extract(epoch from now() - alive_since)::float8 as seconds from relay.workers",
      );
      return rows[0]?.seconds ?? 0;
    };
    await world.database.query("update relay.workers set alive_since = now() - interval '1 minute'");
    expect(await age()).toBeGreaterThan(59);
    await silentFor(world, worker.workerId, 6);
    expect(await age()).toBeLessThan(30);
  });

  it("a worker that renews its lease again after a pause knows the database's time although its own clock is wrong", async () => {
    await using world = await startWorld({ relay: {} });
    await using worker = leases(world);
    await worker.start();
    const { rows } = await world.database.query<{ now: Date }>("select clock_timestamp() as now");
    expect(Math.abs(worker.now() - (rows[0]?.now.getTime() ?? 0))).toBeLessThan(1000);
  });
});

describe("the end of a process", () => {
  it("the end of a process is proven once the process is gone or its id belongs to another process, and not while it runs", async () => {
    const own = identifyProcess();
    if (own === null) return;
    expect(hasEnded(own)).toBe(false);
    expect(hasEnded({ ...own, started: "1" })).toBe(true);
    const child = spawn("sleep", ["60"]);
    await once(child, "spawn");
    const { pid = 0 } = child;
    // It started at another tick than this process, so the same id stands for another process.
    expect(hasEnded({ pid, started: own.started })).toBe(true);
    child.kill("SIGKILL");
    await once(child, "exit");
    expect(hasEnded({ pid, started: own.started })).toBe(true);
  });
});
