import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { until } from "../support/until.ts";
import { ORIGINAL } from "../relay/support.ts";
import { startWorld, type World } from "../support/world/index.ts";
import { startRelayProcess } from "./support.ts";

/** SIGTERM while requests are under way, in a process of its own. */

async function attempts(world: World) {
  const { rows } = await world.database.query(
    `select a.number, a.status, a.error, d.attempts, d.tries, d.status as delivery
     from relay.attempts a join relay.deliveries d on d.id = a.delivery_id order by d.seq, a.number`,
  );
  return rows;
}

/** How many wait for a lock in this database. */
async function waitingForLocks({ database }: World): Promise<number> {
  const { rowCount } = await database.query(
    "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
  );
  return rowCount;
}

const epochs = async ({ database }: World): Promise<number> =>
  (await database.query<{ epoch: number }>("select epoch from relay.health")).rows[0]?.epoch ?? 0;

describe("a relay that is asked to stop", { timeout: 120_000 }, () => {
  it("a relay that is asked to stop waits for the answers to its requests and records them", async () => {
    await using world = await startWorld({ relay: {}, processes: {} });
    const receiver = await world.relay.receiver();
    await world.relay.destination(receiver, { concurrency: 3 }, ORIGINAL);
    // Longer than any wait of its own would be.
    receiver.answer = () => ({ delayMs: 8000 });
    await using first = await startRelayProcess(world);
    await world.relay.webhooks("item-1", "item-2", "item-3", "item-4");
    await until("three are under way", async () => receiver.open === 3);
    expect(await first.stop()).toBe(0);
    const delivered = { number: 1, status: 200, error: null, attempts: 1, tries: 1, delivery: "delivered" };
    expect(await attempts(world)).toEqual([delivered, delivered, delivered]);
    receiver.answer = () => ({});
    await startRelayProcess(world);
    await until("the fourth arrived", async () => (await world.relay.statuses())["delivered"] === 4);
    expect(new Set(receiver.received.map(({ id }) => id)).size).toBe(4);
    expect(receiver.received).toHaveLength(4);
  });

  it("a relay that is asked to stop cuts requests short after its stop time, and the next attempt has the next number", async () => {
    await using world = await startWorld({ relay: {}, processes: {} });
    const receiver = await world.relay.receiver();
    await world.relay.destination(receiver, {}, ORIGINAL);
    receiver.answer = () => ({ hang: true });
    await using first = await startRelayProcess(world, { TARTAN_RELAY_STOP_S: "1" });
    await world.relay.webhooks("item-1");
    await until("it is under way", async () => receiver.open === 1);
    expect(await first.stop()).toBe(0);
    expect(await attempts(world)).toEqual([
      { number: 1, status: null, error: "stopped", attempts: 1, tries: 0, delivery: "scheduled" },
    ]);
    receiver.answer = () => ({});
    await startRelayProcess(world);
    await until("it arrived", async () => (await world.relay.statuses())["delivered"] === 1);
    expect(receiver.received.map(({ headers }) => headers["tartan-attempt"])).toEqual(["1", "2"]);
    expect(await attempts(world)).toMatchObject([{ error: "stopped" }, { number: 2, status: 200, tries: 1 }]);
  });

  it("a relay that is asked to stop ends at once at a second signal, and the attempt stays with an unknown outcome", async () => {
    await using world = await startWorld({ relay: {}, processes: {} });
    const receiver = await world.relay.receiver();
    await world.relay.destination(receiver, {}, ORIGINAL);
    receiver.answer = () => ({ hang: true });
    await using first = await startRelayProcess(world);
    await world.relay.webhooks("item-1");
    await until("it is under way", async () => receiver.open === 1);
    const gone = once(first.child, "exit");
    first.child.kill("SIGTERM");
    // A signal that comes right behind the first may be its echo.
    const again = setInterval(() => first.child.kill("SIGTERM"), 700);
    expect(await gone).not.toEqual([0, null]);
    clearInterval(again);
    receiver.answer = () => ({});
    await startRelayProcess(world);
    await until("it arrived", async () => (await world.relay.statuses())["delivered"] === 1);
    expect(await attempts(world)).toMatchObject([
      { number: 1, error: "outcome_unknown" },
      { number: 2, status: 200, attempts: 2, tries: 1 },
    ]);
  });

  it.each([
    ["and the next one sends at once", ""],
    ["also where the delivery was cancelled while it was noted", "cancelled"],
  ])(
    "a relay that is asked to stop leaves no trace of an attempt that it noted and did not make, %s",
    async (_, status) => {
      await using world = await startWorld({ relay: {}, processes: {} });
      const { database } = world;
      const receiver = await world.relay.receiver();
      await world.relay.destination(receiver, {}, ORIGINAL);
      const first = await world.relay.start();
      await world.relay.webhooks("item-0");
      await until("it has the destination", async () => (await world.relay.statuses())["delivered"] === 1);
      let unlock: () => void = () => undefined;
      const unlocked = new Promise<void>((resolve) => (unlock = resolve));
      const holding = database.transaction(async (tx) => {
        await tx.query("select from relay.under_way for update");
        await unlocked;
      });
      await world.relay.webhooks("item-1");
      await until("the note waits", async () => (await waitingForLocks(world)) > 0);
      if (status) await database.query("update relay.deliveries set status = $1 where status = 'scheduled'", [status]);
      const stopped = first[Symbol.asyncDispose]();
      await delay(300);
      unlock();
      await Promise.all([holding, stopped]);
      await world.relay.start();
      if (status) await until("it is taken", async () => (await epochs(world)) === 2);
      else await until("it arrived", async () => (await world.relay.statuses())["delivered"] === 2);
      const made = (await attempts(world)).slice(1);
      expect(made).toMatchObject(status ? [] : [{ number: 1, status: 200, attempts: 1, tries: 1 }]);
      expect(receiver.received.map(({ headers }) => headers["tartan-attempt"])).toEqual(status ? ["1"] : ["1", "1"]);
    },
  );

  it("a relay that is asked to stop leaves an attempt that it could not record with an unknown outcome", async () => {
    await using world = await startWorld({ relay: {}, processes: {} });
    const { database } = world;
    const receiver = await world.relay.receiver();
    await world.relay.destination(receiver, {}, ORIGINAL);
    await database.query("alter table relay.attempts add constraint unrecordable check (status is null)");
    const first = await world.relay.start({ stopSeconds: 0 });
    await world.relay.webhooks("item-1");
    await until("it is answered", async () => receiver.received.length === 1 && receiver.open === 0);
    await delay(300);
    await first[Symbol.asyncDispose]();
    await database.query("alter table relay.attempts drop constraint unrecordable");
    await database.query("update relay.under_way set busy_until = now() - interval '1 second'");
    await world.relay.start();
    await until("it arrived", async () => (await world.relay.statuses())["delivered"] === 1);
    expect(await attempts(world)).toMatchObject([
      { number: 1, error: "outcome_unknown" },
      { number: 2, status: 200, attempts: 2 },
    ]);
  });
});
