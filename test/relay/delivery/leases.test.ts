import { setTimeout as delay } from "node:timers/promises";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { describe, expect, it } from "vitest";
import type { Clock } from "../../../src/clock.ts";
import { silentLogger } from "../../../src/logger.ts";
import { NO_ATTEMPTS } from "../../../src/relay/delivery/attempt-notes.ts";
import { DestinationLeases } from "../../../src/relay/delivery/leases.ts";
import { hasEnded, identifyProcess } from "../../../src/relay/delivery/process-identity.ts";
import { NOTE_ATTEMPTS } from "../../../src/relay/delivery/attempt-queries.ts";
import { openScene, type Scene } from "../scene.ts";

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

const leases = (scene: Scene): DestinationLeases =>
  new DestinationLeases({ database: scene.database, clock: sleepyClock(), logger: silentLogger, leaseSeconds: 45 });

/** Two workers: the first leases the only destination, and the second has renewed its own lease for a while. */
async function twoWorkers(scene: Scene) {
  const { id } = await scene.destination(await scene.receiver());
  const first = leases(scene);
  await first.start();
  const { leased } = await first.acquire([]);
  expect(leased.map(({ destinationId }) => destinationId)).toEqual([id]);
  const second = leases(scene);
  await second.start();
  await scene.database.query("update relay.workers set alive_since = now() - interval '1 minute'");
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
async function cutSession(scene: Scene, worker: string): Promise<void> {
  await scene.database.query("select pg_terminate_backend(session_pid) from relay.workers where id = $1", [worker]);
  await delay(300);
}

const silentFor = (scene: Scene, worker: string, seconds: number) =>
  scene.database.query("update relay.workers set beat_at = now() - $2 * interval '1 second' where id = $1", [
    worker,
    seconds,
  ]);

/** Notes an attempt as under way, for so long. @returns its delivery, and what Postgres says to the note */
async function begin(scene: Scene, id: string, epoch: number, busySeconds: number) {
  const { rows } = await scene.database.query<{ id: string }>(
    `insert into relay.deliveries (id, destination_id, event_id, event_type, route_id, route_version, form, status, due_at)
     values (gen_random_uuid(), $1, gen_random_uuid(), 'item.error', 'rte_1', 1, 'event', 'scheduled', now()) returning id`,
    [id],
  );
  const delivery = rows[0]?.id ?? "";
  const row = {
    destination_id: id,
    epoch,
    url: "http://127.0.0.1/",
    delivery_ids: [delivery],
    numbers: [1],
    started_at: [new Date().toISOString()],
    fresh: [delivery],
    busy_s: busySeconds,
  };
  const { rows: noted } = await scene.database.query(NOTE_ATTEMPTS, [JSON.stringify([row])]);
  return { delivery, noted };
}

it("a note of attempts reads no more when there are a hundred times as many deliveries as when it was first made", async () => {
  await using scene = await openScene();
  await using it = await twoWorkers(scene);
  const insert = `insert into relay.deliveries (id, destination_id, event_id, event_type, route_id, route_version, form, status, due_at)
    select gen_random_uuid(), $1, gen_random_uuid(), 'item.error', 'rte_1', 1, 'event', 'scheduled', now()
    from generate_series(1, $2::int) returning id`;
  const read = await scene.database.transaction(async (tx) => {
    const { rows: few } = await tx.query<{ id: string }>(insert, [it.id, 200]);
    const note = async (id: string) => {
      const [delivery_ids, numbers, started_at] = [[id], [1], [new Date().toISOString()]];
      const row = { destination_id: it.id, epoch: it.epoch, url: "", delivery_ids, numbers, started_at, busy_s: 1 };
      const fresh = { fresh: [id], fresh_jobs: [null] };
      const { rows } = await tx.query<{ scheduled: string[] }>(NOTE_ATTEMPTS, [JSON.stringify([{ ...row, ...fresh }])]);
      expect(rows).toMatchObject([{ scheduled: [id] }]);
      const counted = await tx.query<{ read: number }>(
        "select seq_tup_read::int as read from pg_stat_xact_user_tables where relid = 'relay.deliveries'::regclass",
      );
      return counted.rows[0]?.read ?? 0;
    };
    // A session keeps a plan from the sixth time on.
    for (const { id } of few.slice(0, 8)) await note(id);
    await tx.query(insert, [it.id, 20_000]);
    const before = await note(few[8]?.id ?? "");
    return (await note(few[9]?.id ?? "")) - before;
  });
  expect(read).toBe(0);
});

describe("a destination whose worker's session was cut", () => {
  it("a destination whose worker's session was cut stays with the worker that renewed its lease in the last three seconds", async () => {
    await using scene = await openScene();
    await using it = await twoWorkers(scene);
    await cutSession(scene, it.first.workerId);
    expect((await it.second.acquire([])).leased).toHaveLength(0);
  });

  it("a destination whose worker's session was cut accepts no note after its release, such as a note whose answer was lost", async () => {
    await using scene = await openScene();
    await using it = await twoWorkers(scene);
    await it.first.release(it.id, it.epoch, NO_ATTEMPTS);
    expect((await begin(scene, it.id, it.epoch, 60)).noted).toEqual([]);
    expect((await it.second.acquire([])).leased).toMatchObject([{ destinationId: it.id, epoch: it.epoch + 1 }]);
    expect((await begin(scene, it.id, it.epoch + 1, 60)).noted).toHaveLength(1);
  });

  it("a destination whose worker's session was cut is leased to another worker after three seconds without renewal when no attempt is under way", async () => {
    await using scene = await openScene();
    await using it = await twoWorkers(scene);
    await silentFor(scene, it.first.workerId, 4);
    expect((await it.second.acquire([])).leased).toHaveLength(0);
    await cutSession(scene, it.first.workerId);
    expect((await it.second.acquire([])).leased).toMatchObject([{ destinationId: it.id, epoch: it.epoch + 1 }]);
  });

  it("a destination whose worker's session was cut stays with the worker while an attempt that it noted can be under way", async () => {
    await using scene = await openScene();
    await using it = await twoWorkers(scene);
    const { delivery, noted } = await begin(scene, it.id, it.epoch, 60);
    expect(noted).toEqual([{ destination_id: it.id, scheduled: [delivery] }]);
    await silentFor(scene, it.first.workerId, 30);
    await cutSession(scene, it.first.workerId);
    expect((await it.second.acquire([])).leased).toHaveLength(0);
    await scene.database.query("update relay.under_way set busy_until = now() - interval '1 second'");
    expect((await it.second.acquire([])).leased).toHaveLength(1);
  });

  it("a destination whose worker's session was cut is leased to another worker as soon as every noted attempt is recorded", async () => {
    await using scene = await openScene();
    await using it = await twoWorkers(scene);
    const { delivery } = await begin(scene, it.id, it.epoch, 60);
    await silentFor(scene, it.first.workerId, 30);
    await cutSession(scene, it.first.workerId);
    await scene.database.query(
      "insert into relay.attempts (delivery_id, number, started_at, duration_ms, url) values ($1, 1, now(), 1, '')",
      [delivery],
    );
    expect((await it.second.acquire([])).leased).toHaveLength(1);
  });

  it("a destination whose worker's session was cut is not leased to a worker that did not renew its own lease until just now, as after an outage of Postgres", async () => {
    await using scene = await openScene();
    await using it = await twoWorkers(scene);
    await silentFor(scene, it.first.workerId, 30);
    await cutSession(scene, it.first.workerId);
    await scene.database.query("update relay.workers set alive_since = now() - interval '3 seconds' where id = $1", [
      it.second.workerId,
    ]);
    expect((await it.second.acquire([])).leased).toHaveLength(0);
  });

  it("a destination whose worker's session was cut rejects the notes of its earlier worker", async () => {
    await using scene = await openScene();
    await using it = await twoWorkers(scene);
    await silentFor(scene, it.first.workerId, 30);
    await cutSession(scene, it.first.workerId);
    await it.second.acquire([]);
    expect((await begin(scene, it.id, it.epoch, 60)).noted).toEqual([]);
    expect(await it.first.check([{ id: it.id, epoch: it.epoch }])).toMatchObject([{ held: false }]);
  });

  it("a destination whose worker's session was cut has an attempt of unknown outcome for each that was noted and not recorded", async () => {
    await using scene = await openScene();
    await using it = await twoWorkers(scene);
    const { delivery } = await begin(scene, it.id, it.epoch, -1);
    await silentFor(scene, it.first.workerId, 30);
    await cutSession(scene, it.first.workerId);
    await it.second.acquire([]);
    const { rows } = await scene.database.query(
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
    await using scene = await openScene();
    const clock = sleepyClock();
    await using worker = new DestinationLeases({
      database: scene.database,
      clock,
      logger: silentLogger,
      leaseSeconds: 45,
    });
    await worker.start();
    const age = async () => {
      clock.wake();
      await delay(200);
      const { rows } = await scene.database.query<{ seconds: number }>(
        "select extract(epoch from now() - alive_since)::float8 as seconds from relay.workers",
      );
      return rows[0]?.seconds ?? 0;
    };
    await scene.database.query("update relay.workers set alive_since = now() - interval '1 minute'");
    expect(await age()).toBeGreaterThan(59);
    await silentFor(scene, worker.workerId, 6);
    expect(await age()).toBeLessThan(30);
  });

  it("a worker that renews its lease again after a pause knows the database's time although its own clock is wrong", async () => {
    await using scene = await openScene();
    await using worker = leases(scene);
    await worker.start();
    const { rows } = await scene.database.query<{ now: Date }>("select clock_timestamp() as now");
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
