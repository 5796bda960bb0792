/** A transform that failed can be fixed: what it failed on was never sent, so it is made anew when it is brought back. */
import { expect, it } from "vitest";
import { createRedrive, createReplay } from "../../../src/relay/jobs/jobs.ts";
import { listRoutes, updateRoute } from "../../../src/relay/routing/routes.ts";
import { toEventId } from "../../../src/model/ids.ts";
import { startWorld } from "../../support/world/index.ts";
import { until } from "../../support/until.ts";

const BROKEN = { filter: { types: ["item.updated"] }, transform: '$number("none")' };

it("redriving a dead letter of a failed transform uses the current route, and one that was sent keeps its bytes", async () => {
  await using world = await startWorld({ relay: {} });
  const receiver = await world.relay.receiver();
  const { id } = await world.relay.destination(receiver, {}, BROKEN);
  await world.relay.start();
  await world.relay.event({ data: { n: 1 } });
  await until("it is given up", async () => (await world.relay.statuses(id))["dead"] === 1);
  expect(receiver.received).toEqual([]);

  const [route] = await listRoutes(world.database, { destination_id: id });
  await updateRoute(world.database, route?.id ?? "", { transform: '{"first": data.n}' });
  await createRedrive(world.database, { destination_id: id, cause: "transform_error" });
  await until("it is delivered", async () => (await world.relay.statuses(id))["delivered"] === 1);
  expect(receiver.received.map(({ body }) => body.toString())).toEqual(['{"first":1}']);

  await updateRoute(world.database, route?.id ?? "", { transform: '{"second": data.n}' });
  await createReplay(world.database, { destination_id: id, event_id: receiver.received[0]?.id ?? "" });
  await until("it is delivered again", async () => receiver.received.length === 2);
  expect(receiver.received[1]?.body.toString()).toBe('{"first":1}');
});

it("redriving a dead letter of a failed transform uses the current form of its route", async () => {
  await using world = await startWorld({ relay: {} });
  const receiver = await world.relay.receiver();
  const { id } = await world.relay.destination(receiver, {}, BROKEN);
  await world.relay.start();
  const event = await world.relay.event({ data: { n: 1 } });
  await until("it is given up", async () => (await world.relay.statuses(id))["dead"] === 1);
  const [route] = await listRoutes(world.database, { destination_id: id });
  await updateRoute(world.database, route?.id ?? "", { form: "event" });
  await createRedrive(world.database, { destination_id: id });
  await until("it is delivered", async () => (await world.relay.statuses(id))["delivered"] === 1);
  expect(JSON.parse(receiver.received[0]?.body.toString() ?? "")).toMatchObject({
    id: toEventId(event),
    data: { n: 1 },
  });
});
