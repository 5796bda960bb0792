import { describe, expect, it } from "vitest";
import { systemClock } from "../../../src/clock.ts";
import type { Database } from "../../../src/database/types.ts";
import { silentLogger } from "../../../src/logger.ts";
import { metrics } from "../../../src/metrics.ts";
import { findOverdue, relayDepth, startOverdueChecks, checkOverdue } from "../../../src/relay/ledger/overdue.ts";
import { dispatchAll, settle } from "../past.ts";
import { plantDeliveries } from "../support.ts";
import { until } from "../../support/until.ts";
import { startWorld, type World } from "../../support/world/index.ts";

const NOWHERE = { url: "http://127.0.0.1:9" };

/** Makes it so that all there is, destinations too, has been there for so many minutes. */
async function age(database: Database, minutes: number): Promise<void> {
  const past = `now() - ${minutes} * interval '1 minute'`;
  await database.query(`update relay.deliveries set due_at = ${past} where status = 'scheduled'`);
  await database.query(`update relay.destinations set updated_at = ${past}`);
  await database.query(`update events.outbox set written_at = ${past}`);
}

const recorded = async ({ database }: World): Promise<{ outbox: number; deliveries: number }[]> => {
  const { rows } = await database.query<{ payload: Buffer }>(
    "select payload from events.events where type = 'relay.overdue' order by id",
  );
  return rows.map(
    ({ payload }) => (JSON.parse(payload.toString()) as { data: { outbox: number; deliveries: number } }).data,
  );
};

