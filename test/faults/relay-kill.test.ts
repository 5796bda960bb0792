import { setTimeout as delay } from "node:timers/promises";
import { Client } from "pg";
import { describe, expect, it } from "vitest";
import { createRedrive, getJob } from "../../src/relay/jobs/jobs.ts";
import { until } from "../support/until.ts";
import { startWorld, type World } from "../support/world/index.ts";
import { startRelayProcess } from "./support.ts";

/**
 * kill -9 at each step of the path. A step is held open by a lock that the test takes, or by a receiver that does not answer,
 * so that the kill strikes there and not somewhere near.
 */

const ORIGINAL = { form: "original" };
const QUICK = { schedule: Array.from({ length: 50 }, () => 0) };

/** A transaction that keeps a lock until it is let go. */
async function locked(world: World, statement: string): Promise<{ release(): Promise<void> }> {
  const client = new Client(world.databaseUrl);
  client.on("error", () => undefined);
  await client.connect();
  await client.query("begin");
  await client.query(statement);
  return {
    release: async () => {
      await client.query("rollback");
      await client.end();
    },
  };
}

/** Whether somebody waits for a lock in a statement that holds these words. */
async function waitsFor(world: World, words: string): Promise<boolean> {
  const { rows } = await world.database.query<{ n: number }>(
    `select count(*)::int as n from pg_stat_activity
     where datname = current_database() and wait_event_type = 'Lock' and query like '%' || $1 || '%' and pid <> pg_backend_pid()`,
    [words],
  );
  return (rows[0]?.n ?? 0) > 0;
}

const RECORDING = "insert into relay.attempts as a";

/** Ends the sessions that wait so, as when the connection fell with the process and the statement was never there. */
async function endThose(world: World, words: string): Promise<void> {
  await world.database.query(
    `select pg_terminate_backend(pid) from pg_stat_activity
     where datname = current_database() and wait_event_type = 'Lock' and query like '%' || $1 || '%' and pid <> pg_backend_pid()`,
    [words],
  );
  await until("they have ended", async () => !(await waitsFor(world, words)));
}

const allDelivered = async (world: World<"relay">, count: number): Promise<boolean> =>
  JSON.stringify(await world.relay.statuses()) === JSON.stringify({ delivered: count });

const items = (count: number): string[] => Array.from({ length: count }, (_, n) => `item-${n % 7}`);

