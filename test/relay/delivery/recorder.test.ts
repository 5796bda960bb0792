import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { systemClock } from "../../../src/clock.ts";
import type { Database } from "../../../src/database/types.ts";
import { TartanError } from "../../../src/errors.ts";
import { silentLogger } from "../../../src/logger.ts";
import { FRESH } from "../../../src/relay/delivery/circuit-breaker.ts";
import type { DeliveryResult } from "../../../src/relay/delivery/delivery-result.ts";
import { Recorder } from "../../../src/relay/delivery/recorder.ts";
import { updateDestination } from "../../../src/relay/destinations/destinations.ts";
import { until } from "../../support/until.ts";
import { count } from "../support.ts";
import { startWorld, type World } from "../../support/world/index.ts";

/**
 * A database of which the answers to the next so many commits are lost, of transactions and of statements that stand
 * alone: what was written is there, and the caller does not know.
 */
function losingCommits(database: Database, times: { left: number }): Database {
  const lose = <T>(result: T): T => {
    if (times.left === 0) return result;
    times.left -= 1;
    throw new TartanError("database_unavailable", "the connection ended before the answer to COMMIT came");
  };
  return {
    query: async (statement, values) => lose(await database.query(statement, values)),
    listen: (channel, onNotify) => database.listen(channel, onNotify),
    transaction: async (work) => lose(await database.transaction(work)),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

/** A database whose statements wait for locks for 100 ms only; it says when one has waited in vain. */
function impatient(database: Database, onRefused: () => Promise<void>): Database {
  const transaction: Database["transaction"] = async (work) => {
    try {
      return await database.transaction(async (tx) => {
        await tx.query("set local lock_timeout = '100ms'");
        return await work(tx);
      });
    } catch (error) {
      await onRefused();
      throw error;
    }
  };
  return {
    query: (statement, values) => transaction((tx) => tx.query(statement, values)),
    listen: (channel, onNotify) => database.listen(channel, onNotify),
    transaction,
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

async function planted(world: World<"relay">, tries = 0): Promise<{ destinationId: string; deliveryId: string }> {
  const { id: destinationId } = await world.relay.destination(await world.relay.receiver());
  const deliveryId = randomUUID();
  await world.database.query(
    `insert into relay.deliveries (id, destination_id, event_id, event_type, route_id, route_version, form, status, due_at,
       attempts, tries) values ($1, $2, gen_random_uuid(), 'item.error', 'rte_1', 1, 'event', 'scheduled', now(), $3, $3)`,
    [deliveryId, destinationId, tries],
  );
  return { destinationId, deliveryId };
}

const result = (
  fields: Pick<DeliveryResult, "deliveryId" | "destinationId"> & Partial<DeliveryResult>,
): DeliveryResult => ({
  epoch: 0,
  number: 1,
  tries: 1,
  startedAt: new Date(),
  exchange: {
    durationMs: 1,
    address: null,
    status: 503,
    cause: "status_503",
    headers: {},
    head: Buffer.from("no"),
    retryAfterMs: null,
    control: null,
  },
  url: "http://127.0.0.1/",
  jobId: null,
  outcome: "retry",
  cause: "status_503",
  detail: null,
  dueInMs: 60_000,
  sha256: null,
  health: null,
  disable: null,
  events: [],
  ...fields,
});

const failing = (deliveryId: string) => ({
  type: "delivery.failing",
  integrationId: null,
  itemId: null,
  userId: null,
  environment: null,
  data: { delivery_id: deliveryId },
});

const recorderOn = (database: Database): Recorder =>
  new Recorder({ database, clock: systemClock, logger: silentLogger });

describe("a result whose COMMIT was not answered", () => {
  it("a result whose COMMIT was not answered is counted once, and its events are recorded once", async () => {
    await using world = await startWorld({ relay: {} });
    const ids = await planted(world, 3);
    await using recorder = recorderOn(losingCommits(world.database, { left: 2 }));
    const events = [failing(ids.deliveryId)];
    expect(await recorder.record(result({ ...ids, number: 4, tries: 4, events }))).toBe("recorded");
    const { rows } = await world.database.query(
      `select attempts, tries, (select count(*)::int from relay.attempts) as log,
         (select count(*)::int from events.events) as events from relay.deliveries`,
    );
    expect(rows).toEqual([{ attempts: 4, tries: 4, log: 1, events: 1 }]);
  });

  it("a result whose COMMIT was not answered does not undo a change that an operator made meanwhile", async () => {
    await using world = await startWorld({ relay: {} });
    const ids = await planted(world);
    const times = { left: 1 };
    const database = losingCommits(world.database, times);
    await using recorder = recorderOn(database);
    const recorded = recorder.record(result({ ...ids, outcome: "dead", dueInMs: null }));
    await until("it is written for the first time", async () => times.left === 0);
    await world.database.query("update relay.deliveries set status = 'scheduled', due_at = now(), tries = 0");
    expect(await recorded).toBe("recorded");
    const { rows } = await world.database.query("select status, tries, attempts from relay.deliveries");
    expect(rows).toEqual([{ status: "scheduled", tries: 0, attempts: 1 }]);
  });

  it("a result whose COMMIT was not answered of a delivery without a request makes one dead letter and one event", async () => {
    await using world = await startWorld({ relay: {} });
    const ids = await planted(world);
    await using recorder = recorderOn(losingCommits(world.database, { left: 1 }));
    const unpackable = { number: null, tries: 0, exchange: null, startedAt: null, outcome: "dead" as const };
    await recorder.record(result({ ...ids, ...unpackable, dueInMs: null, events: [failing(ids.deliveryId)] }));
    const { rows } = await world.database.query(
      "select status, tries, (select count(*)::int from events.events) as events from relay.deliveries",
    );
    expect(rows).toEqual([{ status: "dead", tries: 0, events: 1 }]);
  });
});

describe("the result of an attempt at a destination that another worker leases", () => {
  it("the result of an attempt at a destination that another worker leases fills in the attempt of unknown outcome and changes nothing else", async () => {
    await using world = await startWorld({ relay: {} });
    const ids = await planted(world);
    await world.database.query(
      "insert into relay.attempts (delivery_id, number, started_at, url, error) values ($1, 1, now(), '', 'outcome_unknown')",
      [ids.deliveryId],
    );
    await world.database.query("update relay.health set epoch = 7");
    await using recorder = recorderOn(world.database);
    expect(await recorder.record(result({ ...ids, outcome: "delivered", cause: null }))).toBe("fenced");
    const { rows } = await world.database.query(
      "select a.error, a.status as answer, d.status from relay.attempts a join relay.deliveries d on d.id = a.delivery_id",
    );
    expect(rows).toEqual([{ error: null, answer: 503, status: "scheduled" }]);
  });
});

describe("a result whose delivery is locked for longer than Postgres waits", () => {
  it.each([1, 2])(
    "a result whose delivery is locked for long is recorded with its receiver's answer once the lock is gone, of %i in a batch",
    async (results) => {
      await using world = await startWorld({ relay: {} });
      const [ids, other] = [await planted(world), await planted(world)];
      let unlock: () => void = () => undefined;
      const unlocked = new Promise<void>((resolve) => (unlock = resolve));
      let locked: () => void = () => undefined;
      const isLocked = new Promise<void>((resolve) => (locked = resolve));
      const holding = world.database.transaction(async (tx) => {
        await tx.query("select from relay.deliveries where id = $1 for update", [ids.deliveryId]);
        locked();
        await unlocked;
      });
      await isLocked;
      let refused = 0;
      const database = impatient(world.database, async () => {
        refused += 1;
        if (refused < results) return;
        unlock();
        await holding;
      });
      await using recorder = recorderOn(database);
      const recorded = [ids, other].slice(0, results).map((each) => recorder.record(result(each)));
      await delay(1500);
      unlock();
      await holding;
      expect(await Promise.all(recorded)).toEqual(Array.from({ length: results }, () => "recorded"));
      const { rows } = await world.database.query<{ response_head: Buffer }>(
        "select response_head from relay.attempts",
      );
      expect(rows.map(({ response_head }) => response_head.toString())).toEqual(
        Array.from({ length: results }, () => "no"),
      );
    },
  );
});

describe("a result that disables its destination", () => {
  it("a result that disables its destination does so in the result's transaction", async () => {
    await using world = await startWorld({ relay: {} });
    const ids = await planted(world);
    await using recorder = recorderOn(world.database);
    expect(await recorder.record(result({ ...ids, disable: "gone" }))).toBe("recorded");
    const { rows } = await world.database.query("select disabled_reason as reason from relay.destinations");
    expect(rows).toEqual([{ reason: "gone" }]);
  });
});

describe("the health of a destination", () => {
  const health = async (world: World<"relay">) => {
    const { rows } = await world.database.query<{
      failures: number;
      failing_since: Date | null;
      last_success_at: Date;
    }>("select failures, failing_since, last_success_at from relay.health");
    return rows[0];
  };

  it("the health of a destination is stored with each failure, and some seconds after a success", async () => {
    await using world = await startWorld({ relay: {} });
    const receiver = await world.relay.receiver();
    await world.relay.destination(receiver, { schedule: [0, 0, 0], concurrency: 1 });
    let succeed: (answer: { status: number }) => void = () => undefined;
    const success = new Promise<{ status: number }>((resolve) => (succeed = resolve));
    receiver.answer = () => (receiver.received.length < 3 ? { status: 503 } : success);
    const relay = await world.relay.start();
    await world.relay.webhooks("item-1");
    await until("both failures are stored", async () => (await health(world))?.failures === 2);
    succeed({ status: 200 });
    await until("it arrived", async () => (await world.relay.statuses())["delivered"] === 1);
    // Not by waiting or stopping: a process that is killed now must leave this behind.
    expect(await health(world)).toMatchObject({ failures: 0, failing_since: null, last_success_at: expect.any(Date) });
    void relay;
  });

  it("the health of a destination is stored for an idle destination some seconds after its last success", async () => {
    await using world = await startWorld({ relay: {} });
    await world.relay.destination(await world.relay.receiver());
    const relay = await world.relay.start();
    await world.relay.webhooks("item-1");
    await relay.idle();
    const first = (await health(world))?.last_success_at;
    await world.relay.webhooks(...count(3));
    await relay.idle();
    await until("the last is kept", async () => {
      const { rows } = await world.database.query<{ late: number }>(
        `select extract(epoch from max(a.started_at) - max(h.last_success_at))::float8 as late
         from relay.attempts a, relay.health h`,
      );
      return (rows[0]?.late ?? 9) <= 0;
    });
    expect(first).toBeInstanceOf(Date);
  });

  it("the health of a destination is stored in its last state, with or without a result", async () => {
    await using world = await startWorld({ relay: {} });
    const ids = await planted(world);
    await using recorder = recorderOn(losingCommits(world.database, { left: 1 }));
    const { destinationId } = ids;
    const bad = recorder.record(result({ ...ids, health: { ...FRESH, failures: 9 } }));
    await recorder.keep({ destinationId, epoch: 0, health: FRESH });
    await bad;
    expect(await health(world)).toMatchObject({ failures: 0 });
  });
});

describe("a change of a destination", () => {
  const hold = async (world: World<"relay">) => {
    const { rows } = await world.database.query<{ hold_until: Date | null }>("select hold_until from relay.health");
    return rows[0]?.hold_until ?? null;
  };

  it("a change of a destination does not end a wait that the receiver asked for, and a change of its URL does", async () => {
    await using world = await startWorld({ relay: {} });
    const [busy, other] = [await world.relay.receiver(), await world.relay.receiver()];
    const { id } = await world.relay.destination(busy, { concurrency: 1 });
    busy.answer = () => ({ status: 429, headers: { "retry-after": "3600" } });
    await world.relay.start();
    await world.relay.webhooks("item-1");
    await until("it is asked to wait", async () => (await hold(world)) !== null);
    await world.relay.webhooks("item-2");
    await updateDestination(world.destinations, id, { name: "renamed", timeout_ms: 5000 });
    await until("the change takes effect, and nothing is sent", async () => {
      await delay(500);
      return (await world.relay.statuses())["scheduled"] === 2;
    });
    expect(await hold(world)).not.toBeNull();
    expect(busy.received).toHaveLength(1);
    await updateDestination(world.destinations, id, { url: other.url });
    await until("the other place gets what waited", async () => other.received.length >= 1);
  });
});