describe("the overdue check", () => {
  it("the overdue check finds nothing when nothing is late", async () => {
    await using world = await startWorld({ relay: {} });
    await world.relay.destination(NOWHERE);
    await world.relay.webhooks("item-1");
    expect(await checkOverdue({ database: world.database, logger: silentLogger })).toEqual({
      outbox: 0,
      deliveries: 0,
      oldest_at: null,
    });
    await dispatchAll(world.database);
    expect(await findOverdue(world.database)).toEqual({ outbox: 0, deliveries: 0, oldest_at: null });
    expect(await recorded(world)).toEqual([]);
  });

  it("the overdue check finds events that are not dispatched and deliveries that are not attempted", async () => {
    await using world = await startWorld({ relay: {} });
    await world.relay.destination(NOWHERE);
    await world.relay.webhooks("item-1", "item-2");
    await dispatchAll(world.database);
    await world.relay.event({});
    await age(world.database, 6);
    const overdue = await findOverdue(world.database);
    expect(overdue).toMatchObject({ outbox: 1, deliveries: 2 });
    expect(Date.now() - (overdue.oldest_at?.getTime() ?? 0)).toBeGreaterThanOrEqual(6 * 60_000 - 1000);
    await dispatchAll(world.database);
    expect(await findOverdue(world.database)).toMatchObject({ outbox: 0, deliveries: 2 });
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
    ["was just sent something", "update relay.health set last_success_at = now() - interval '1 minute'"],
    ["has just refused something", "update relay.health set last_failure_at = now() - interval '1 minute'"],
    ["has just asked to wait", "update relay.health set hold_until = now() - interval '1 minute'"],
  ])("does not take for late what waits because its destination %s", async (_, change) => {
    await using world = await startWorld({ relay: {} });
    await world.relay.destination(NOWHERE);
    await world.relay.webhooks("item-1");
    await dispatchAll(world.database);
    await age(world.database, 60);
    expect(await findOverdue(world.database)).toMatchObject({ deliveries: 1 });
    await world.database.query(change);
    expect(await findOverdue(world.database)).toMatchObject({ deliveries: 0 });
  });

  it("the overdue check does not count a delivery as late that waits behind one of its ordering key that is not due", async () => {
    await using world = await startWorld({ relay: {} });
    await world.relay.destination(NOWHERE, { ordering: "per_item" });
    await world.relay.webhooks("item-1", "item-1", "item-2");
    await dispatchAll(world.database);
    await age(world.database, 6);
    expect(await findOverdue(world.database)).toMatchObject({ deliveries: 2 });
    await world.database.query(
      "update relay.deliveries set due_at = now() + interval '1 hour' where seq = (select min(seq) from relay.deliveries)",
    );
    expect(await findOverdue(world.database)).toMatchObject({ deliveries: 1 });
  });

  it("the overdue check counts due deliveries as late when nothing was sent for long, even if something was once", async () => {
    await using world = await startWorld({ relay: {} });
    await world.relay.destination(NOWHERE);
    await world.relay.webhooks("item-1");
    await dispatchAll(world.database);
    await age(world.database, 60);
    await world.database.query("update relay.health set last_success_at = now() - interval '6 minutes'");
    expect(await findOverdue(world.database)).toMatchObject({ deliveries: 1 });
  });

  it("the overdue check counts up to 10,001 over all destinations", async () => {
    await using world = await startWorld({ relay: {} });
    for (const columns of [{}, {}, { ordering: "per_item" }]) {
      const { id } = await world.relay.destination(NOWHERE, columns);
      await plantDeliveries(world, id, 6000, "'scheduled', now() - interval '1 hour', null");
      await plantDeliveries(world, id, 100, "'scheduled', now() - interval '1 hour', gen_random_uuid()::text");
      await plantDeliveries(world, id, 6000, "'dead', null, null");
    }
    await world.database.query("update relay.destinations set updated_at = now() - interval '1 hour'");
    expect(await relayDepth(world.database)).toMatchObject({ scheduled: 10_001, held: 0, dead: 10_001 });
    expect(await findOverdue(world.database)).toMatchObject({ deliveries: 10_001 });
  });

  it("the overdue check reports an incident once for all processes, and again only after it had ended", async () => {
    await using world = await startWorld({ relay: {} });
    const { database } = world;
    await world.relay.destination(NOWHERE);
    const lines: string[] = [];
    const logger = {
      ...silentLogger,
      error: (_: unknown, line: string) => lines.push(line),
      info: (line: string) => lines.push(line),
    };
    const look = () => checkOverdue({ database, logger: logger as unknown as typeof silentLogger });
    await world.relay.webhooks("item-1");
    await age(database, 2);
    await Promise.all([look(), look(), look()]);
    await look();
    expect(await recorded(world)).toMatchObject([{ outbox: 1, deliveries: 0 }]);
    expect(lines).toHaveLength(1);
    await dispatchAll(database);
    await Promise.all([look(), look()]);
    expect(lines).toHaveLength(2);
    await age(database, 6);
    await look();
    expect(await recorded(world)).toMatchObject([
      { outbox: 1, deliveries: 0 },
      { outbox: 0, deliveries: 1 },
    ]);
  });

  it("the overdue check measures scheduled, held and dead deliveries", async () => {
    await using world = await startWorld({ relay: {} });
    const { database } = world;
    await world.relay.destination(NOWHERE);
    await world.relay.destination(NOWHERE, { paused_at: new Date(), ordering: "per_item" });
    await world.relay.webhooks("item-1", "item-2", "item-3");
    await dispatchAll(database);
    await settle(database, "dead", { where: "seq = 1" });
    await world.relay.event({});
    expect(await relayDepth(database)).toMatchObject({ undispatched: 1, scheduled: 2, held: 3, dead: 1 });
    await checkOverdue({ database, logger: silentLogger });
    const { values } = await metrics.deliveriesWaiting.get();
    expect(Object.fromEntries(values.map(({ labels, value }) => [labels["state"], value]))).toEqual({
      scheduled: 2,
      held: 3,
      dead: 1,
    });
  });

  it("the overdue check runs every half minute until it is disposed", async () => {
    await using world = await startWorld({ relay: {} });
    await world.relay.webhooks("item-1");
    await age(world.database, 2);
    await using _sweep = await startOverdueChecks({
      database: world.database,
      clock: systemClock,
      logger: silentLogger,
    });
    await until("the event is recorded", async () => (await recorded(world)).length === 1, 10);
  });
});
