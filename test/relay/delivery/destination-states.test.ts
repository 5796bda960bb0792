import { describe, expect, it } from "vitest";
import {
  enableDestination,
  pauseDestination,
  resumeDestination,
  updateDestination,
} from "../../../src/relay/destinations/destinations.ts";
import { until } from "../../support/until.ts";
import { ORIGINAL, count, places } from "../support.ts";
import { startWorld } from "../../support/world/index.ts";

describe("a destination", () => {
  it("a destination that is paused holds its deliveries, and receives them in order when it is resumed", async () => {
    await using world = await startWorld({ relay: {} });
    const receiver = await world.relay.receiver();
    const { id } = await world.relay.destination(receiver, { concurrency: 1 }, ORIGINAL);
    const relay = await world.relay.start();
    await pauseDestination(world.database, id);
    await until("the pause takes effect", async () => {
      await world.relay.webhooks("item-1");
      await relay.idle();
      const before = receiver.received.length;
      await world.relay.webhooks("item-1");
      await relay.idle();
      return receiver.received.length === before && (await world.relay.statuses())["scheduled"] !== undefined;
    });
    const sent = receiver.received.length;
    for (let n = 0; n < 20; n += 1) await world.relay.webhooks(...count(5));
    await relay.idle();
    expect(receiver.received.length).toBe(sent);
    await resumeDestination(world.database, id);
    await relay.idle();
    const order = places(receiver.received);
    expect(order).toEqual(order.toSorted((a, b) => a - b));
    expect(new Set(order).size).toBe(order.length);
    expect((await world.relay.statuses())["scheduled"]).toBeUndefined();
  });

  it("a destination that answers 410 is disabled, and its remaining deliveries are held", async () => {
    await using world = await startWorld({ relay: {} });
    const [receiver, operator] = [await world.relay.receiver(), await world.relay.receiver()];
    const { id } = await world.relay.destination(receiver);
    await world.relay.destination(operator, {}, { filter: { types: ["destination.disabled"] } });
    receiver.answer = () => ({ status: 410 });
    const relay = await world.relay.start();
    await world.relay.webhooks("item-1");
    await until("it is disabled", async () => {
      const { rows } = await world.database.query<{ reason: string }>(
        "select disabled_reason as reason from relay.destinations where id = $1",
        [id],
      );
      return rows[0]?.reason === "gone";
    });
    await world.relay.webhooks(...count(3));
    await relay.idle();
    expect(receiver.received).toHaveLength(1);
    expect(await world.relay.statuses(id)).toEqual({ scheduled: 4 });
    expect(operator.received).toHaveLength(1);
    receiver.answer = () => ({});
    await enableDestination(world.database, id);
    await world.database.query("update relay.deliveries set due_at = now() where destination_id = $1", [id]);
    await relay.idle();
    expect(await world.relay.statuses(id)).toEqual({ delivered: 4 });
  });

  it("a destination never receives more requests at once than its concurrency", async () => {
    await using world = await startWorld({ relay: {} });
    const receiver = await world.relay.receiver();
    await world.relay.destination(receiver, { concurrency: 3 });
    receiver.answer = () => ({ delayMs: 5 });
    const relay = await world.relay.start();
    await world.relay.webhooks(...count(60));
    await relay.idle();
    expect(receiver.received).toHaveLength(60);
    expect(receiver.mostOpen).toBe(3);
    expect(receiver.connections).toBeLessThanOrEqual(3);
  });

  it("a destination that hangs does not delay the others", async () => {
    await using world = await startWorld({ relay: {} });
    const [dead, healthy] = [await world.relay.receiver(), await world.relay.receiver()];
    const bad = await world.relay.destination(dead, { timeout_ms: 30_000 });
    const good = await world.relay.destination(healthy);
    dead.answer = () => ({ hang: true });
    await world.relay.start();
    await world.relay.webhooks(...count(100));
    await until("the healthy one has all", async () => (await world.relay.statuses(good.id))["delivered"] === 100);
    expect(await world.relay.statuses(bad.id)).toEqual({ scheduled: 100 });
    expect(dead.received.length).toBeLessThanOrEqual(8);
  });

  it("a destination whose circuit opens receives one probe, and the rest when it recovers", async () => {
    await using world = await startWorld({ relay: {} });
    const [receiver, operator] = [await world.relay.receiver(), await world.relay.receiver()];
    const { id } = await world.relay.destination(receiver, {
      schedule: Array.from({ length: 20 }, () => 0),
      concurrency: 4,
    });
    await world.relay.destination(operator, {}, { filter: { types: ["destination.opened", "destination.recovered"] } });
    receiver.answer = () => ({ status: 500 });
    const relay = await world.relay.start();
    await world.relay.webhooks(...count(30));
    const breaker = async () => {
      const { rows } = await world.database.query<{ breaker: string }>(
        "select breaker from relay.health where destination_id = $1",
        [id],
      );
      return rows[0]?.breaker;
    };
    await until("it opens", async () => (await breaker()) === "open");
    const sent = receiver.received.length;
    expect(sent).toBeLessThan(30);
    receiver.answer = () => ({});
    // A changed destination is tried at once and does not wait for its 30 seconds.
    await updateDestination(world.destinations, id, { name: "fixed" });
    await until("all arrived", async () => (await world.relay.statuses(id))["delivered"] === 30);
    await relay.idle();
    expect(operator.received.map(({ headers }) => headers["tartan-event-type"])[0]).toBe("destination.opened");
  });
});