describe("kill -9 of the relay", { timeout: 120_000 }, () => {
  it("kill -9 of the relay after an event's commit leaves the event to the next relay, which delivers it", async () => {
    await using world = await startWorld({ relay: {}, processes: {} });
    const receiver = await world.relay.receiver();
    await world.relay.destination(receiver, {}, ORIGINAL);
    await using first = await startRelayProcess(world);
    await first.kill9();
    await world.relay.webhooks(...items(50));
    await startRelayProcess(world);
    await until("all arrived", () => allDelivered(world, 50));
    expect(receiver.received).toHaveLength(50);
  });

  it("kill -9 of the relay in the middle of a fan-out leaves each event delivered once to each destination", async () => {
    await using world = await startWorld({ relay: {}, processes: {} });
    const receivers = await Promise.all([world.relay.receiver(), world.relay.receiver(), world.relay.receiver()]);
    for (const receiver of receivers) await world.relay.destination(receiver, {}, ORIGINAL);
    for (let round = 0; round < 3; round += 1) {
      const lock = await locked(world, "lock table relay.deliveries in share mode");
      await using relay = await startRelayProcess(world);
      await world.relay.webhooks(...items(20));
      await until("the fan-out is under way", () => waitsFor(world, "insert into relay.deliveries"));
      await relay.kill9();
      await lock.release();
    }
    await startRelayProcess(world);
    await until("all arrived", () => allDelivered(world, 180));
    for (const receiver of receivers) {
      expect(receiver.received).toHaveLength(60);
      expect(new Set(receiver.received.map(({ id }) => id)).size).toBe(60);
    }
  });

  it("kill -9 of the relay while it leases a destination lets another relay take over at once, long before the lease ends", async () => {
    await using world = await startWorld({ relay: {}, processes: {} });
    const receiver = await world.relay.receiver();
    const { id } = await world.relay.destination(receiver, {}, ORIGINAL);
    const holder = async () => {
      const { rows } = await world.database.query<{ worker: string | null }>(
        "select worker from relay.health where destination_id = $1",
        [id],
      );
      return rows[0]?.worker ?? null;
    };
    await using first = await startRelayProcess(world);
    await until("it is held", async () => (await holder()) !== null);
    const before = await holder();
    await first.kill9();
    await world.relay.webhooks("item-1");
    await startRelayProcess(world);
    await until("all arrived", () => allDelivered(world, 1), 20);
    expect(await holder()).not.toBe(before);
  });

  it("kill -9 of the relay in the middle of requests makes only those deliveries again, with the same id", async () => {
    await using world = await startWorld({ relay: {}, processes: {} });
    const [slow, quick] = [await world.relay.receiver(), await world.relay.receiver()];
    await world.relay.destination(slow, { concurrency: 4 }, ORIGINAL);
    const { id: sibling } = await world.relay.destination(quick, {}, ORIGINAL);
    slow.answer = () => ({ hang: true });
    await using first = await startRelayProcess(world);
    await world.relay.webhooks(...items(20));
    await until("the sibling has all", async () => (await world.relay.statuses(sibling))["delivered"] === 20);
    await until("four are under way", async () => slow.open === 4);
    await first.kill9();
    slow.answer = () => ({});
    await startRelayProcess(world);
    await until("all arrived", () => allDelivered(world, 40));
    expect(quick.received).toHaveLength(20);
    expect(new Set(slow.received.map(({ id }) => id)).size).toBe(20);
    expect(slow.received).toHaveLength(24);
  });

  it("kill -9 of the relay after an answer and before it is recorded makes the delivery again with the same id and bytes", async () => {
    await using world = await startWorld({ relay: {}, processes: {} });
    const receiver = await world.relay.receiver();
    await world.relay.destination(receiver, { concurrency: 4 }, ORIGINAL);
    await using first = await startRelayProcess(world);
    await world.relay.webhooks("item-1");
    await until("it works", () => allDelivered(world, 1));
    const lock = await locked(world, "lock table relay.attempts in share mode");
    await world.relay.webhooks(...items(4));
    await until("the record waits", () => waitsFor(world, RECORDING));
    await first.kill9();
    await endThose(world, RECORDING);
    await lock.release();
    await startRelayProcess(world);
    await until("all arrived", () => allDelivered(world, 5));
    const bodies = new Map<string, Set<string>>();
    for (const { id, body } of receiver.received) bodies.set(id, (bodies.get(id) ?? new Set()).add(body.toString()));
    expect(bodies.size).toBe(5);
    expect([...bodies.values()].every(({ size }) => size === 1)).toBe(true);
    expect(receiver.received.length).toBeGreaterThan(5);
  });

  it("kill -9 of the relay in the middle of a redrive leaves every dead letter redriven once", async () => {
    await using world = await startWorld({ relay: {}, processes: {} });
    const receiver = await world.relay.receiver();
    const { id } = await world.relay.destination(receiver, { schedule: [], concurrency: 32 }, ORIGINAL);
    receiver.answer = () => ({ status: 400 });
    // What keeps failing opens the circuit, which is not what this is about.
    const calm = setInterval(() => {
      void world.database
        .query("update relay.destinations set version = version + 1 where id = $1", [id])
        .catch(() => undefined);
    }, 150);
    await using first = await startRelayProcess(world);
    await world.relay.webhooks(...items(1200));
    await until("all are dead", async () => (await world.relay.statuses())["dead"] === 1200);
    clearInterval(calm);
    await first.kill9();
    receiver.answer = () => ({});
    receiver.received.length = 0;
    const job = await createRedrive(world.database, { destination_id: id, reason: "the receiver is fixed" });
    if (!("id" in job)) throw new Error("it was only counted");
    for (let round = 0; round < 3; round += 1) {
      await using relay = await startRelayProcess(world);
      await delay(50 * round);
      await relay.kill9();
    }
    await startRelayProcess(world);
    await until("all arrived", () => allDelivered(world, 1200));
    expect(new Set(receiver.received.map(({ id: each }) => each)).size).toBe(1200);
    await until("the job is done", async () => (await getJob(world.database, job.id))?.status === "done");
    expect(await getJob(world.database, job.id)).toMatchObject({ total: 1200, done: 1200, changed: 1200 });
  });

  it("kill -9 of the relay again and again at random instants keeps each item's events in order and loses none", async () => {
    await using world = await startWorld({ relay: {}, processes: {} });
    const receiver = await world.relay.receiver();
    await world.relay.destination(receiver, { ...QUICK, ordering: "per_item", concurrency: 4 }, ORIGINAL);
    receiver.answer = () => ({ delayMs: Math.random() * 10, status: Math.random() < 0.05 ? 500 : 200 });
    for (let round = 0; round < 8; round += 1) {
      await world.relay.webhooks(...items(40));
      await using relay = await startRelayProcess(world);
      await delay(Math.random() * 400);
      await relay.kill9();
    }
    await startRelayProcess(world);
    await until("all arrived", () => allDelivered(world, 320), 90);
    for (const item of new Set(items(7))) {
      const own = receiver.received.filter(({ body }) => body.includes(`"${item}"`));
      const order = own.map(({ body }) => (JSON.parse(body.toString()) as { n: number }).n);
      expect(order).toEqual(order.toSorted((a, b) => a - b));
    }
    expect(new Set(receiver.received.map(({ id }) => id)).size).toBe(320);
  });
});
