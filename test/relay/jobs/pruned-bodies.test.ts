import { afterAll, beforeAll, expect, it } from "vitest";
import { systemClock } from "../../../src/clock.ts";
import { append } from "../../../src/journal/append.ts";
import { tidy } from "../../../src/journal/janitor.ts";
import { silentLogger as logger } from "../../../src/logger.ts";
import { toDeliveryId, toEventId } from "../../../src/model/ids.ts";
import { getEvent, readEvents } from "../../../src/relay/feed/event-feed.ts";
import { createRedrive, createReplay, createRoutePast, getJob } from "../../../src/relay/jobs/jobs.ts";
import { getDeliveryBody } from "../../../src/relay/ledger/deliveries.ts";
import { relayNeeds } from "../../../src/relay/needs.ts";
import { createRoute } from "../../../src/relay/routing/routes.ts";
import { webhook } from "../../support/webhook.ts";
import { startWorld, type World } from "../../support/world/index.ts";
import { deliveries, dispatchAll, settle, whole, workAll } from "../past.ts";

let world: World<"relay">;
/** webhooks of 40 days ago, by what came of their delivery */
const sent = webhook({ itemId: "item-sent", receivedAt: daysAgo(40) });
const dead = webhook({ itemId: "item-dead", receivedAt: daysAgo(39) });
const withOwnBody = webhook({ itemId: "item-own", receivedAt: daysAgo(38) });
const young = webhook({ itemId: "item-young" });
let destination: string;

function daysAgo(days: number): Date {
  return new Date(Date.now() - days * 86_400_000);
}

const prune = () =>
  tidy({
    database: world.database,
    logger,
    clock: systemClock,
    retentionDays: 0,
    bodyRetentionDays: 30,
    neededBy: [relayNeeds],
  });

const withBody = async (): Promise<string[]> => {
  const { rows } = await world.database.query<{ item_id: string }>(
    "select item_id from journal.webhooks where body is not null order by id",
  );
  return rows.map(({ item_id }) => item_id);
};

beforeAll(async () => {
  world = await startWorld({ relay: {} });
  ({ id: destination } = await world.relay.destination({ url: "http://127.0.0.1:9" }));
  await append(world.database, [sent, dead, withOwnBody, young]);
  await dispatchAll(world.database);
  await settle(world.database, "delivered", { where: "item_id in ('item-sent', 'item-own', 'item-young')" });
  await settle(world.database, "dead", { where: "item_id = 'item-dead'", cause: "http_500" });
  await world.database.query("update relay.deliveries set body = 'what was sent' where item_id = 'item-own'");
  await world.database.query("update journal.webhooks set processed_at = now()");
  await prune();
});
afterAll(() => world[Symbol.asyncDispose]());

it("the body of a webhook that a dead letter needs is not pruned, and can be sent again", async () => {
  expect(await withBody()).toEqual(["item-dead", "item-young"]);
  const job = whole(await createRedrive(world.database, { destination_id: destination }));
  await workAll(world.database);
  expect(await getJob(world.database, job.id)).toMatchObject({ total: 1, changed: 1 });
  await prune();
  expect(await withBody()).toEqual(["item-dead", "item-young"]);
  await settle(world.database, "delivered", { where: "item_id = 'item-dead'" });
  await prune();
  expect(await withBody()).toEqual(["item-young"]);
});

it("a replay of a webhook whose body was pruned is refused with the reason, and a replay of many leaves it out", async () => {
  const { database } = world;
  const one = createReplay(database, { destination_id: destination, event_id: toEventId(sent.id) });
  await expect(one).rejects.toMatchObject({
    code: "body_pruned",
    status: 410,
    message: expect.stringContaining("TARTAN_JOURNAL_BODY_RETENTION_DAYS"),
  });
  const own = await createReplay(database, {
    destination_id: destination,
    event_id: toEventId(withOwnBody.id),
    dry_run: true,
  });
  expect(own, "the delivery has a body of its own").toEqual({ count: 1 });
  const job = whole(await createReplay(database, { destination_id: destination, types: ["webhook.received"] }));
  await workAll(database);
  expect(await getJob(database, job.id)).toMatchObject({ total: 2, changed: 2 });
  const scheduled = (await deliveries(database)).filter(({ job_id }) => job_id === job.id);
  expect(scheduled.map(({ item_id }) => item_id)).toEqual(["item-own", "item-young"]);
  await settle(database, "delivered");
});

it("a new route sends past webhooks that have their bodies only, in the original form too", async () => {
  const { database } = world;
  const other = await world.relay.destination({ url: "http://127.0.0.1:9" }, {}, { filter: { types: ["item.error"] } });
  const filter = { types: ["webhook.received"] };
  const route = await createRoute(database, { destination_id: other.id, filter, form: "original" });
  const job = whole(await createRoutePast(database, { route_id: route.id, from: daysAgo(50).toISOString() }));
  await workAll(database);
  expect(await getJob(database, job.id)).toMatchObject({ total: 1, changed: 1 });
  expect((await deliveries(database, other.id)).map(({ item_id }) => item_id)).toEqual(["item-young"]);
});

it("a webhook whose body was pruned is no event any more, and its delivery has no body to show", async () => {
  const { database } = world;
  expect(await getEvent(database, toEventId(sent.id))).toBeNull();
  expect(await getEvent(database, toEventId(young.id))).toContain('"type":"webhook.received"');
  const { events } = await readEvents(database, { cursor: "start", types: ["webhook.received"] });
  expect(events.map((event) => JSON.parse(event.text).item_id)).toEqual(["item-young"]);
  const of = (await deliveries(database)).find(({ item_id }) => item_id === "item-sent");
  expect(await getDeliveryBody(database, toDeliveryId(of?.id ?? ""))).toBeNull();
});
