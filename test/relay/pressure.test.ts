/** The relay beside an intake that is busy: it gives way, and never stands still. */
import { expect, it } from "vitest";
import { closedGates, endlessPressure } from "../support/pressure.ts";
import { until } from "../support/until.ts";
import { startWorld } from "../support/world/index.ts";
import { ORIGINAL, count, places } from "./support.ts";

it("while webhooks wait without end, all events are delivered all the same, in their order", async () => {
  using pressure = endlessPressure();
  await using world = await startWorld({ relay: { pressure } });
  const [receiver, other] = [await world.relay.receiver(), await world.relay.receiver()];
  await world.relay.destination(receiver, { ordering: "per_item" }, ORIGINAL);
  await world.relay.destination(other, {}, ORIGINAL);
  const relay = await world.relay.start();
  await world.relay.webhooks(...count(40, "a"), ...count(20, "b"));
  await relay.idle();
  expect(await world.relay.statuses()).toEqual({ delivered: 120 });
  for (const item of ["a", "b"]) {
    const order = places(receiver.received.filter(({ body }) => body.includes(`"${item}"`)));
    expect(order).toEqual(order.toSorted((a, b) => a - b));
  }
});

it("dispatch and deliveries wait at their gates and hold no transaction there", async () => {
  const pressure = closedGates();
  await using world = await startWorld({ relay: { pressure } });
  const receiver = await world.relay.receiver();
  await world.relay.destination(receiver, {}, ORIGINAL);
  await world.relay.webhooks(...count(3, "a"));
  const relay = await world.relay.start();
  await until("all have come to the gates", async () =>
    ["dispatch", "replays", "deliveries"].every((worker) => pressure.came(worker) === 1),
  );
  await until("nobody is in a transaction", async () => {
    const { rows } = await world.database.query<{ count: number }>(
      `select count(*)::int as count from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()
         and xact_start is not null and backend_type = 'client backend'`,
    );
    return rows[0]?.count === 0;
  });
  expect(await world.relay.statuses()).toEqual({});
  pressure.open();
  await relay.idle();
  expect(receiver.received).toHaveLength(3);
});

it("deliveries begin in bursts of sixteen, and each burst takes its turn", async () => {
  const pressure = closedGates();
  pressure.open();
  await using world = await startWorld({ relay: { pressure } });
  const receiver = await world.relay.receiver();
  await world.relay.destination(receiver, { concurrency: 64 }, ORIGINAL);
  await world.relay.webhooks(...count(100, "a"));
  const relay = await world.relay.start();
  await relay.idle();
  expect(receiver.received).toHaveLength(100);
  // The last turn is the one in which nothing is left to begin.
  expect(pressure.came("deliveries")).toBe(7);
});
