import { listEveryJob } from "../../../src/api/nouns/jobs/every-job.ts";
import { describe, expect, it } from "vitest";
import { append } from "../../../src/journal/append.ts";
import { toDeliveryId, toEventId } from "../../../src/model/ids.ts";
import { getDeliveryBody } from "../../../src/relay/ledger/deliveries.ts";
import { createReplay, createRoutePast, getJob } from "../../../src/relay/jobs/jobs.ts";
import { createRoute, updateRoute } from "../../../src/relay/routing/routes.ts";
import { deliveries, dispatchAll, members, settle, whole, workAll } from "../past.ts";
import { webhook } from "../../support/webhook.ts";
import { startWorld } from "../../support/world/index.ts";

const NOWHERE = { url: "http://127.0.0.1:9" };

describe("a replay", () => {
  it("a replay sends finished deliveries again and does not change scheduled ones", async () => {
    await using world = await startWorld({ relay: {} });
    const { id } = await world.relay.destination(NOWHERE);
    await world.relay.webhooks("item-1", "item-2", "item-1", "item-1");
    await world.relay.event({ itemId: "item-1" });
    await dispatchAll(world.database);
    await settle(world.database, "delivered", { where: "seq < 4" });
    const before = await deliveries(world.database);
    const request = { destination_id: id, item_id: "item-1" };
    expect(await createReplay(world.database, { ...request, dry_run: true })).toEqual({ count: 2 });
    const job = await createReplay(world.database, request);
    await workAll(world.database);
    expect(await getJob(world.database, job.id)).toMatchObject({
      kind: "replay",
      status: "done",
      total: 2,
      changed: 2,
    });
    const after = await deliveries(world.database);
    expect(after.map(({ id, seq }) => [id, seq])).toEqual(before.map(({ id, seq }) => [id, seq]));
    expect(after.map(({ status }) => status)).toEqual([
      "scheduled",
      "delivered",
      "scheduled",
      "scheduled",
      "scheduled",
    ]);
    expect(after.map(({ job_id }) => job_id)).toEqual([job.id, null, job.id, null, null]);
    expect(after.map(({ body }) => body)).toEqual(before.map(({ body }) => body));
  });

  it("a replay filters by event, integration, types and range of time, in any combination", async () => {
    await using world = await startWorld({ relay: {} });
    const { id } = await world.relay.destination(NOWHERE);
    const day = (n: number) => new Date(Date.UTC(2026, 2, n, 12));
    const hooks = [1, 2, 3, 4].map((n) => webhook({ receivedAt: day(n), itemId: `item-${n % 2}` }));
    await append(world.database, hooks);
    const event = await world.relay.event({ type: "item.error", itemId: "item-1" });
    await dispatchAll(world.database);
    await settle(world.database, "delivered");
    const count = async (request: object) =>
      await createReplay(world.database, { destination_id: id, ...request, dry_run: true });
    expect(await count({ event_id: toEventId(event) })).toEqual({ count: 1 });
    expect(await count({ types: ["webhook.received"] })).toEqual({ count: 4 });
    expect(await count({ types: ["item.*"] })).toEqual({ count: 1 });
    expect(await count({ from: day(2), to: day(4) })).toEqual({ count: 2 });
    expect(await count({ from: day(2).toISOString(), to: day(4).toISOString(), item_id: "item-1" })).toEqual({
      count: 1,
    });
    expect(await count({ integration_id: "svi_test" })).toEqual({ count: 5 });
    expect(await count({ integration_id: "svi_other" })).toEqual({ count: 0 });
  });

  it("processes events from the oldest to the newest", async () => {
    await using world = await startWorld({ relay: {} });
    const { id } = await world.relay.destination(NOWHERE);
    const [, newer = ""] = await world.relay.webhooks("item-1", "item-1");
    const older = webhook({ receivedAt: new Date(Date.UTC(2026, 0, 1)) });
    await append(world.database, [older]);
    await dispatchAll(world.database);
    await settle(world.database, "delivered");
    const job = await createReplay(world.database, { destination_id: id, types: ["*"] });
    const frozen = await members(world, job.id);
    expect(frozen).toHaveLength(3);
    expect([frozen[0], frozen[2]]).toEqual([older.id, newer]);
  });

  it("a replay also sends the events that the destination's routes take but never sent, and no others", async () => {
    await using world = await startWorld({ relay: {} });
    const mine = [
      ...(await world.relay.webhooks("item-1")),
      await world.relay.event({ itemId: "item-1", data: { n: 1 } }),
    ];
    await world.relay.event({ itemId: "item-1", history: true });
    await world.relay.event({ itemId: "item-1", type: "delivery.failing" });
    await world.relay.event({ itemId: "item-1", type: "item.error", data: { n: 2 } });
    await dispatchAll(world.database);
    const { id } = await world.relay.destination(
      NOWHERE,
      { ordering: "per_item" },
      { filter: { types: ["webhook.received", "item.updated"] }, form: "webhook" },
    );
    const request = { destination_id: id, item_id: "item-1" };
    expect(await createReplay(world.database, { ...request, dry_run: true })).toEqual({ count: 2 });
    const job = await createReplay(world.database, request);
    await workAll(world.database);
    const made = await deliveries(world.database);
    expect(made.map(({ event_id }) => event_id)).toEqual(mine);
    expect(made).toMatchObject([
      { ordering_key: "item-1", form: "webhook", status: "scheduled", due: true, job_id: job.id },
      { ordering_key: "item-1", form: "webhook", status: "scheduled", due: true, job_id: job.id, body: null },
    ]);
    const body = await getDeliveryBody(world.database, toDeliveryId(made[0]?.id ?? ""));
    expect(body?.toString()).toContain('"type":"webhook.received"');
    expect(await createReplay(world.database, { ...request, dry_run: true })).toEqual({ count: 0 });
  });

  it("a replay says why an event cannot be replayed", async () => {
    await using world = await startWorld({ relay: {} });
    const { id } = await world.relay.destination(NOWHERE, {}, { filter: { types: ["item.error"] } });
    const untaken = await world.relay.event({ type: "item.updated" });
    const waiting = await world.relay.event({ type: "item.error" });
    await dispatchAll(world.database);
    const replay = (event_id: string) => createReplay(world.database, { destination_id: id, event_id });
    await expect(replay(toEventId(untaken))).rejects.toMatchObject({
      code: "conflict",
      message: expect.stringContaining("route"),
    });
    await expect(replay(toEventId(waiting))).rejects.toMatchObject({
      code: "conflict",
      message: expect.stringContaining("still"),
    });
    await expect(replay(`evt_${"0".repeat(32)}`)).rejects.toMatchObject({ code: "not_found" });
    expect((await listEveryJob(world.database)).data).toEqual([]);
  });

  it("a replay refuses a request without a filter, unknown fields and invalid values", async () => {
    await using world = await startWorld({ relay: {} });
    const { id } = await world.relay.destination(NOWHERE);
    for (const request of [
      {},
      { event_id: "x" },
      { types: ["item.nothing"] },
      { from: "soon" },
      { from: new Date(2), to: new Date(1) },
    ]) {
      await expect(createReplay(world.database, { destination_id: id, ...request })).rejects.toMatchObject({
        code: "invalid_request",
      });
    }
    await expect(createReplay(world.database, { destination_id: "dst_nothing", item_id: "x" })).rejects.toMatchObject({
      code: "not_found",
    });
  });
});

