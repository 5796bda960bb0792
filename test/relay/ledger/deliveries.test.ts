import { describe, expect, it } from "vitest";
import {
  cancelDelivery,
  getDelivery,
  getDeliveryBody,
  listDeliveries,
  type DeliveryFilter,
} from "../../../src/relay/ledger/deliveries.ts";
import { createDestination } from "../../../src/relay/destinations/destinations.ts";
import { toDeliveryId } from "../../../src/model/ids.ts";
import { createRoute } from "../../../src/relay/routing/routes.ts";
import { deliveries, dispatchAll, settle } from "../past.ts";
import { until } from "../../support/until.ts";
import { startWorld, type World } from "../../support/world/index.ts";

const NOWHERE = { url: "http://127.0.0.1:9" };

/** All that is listed, page by page. */
async function listAll({ database }: World, filter: DeliveryFilter): Promise<string[]> {
  const listed: string[] = [];
  for (let cursor: string | null = null; ;) {
    const page = await listDeliveries(database, { ...filter, cursor });
    listed.push(...page.data.map(({ id }) => id));
    cursor = page.next_cursor;
    if (cursor === null) return listed;
  }
}

const newestFirst = async (
  { database }: World,
  keep: (row: Awaited<ReturnType<typeof deliveries>>[number]) => boolean,
) =>
  (await deliveries(database))
    .filter(keep)
    .toReversed()
    .map(({ id }) => toDeliveryId(id));

describe("the list of deliveries", () => {
  it("the list of deliveries pages through what each filter takes, newest first, each exactly once", async () => {
    await using world = await startWorld({ relay: {} });
    const { database } = world;
    const one = await world.relay.destination(NOWHERE);
    await world.relay.destination(NOWHERE, { ordering: "per_item" });
    const held = await world.relay.destination(NOWHERE, { paused_at: new Date() });
    for (let n = 0; n < 5; n += 1) {
      await world.relay.webhooks("item-1", "item-2");
      await world.relay.event({ itemId: "item-1" });
    }
    await dispatchAll(database);
    await settle(database, "delivered", { where: "seq % 5 = 0" });
    await settle(database, "dead", { where: "seq % 5 = 1", cause: "status_500" });
    await settle(database, "dead", { where: "seq % 5 = 2", cause: "timeout" });
    await settle(database, "cancelled", { where: "seq % 15 = 3" });
    const open = ["scheduled", "dead"];
    const cases: [DeliveryFilter, Parameters<typeof newestFirst>[1]][] = [
      [{}, () => true],
      [{ destination_id: one.id }, (row) => row.destination_id === one.id],
      [{ status: "delivered" }, ({ status }) => status === "delivered"],
      [{ status: "cancelled" }, ({ status }) => status === "cancelled"],
      [{ status: "dead" }, ({ status }) => status === "dead"],
      [{ status: "held" }, (row) => row.status === "scheduled" && row.destination_id === held.id],
      [{ status: "scheduled" }, (row) => row.status === "scheduled" && row.destination_id !== held.id],
      [{ status: "undelivered" }, ({ status }) => open.includes(status)],
      [
        { status: "undelivered", destination_id: one.id },
        (row) => open.includes(row.status) && row.destination_id === one.id,
      ],
      [{ status: "dead", cause: "timeout" }, (row) => row.status === "dead" && Number(row.seq) % 5 === 2],
      [{ cause: "status_500" }, (row) => row.status === "dead" && Number(row.seq) % 5 === 1],
      [{ event_type: "item.updated" }, ({ event_type }) => event_type === "item.updated"],
      [
        { event_type: "item.updated", status: "dead" },
        ({ event_type, status }) => event_type === "item.updated" && status === "dead",
      ],
      [{ status: "held", destination_id: one.id }, () => false],
      [{ destination_id: "dst_nothing" }, () => false],
    ];
    for (const [filter, keep] of cases) {
      const wanted = await newestFirst(world, keep);
      for (const limit of [1, 4, 500])
        expect(await listAll(world, { ...filter, limit }), JSON.stringify(filter)).toEqual(wanted);
    }
  });

  it("the list of deliveries finds the deliveries of an item and of an event", async () => {
    await using world = await startWorld({ relay: {} });
    await world.relay.destination(NOWHERE);
    const other = await world.relay.destination(NOWHERE);
    const [mine = ""] = await world.relay.webhooks("item-1", "item-2");
    await world.relay.event({ itemId: "item-1" });
    await dispatchAll(world.database);
    expect(await listAll(world, { item_id: "item-1", limit: 1 })).toHaveLength(4);
    expect(await listAll(world, { item_id: "item-1", destination_id: other.id })).toHaveLength(2);
    await settle(world.database, "dead", { where: `destination_id = '${other.id}'` });
    expect(await listAll(world, { item_id: "item-1", status: "dead" })).toHaveLength(2);
    expect(await listAll(world, { event_id: `evt_${mine.replaceAll("-", "")}` })).toHaveLength(2);
  });

  it("the list of deliveries is not shifted by deliveries that are created between two pages", async () => {
    await using world = await startWorld({ relay: {} });
    await world.relay.destination(NOWHERE);
    await world.relay.webhooks("item-1", "item-1", "item-1");
    await dispatchAll(world.database);
    const wanted = await listAll(world, {});
    const first = await listDeliveries(world.database, { limit: 2 });
    await world.relay.webhooks("item-1");
    await dispatchAll(world.database);
    const second = await listDeliveries(world.database, { limit: 2, cursor: first.next_cursor });
    expect([...first.data, ...second.data].map(({ id }) => id)).toEqual(wanted);
  });

  it("the list of deliveries finds rare deliveries beyond its first window", async () => {
    await using world = await startWorld({ relay: {} });
    await world.relay.destination(NOWHERE);
    await world.relay.webhooks("item-1");
    await world.relay.event({});
    await dispatchAll(world.database);
    await world.database.query("select setval(pg_get_serial_sequence('relay.deliveries', 'seq'), 2500000)");
    await world.relay.webhooks("item-1");
    await dispatchAll(world.database);
    const empty = await listDeliveries(world.database, { event_type: "item.updated" });
    expect(empty).toMatchObject({ data: [], next_cursor: expect.any(String) });
    expect(await listAll(world, { event_type: "item.updated" })).toHaveLength(1);
  });

  it("the list of deliveries refuses cursors of other lists, and invalid ids and statuses", async () => {
    await using world = await startWorld({ relay: {} });
    for (const filter of [{ cursor: "nonsense" }, { event_id: "evt_1" }, { item_id: "\0" }, { limit: 501 }]) {
      await expect(listDeliveries(world.database, filter)).rejects.toMatchObject({ code: "invalid_request" });
    }
    const status = "dead' or 'a' = 'a" as "dead";
    await expect(listDeliveries(world.database, { status })).rejects.toMatchObject({
      fields: { status: expect.stringContaining("must be one of scheduled, held") },
    });
  });
});

