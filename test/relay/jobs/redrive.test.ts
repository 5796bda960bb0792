/** Which failed deliveries a redrive is about: by item, by time, and by whether they have given up. */
import { describe, expect, it } from "vitest";
import { createRedrive } from "../../../src/relay/jobs/jobs.ts";
import { deliveries, dispatchAll, members, settle, whole, workAll } from "../past.ts";
import { until } from "../../support/until.ts";
import { startWorld, type World } from "../../support/world/index.ts";

const NOWHERE = { url: "http://127.0.0.1:9" };

/** Dead letters at one destination: webhooks, more than a batch where that is wanted. */
async function deadLetters(world: World<"relay">, count: number, columns = {}): Promise<string> {
  const { id } = await world.relay.destination(NOWHERE, columns);
  await world.relay.webhooks(...Array.from({ length: count }, (_, n) => `item-${n % 3}`));
  await dispatchAll(world.database);
  await settle(world.database, "dead", { cause: "status_500", where: `destination_id = '${id}'` });
  return id;
}

describe("a redrive", () => {
  it("a redrive takes the dead letters of an item, and those of a range of time", async () => {
    await using world = await startWorld({ relay: {} });
    const id = await deadLetters(world, 6);
    await settle(world.database, "dead", {
      cause: "timeout",
      at: "'2026-03-01T00:00:00Z'::timestamptz + (seq - (select min(seq) from relay.deliveries)) * interval '1 hour'",
    });
    const count = async (request: object) =>
      await createRedrive(world.database, { destination_id: id, ...request, dry_run: true });
    expect(await count({ item_id: "item-1" })).toEqual({ count: 2 });
    expect(await count({ from: "2026-03-01T02:00:00Z" })).toEqual({ count: 4 });
    expect(await count({ to: "2026-03-01T02:00:00Z" })).toEqual({ count: 2 });
    expect(await count({ from: "2026-03-01T01:00:00Z", to: "2026-03-01T04:00:00Z", item_id: "item-0" })).toEqual({
      count: 1,
    });
    await expect(count({ from: "2026-03-02T00:00:00Z", to: "2026-03-01T00:00:00Z" })).rejects.toMatchObject({
      fields: { to: "must be later than from" },
    });
    await expect(count({ state: "delivered" })).rejects.toMatchObject({ fields: { state: "must be dead or failed" } });
  });

  it("a redrive with state failed takes all deliveries that failed since a time, also those that wait for a retry, and none that never failed", async () => {
    await using world = await startWorld({ relay: {} });
    const { database } = world;
    await deadLetters(world, 5);
    await database.query(
      `update relay.deliveries set status = 'scheduled', due_at = now() + interval '5 hours', finished_at = null, tries = 2
       where seq > (select min(seq) + 1 from relay.deliveries)`,
    );
    await database.query(
      `insert into relay.attempts (delivery_id, number, started_at, duration_ms, url)
       select id, 1, now() - interval '3 hours' + row_number() over (order by seq) * interval '30 minutes', 1, ''
       from relay.deliveries`,
    );
    await database.query("update relay.deliveries set tries = 0 where seq = (select max(seq) from relay.deliveries)");
    const since = { from: new Date(Date.now() - 65 * 60_000), state: "failed" as const };
    const rows = await deliveries(database);
    const job = whole(await createRedrive(database, since));
    // Two died just now; the fourth failed an hour ago, the third earlier, and the fifth never.
    expect(await members(world, job.id)).toEqual([0, 1, 3].map((index) => rows[index]?.id));
    await workAll(database);
    expect((await deliveries(database)).map(({ due, tries }) => [due, tries])).toEqual([
      [true, 0],
      [true, 0],
      [false, 2],
      [true, 0],
      [false, 0],
    ]);
    expect(await createRedrive(database, { dry_run: true })).toEqual({ count: 0 });
  });

  it("a redrive of dead letters leaves a delivery that another job has rescheduled", async () => {
    await using world = await startWorld({ relay: {} });
    const { database } = world;
    await deadLetters(world, 1);
    await createRedrive(database, {});
    await database.query(
      "update relay.deliveries set status = 'scheduled', due_at = now() + interval '1 hour', tries = 1",
    );
    await workAll(database);
    expect(await deliveries(database)).toMatchObject([{ due: false, tries: 1 }]);
  });

  it.each([
    ["its next attempt would have been hours away", 5],
    ["it would have given up", 99],
  ])(
    "a redrive also takes deliveries in flight: one whose attempt fails is sent anew at once, where %s",
    async (_, tries) => {
      await using world = await startWorld({ relay: {} });
      const { database } = world;
      const { receiver, job, release } = await redriveUnderWay(world, tries);
      release();
      await until("it is sent again", async () => receiver.received.length === 2, 20);
      await until("that is recorded", async () => (await deliveries(database))[0]?.attempts === tries + 2);
      expect(await deliveries(database)).toMatchObject([{ status: "scheduled", tries: 1, job_id: job, due: false }]);
      expect(receiver.received.map(({ headers }) => "webhook-replay" in headers)).toEqual([false, true]);
      const { rows } = await database.query("select number, job_id from relay.attempts order by number");
      expect(rows).toEqual([
        { number: tries + 1, job_id: null },
        { number: tries + 2, job_id: job },
      ]);
      expect((await database.query("select from events.events where type like 'delivery.%'")).rowCount).toBe(0);
    },
  );

  it("a redrive takes a delivery that a worker has prefetched, which is sent as part of the job with all its tries", async () => {
    await using world = await startWorld({ relay: {} });
    const { database } = world;
    const { receiver, job, release } = await redriveUnderWay(world, 5, "item-0");
    release();
    await until("both are recorded", async () => (await deliveries(database)).every(({ tries }) => tries === 1));
    expect(receiver.received.map(({ headers }) => "webhook-replay" in headers)).toEqual([false, true]);
    expect(await deliveries(database)).toMatchObject([{ job_id: null }, { job_id: job, attempts: 6 }]);
  });
});

/**
 * A delivery of item-1 with so many tries is taken by a redrive while an attempt hangs: its own, or that of another item before it.
 * @returns what makes all attempts fail
 */
async function redriveUnderWay(world: World<"relay">, tries: number, before?: string) {
  const { database } = world;
  const receiver = await world.relay.receiver();
  await world.relay.destination(receiver, { concurrency: 1 });
  await world.relay.webhooks(...(before ? [before] : []), "item-1");
  await dispatchAll(database);
  await database.query("update relay.deliveries set tries = $1, attempts = $1 where item_id = 'item-1'", [tries]);
  let release: () => void = () => undefined;
  const released = new Promise<void>((resolve) => (release = resolve));
  receiver.answer = async () => {
    await released;
    return { status: 500 };
  };
  await world.relay.start();
  await until("an attempt hangs", async () => receiver.received.length === 1);
  const { id: job } = whole(await createRedrive(database, { state: "failed" }));
  await until("the job has come to it", async () =>
    (await deliveries(database)).some(({ job_id, due }) => job_id === job && due),
  );
  return { receiver, job, release };
}