describe("routing the past", () => {
  it("routing the past sends the past events that a new route takes, without duplicates", async () => {
    await using world = await startWorld({ relay: {} });
    const { id } = await world.relay.destination(NOWHERE, {}, { filter: { item_ids: ["item-1"] } });
    const [one = "", two = ""] = await world.relay.webhooks("item-1", "item-2", "item-3");
    await dispatchAll(world.database);
    const route = await createRoute(world.database, {
      destination_id: id,
      filter: { item_ids: ["item-1", "item-2"] },
      form: "original",
    });
    const request = { route_id: route.id, from: new Date(0) };
    expect(await createRoutePast(world.database, { ...request, dry_run: true })).toEqual({ count: 1 });
    const job = whole(await createRoutePast(world.database, request));
    expect(job).toMatchObject({ kind: "route_past", route_id: route.id, destination_id: id, total: 1 });
    await workAll(world.database);
    const made = await deliveries(world.database);
    expect(made.map(({ event_id }) => event_id)).toEqual([one, two]);
    expect(made[1]).toMatchObject({
      route_id: route.id,
      form: "original",
      job_id: job.id,
      body: null,
      ordering_key: null,
    });
    expect(await createRoutePast(world.database, { ...request, dry_run: true })).toEqual({ count: 0 });
    // Twice at once is still once.
    await world.database.query("delete from relay.deliveries where event_id = $1", [two]);
    await createRoutePast(world.database, request);
    await createRoutePast(world.database, request);
    await Promise.all([workAll(world.database), workAll(world.database)]);
    expect(await deliveries(world.database)).toHaveLength(2);
  });

  it("routing the past applies the route's matcher and keeps the order of the events", async () => {
    await using world = await startWorld({ relay: {} });
    const events: string[] = [];
    for (let n = 0; n < 250; n += 1) events.push(await world.relay.event({ itemId: "item-1", data: { n } }));
    await dispatchAll(world.database);
    const { id } = await world.relay.destination(NOWHERE, { ordering: "per_item" }, { enabled: false });
    const route = await createRoute(world.database, { destination_id: id, match: { n: { $gte: 100 } } });
    const job = whole(await createRoutePast(world.database, { route_id: route.id, from: new Date(0) }));
    expect(job.total).toBe(250);
    await workAll(world.database);
    const made = await deliveries(world.database);
    expect(made.map(({ event_id }) => event_id)).toEqual(events.slice(100).toSorted());
    expect(await getJob(world.database, job.id)).toMatchObject({ status: "done", done: 250, changed: 150 });
  });

  it.each([
    ["integration_ids", ["svi_test"], 4],
    ["integration_ids", ["svi_other"], 0],
    ["environments", ["sandbox"], 4],
    ["environments", ["production"], 0],
    ["item_ids", ["item-2"], 1],
    ["user_ids", ["user-1"], 1],
    ["webhook_types", ["TRANSACTIONS"], 2],
    ["webhook_codes", ["ERROR"], 1],
    ["sources", ["PLAID"], 2],
    ["types", ["item.*"], 2],
    ["types", ["*"], 4],
    ["types", ["relay.overdue"], 1],
    ["history", true, 5],
  ])("routing the past freezes what a filter of %s %j takes", async (name, value, count) => {
    await using world = await startWorld({ relay: {} });
    await append(world.database, [webhook({}), webhook({ itemId: "item-2", webhookCode: "ERROR" })]);
    await world.relay.event({ userId: "user-1" });
    await world.relay.event({ type: "item.error" });
    await world.relay.event({ type: "item.updated", history: true });
    await world.relay.event({ type: "relay.overdue", integrationId: null, itemId: null, environment: null });
    await dispatchAll(world.database);
    const { id } = await world.relay.destination(NOWHERE, {}, { enabled: false });
    const route = await createRoute(world.database, { destination_id: id, filter: { [name]: value } });
    const job = whole(await createRoutePast(world.database, { route_id: route.id, from: new Date(0) }));
    expect(job.total).toBe(count);
    await workAll(world.database);
    expect(await deliveries(world.database)).toHaveLength(count);
  });

  it("routing the past takes no event that waits for dispatch", async () => {
    await using world = await startWorld({ relay: {} });
    const { id } = await world.relay.destination(NOWHERE, {}, { enabled: false });
    const route = await createRoute(world.database, { destination_id: id });
    await world.relay.webhooks("item-1");
    await world.relay.event({});
    expect(await createRoutePast(world.database, { route_id: route.id, from: new Date(0), dry_run: true })).toEqual({
      count: 0,
    });
  });

  it("routing the past uses the version of the route at the time of each batch", async () => {
    await using world = await startWorld({ relay: {} });
    await world.relay.event({ itemId: "item-1" });
    await world.relay.event({ itemId: "item-2" });
    await dispatchAll(world.database);
    const { id } = await world.relay.destination(NOWHERE, {}, { enabled: false });
    const route = await createRoute(world.database, { destination_id: id });
    await createRoutePast(world.database, { route_id: route.id, from: new Date(0) });
    await updateRoute(world.database, route.id, { filter: { item_ids: ["item-2"] } });
    await workAll(world.database);
    expect(await deliveries(world.database)).toMatchObject([{ item_id: "item-2", route_version: 2 }]);
  });

  it("routing the past refuses unknown routes", async () => {
    await using world = await startWorld({ relay: {} });
    const request = { route_id: "rte_nothing", from: new Date(0) };
    await expect(createRoutePast(world.database, request)).rejects.toMatchObject({ code: "not_found" });
  });
});