describe("a delivery", () => {
  it("a delivery is shown with the time, duration, URL and answer of every attempt", async () => {
    await using world = await startWorld({ relay: {} });
    const receiver = await world.relay.receiver();
    const { id } = await world.relay.destination(receiver, { schedule: [0] });
    receiver.answer = () =>
      receiver.received.length < 2
        ? { status: 503, body: "out of order", headers: { "x-large": "x".repeat(5000) } }
        : { status: 200, body: "thanks" };
    const relay = await world.relay.start();
    await world.relay.webhooks("item-1");
    await relay.idle();
    await until("it is recorded", async () => (await world.relay.statuses())["delivered"] === 1, 10);
    const [row] = await deliveries(world.database);
    const delivery = await getDelivery(world.database, toDeliveryId(row?.id ?? ""));
    expect(delivery).toMatchObject({
      status: "delivered",
      destination_id: id,
      attempts: 2,
      last_status: 200,
      item_id: "item-1",
    });
    expect(delivery?.log).toMatchObject([
      { number: 1, status: 503, error: "status_503", response_head: "out of order", address: "127.0.0.1" },
      { number: 2, status: 200, error: null, response_head: "thanks" },
    ]);
    expect(delivery?.log[0]?.response_headers?.["x-large"]?.length).toBeLessThan(5000);
    expect(delivery?.log[0]?.duration_ms).toBeGreaterThanOrEqual(0);
    expect(new Date(delivery?.log[0]?.started_at ?? "").getTime()).toBeGreaterThan(0);
    const sent = await getDeliveryBody(world.database, delivery?.id ?? "");
    expect(sent?.equals(receiver.received[0]?.body ?? Buffer.alloc(0))).toBe(true);
  });

  it("a delivery does not show the destination's custom headers", async () => {
    await using world = await startWorld({ relay: {} });
    const receiver = await world.relay.receiver();
    const urls = { allowHttp: true, checkUrl: () => undefined };
    const { id } = await createDestination(
      { database: world.database, vault: world.vault, urls },
      { url: receiver.url, headers: { authorization: "Bearer very-secret" } },
    );
    await createRoute(world.database, { destination_id: id });
    const relay = await world.relay.start();
    await world.relay.webhooks("item-1");
    await relay.idle();
    await until("it is recorded", async () => (await world.relay.statuses())["delivered"] === 1, 10);
    expect(receiver.received[0]?.headers["authorization"]).toBe("Bearer very-secret");
    const { data } = await listDeliveries(world.database, {});
    const whole = await getDelivery(world.database, data[0]?.id ?? "");
    expect(JSON.stringify([data, whole])).not.toContain("very-secret");
  });

  it.each(["original", "webhook", "event"])("a delivery in form %s shows the body that is sent", async (form) => {
    await using world = await startWorld({ relay: {} });
    await world.relay.destination(NOWHERE, {}, { form });
    const [hook] = await world.relay.webhooks("item-1");
    await dispatchAll(world.database);
    const [row] = await deliveries(world.database);
    const body = await getDeliveryBody(world.database, toDeliveryId(row?.id ?? ""));
    const { rows } = await world.database.query<{ body: Buffer }>("select body from journal.webhooks where id = $1", [
      hook,
    ]);
    const original = rows[0]?.body.toString() ?? "";
    if (form === "original") expect(body?.toString()).toBe(original);
    else expect(body?.toString()).toContain(`"webhook":${original}`);
  });

  it("a delivery can be cancelled once, while it is scheduled", async () => {
    await using world = await startWorld({ relay: {} });
    await world.relay.destination(NOWHERE);
    await world.relay.webhooks("item-1");
    await dispatchAll(world.database);
    const [row] = await deliveries(world.database);
    const id = toDeliveryId(row?.id ?? "");
    expect(await cancelDelivery(world.database, id)).toMatchObject({ status: "cancelled", due_at: null });
    await expect(cancelDelivery(world.database, id)).rejects.toMatchObject({ code: "conflict" });
    await expect(cancelDelivery(world.database, "dlv_nothing")).rejects.toMatchObject({ code: "not_found" });
    await settle(world.database, "delivered");
    await expect(cancelDelivery(world.database, id)).rejects.toMatchObject({ code: "conflict" });
    expect(await getDelivery(world.database, "dlv_nothing")).toBeNull();
  });
});
