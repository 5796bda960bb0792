import { Webhook } from "standardwebhooks";
import { describe, expect, it } from "vitest";
import { KEEP_BODY } from "../../../src/relay/delivery/attempt-queries.ts";
import { createRoute } from "../../../src/relay/routing/routes.ts";
import { until } from "../../support/until.ts";
import { ORIGINAL, count } from "../support.ts";
import { startWorld } from "../../support/world/index.ts";

describe("a delivery", () => {
  it("a delivery is the webhook's own bytes with Plaid's own header, and the official library verifies it", async () => {
    await using world = await startWorld({ relay: {} });
    const receiver = await world.relay.receiver();
    const { secret } = await world.relay.destination(receiver, {}, ORIGINAL);
    const relay = await world.relay.start();
    const [id = ""] = await world.relay.webhooks("item-1");
    await relay.idle();
    const { rows } = await world.database.query<{ body: Buffer }>("select body from journal.webhooks where id = $1", [
      id,
    ]);
    const [received] = receiver.received;
    expect(received?.body.equals(rows[0]?.body ?? Buffer.alloc(0))).toBe(true);
    expect(received?.headers["plaid-verification"]).toBe("header.claims.signature");
    expect(received?.id).toBe(`evt_${id.replaceAll("-", "")}`);
    const verified = new Webhook(secret).verify(
      received?.body.toString() ?? "",
      received?.headers as Record<string, string>,
    );
    expect(verified).toMatchObject({ item_id: "item-1" });
    expect(await world.relay.statuses()).toEqual({ delivered: 1 });
  });

  it("a delivery is sent once to each destination although several routes match", async () => {
    await using world = await startWorld({ relay: {} });
    const [one, two] = [await world.relay.receiver(), await world.relay.receiver()];
    const { id } = await world.relay.destination(one);
    await createRoute(world.database, { destination_id: id, form: "original" });
    await world.relay.destination(two);
    const relay = await world.relay.start();
    await world.relay.webhooks(...count(5));
    await relay.idle();
    expect(one.received).toHaveLength(5);
    expect(two.received).toHaveLength(5);
    expect(new Set(one.received.map((each) => each.id)).size).toBe(5);
  });

  it("a delivery is retried with the same id and bytes, and every attempt is stored", async () => {
    await using world = await startWorld({ relay: {} });
    const receiver = await world.relay.receiver();
    await world.relay.destination(receiver, { schedule: [0, 0, 0] });
    receiver.answer = () => (receiver.received.length < 3 ? { status: 500, body: "no" } : { status: 204, body: "" });
    const relay = await world.relay.start();
    await world.relay.webhooks("item-1");
    await relay.idle();
    expect(receiver.received).toHaveLength(3);
    expect(new Set(receiver.received.map(({ id }) => id)).size).toBe(1);
    expect(new Set(receiver.received.map(({ body }) => body.toString())).size).toBe(1);
    expect(receiver.received.map(({ headers }) => headers["tartan-attempt"])).toEqual(["1", "2", "3"]);
    const { rows } = await world.database.query(
      "select number, status, error, address from relay.attempts order by number",
    );
    expect(rows).toEqual([
      { number: 1, status: 500, error: "status_500", address: "127.0.0.1" },
      { number: 2, status: 500, error: "status_500", address: "127.0.0.1" },
      { number: 3, status: 204, error: null, address: "127.0.0.1" },
    ]);
  });

  it("a delivery that fails to the end of its schedule is a dead letter with its cause and an event", async () => {
    await using world = await startWorld({ relay: {} });
    const [receiver, operator] = [await world.relay.receiver(), await world.relay.receiver()];
    const { id } = await world.relay.destination(receiver, { schedule: [0, 0, 0, 0] });
    await world.relay.destination(operator, {}, { filter: { types: ["delivery.*"] } });
    receiver.answer = () => ({ status: 503 });
    const relay = await world.relay.start();
    await world.relay.webhooks("item-1");
    await relay.idle();
    await until("the operator event arrives", async () => operator.received.length === 2, 10);
    expect(receiver.received).toHaveLength(5);
    const { rows } = await world.database.query(
      "select status, cause, attempts from relay.deliveries where destination_id = $1",
      [id],
    );
    expect(rows).toEqual([{ status: "dead", cause: "status_503", attempts: 5 }]);
    expect(operator.received.map(({ headers }) => headers["tartan-event-type"]).toSorted()).toEqual([
      "delivery.exhausted",
      "delivery.failing",
    ]);
  });

  it("a delivery that is redirected fails and is not sent to the other URL", async () => {
    await using world = await startWorld({ relay: {} });
    const [receiver, elsewhere] = [await world.relay.receiver(), await world.relay.receiver()];
    await world.relay.destination(receiver, { schedule: [] });
    receiver.answer = () => ({ status: 307, headers: { location: elsewhere.url } });
    const relay = await world.relay.start();
    await world.relay.webhooks("item-1");
    await relay.idle();
    expect(elsewhere.received).toHaveLength(0);
    expect(await world.relay.statuses()).toEqual({ dead: 1 });
  });

  it("a delivery whose transform fails is a dead letter, and the others are sent", async () => {
    await using world = await startWorld({ relay: {} });
    const [one, two] = [await world.relay.receiver(), await world.relay.receiver()];
    const bad = await world.relay.destination(one, {}, { form: "transform", transform: '$error("no")' });
    const good = await world.relay.destination(two, {}, { form: "transform", transform: '{"item": item_id}' });
    const relay = await world.relay.start();
    await world.relay.webhooks("item-1", "item-2");
    await relay.idle();
    expect(await world.relay.statuses(bad.id)).toEqual({ dead: 2 });
    expect(one.received).toHaveLength(0);
    expect(await world.relay.statuses(good.id)).toEqual({ delivered: 2 });
    expect(two.received.map(({ body }) => body.toString()).toSorted()).toEqual([
      '{"item":"item-1"}',
      '{"item":"item-2"}',
    ]);
  });

  it("what a transform made of an event is stored, unless rows were cut out of the event since it was read", async () => {
    await using world = await startWorld({ relay: {} });
    const { database } = world;
    const { id } = await world.relay.destination(
      await world.relay.receiver(),
      {},
      { form: "transform", transform: '"made"' },
    );
    const relay = await world.relay.start();
    await world.relay.event({});
    await relay.idle();
    const { rows } = await database.query<{
      delivery: string;
      event: string;
      bytes: number;
      epoch: string;
      body: string;
    }>(
      `select d.id as delivery, e.id as event, octet_length(e.payload) as bytes, h.epoch, convert_from(d.body, 'UTF8') as body
       from relay.deliveries d join events.events e on e.id = d.event_id join relay.health h using (destination_id)`,
    );
    const [sent] = rows;
    if (!sent) throw new Error("no delivery");
    expect(sent.body).toBe('"made"');
    const keptOf = async (bytes: number): Promise<boolean> => {
      await database.query(
        "update relay.deliveries set status = 'scheduled', due_at = now() + interval '1 hour', body = null",
      );
      await database.query(KEEP_BODY, [sent.delivery, Buffer.from("again"), id, sent.epoch, sent.event, bytes]);
      return (await database.query("select from relay.deliveries where body is not null")).rowCount > 0;
    };
    expect([await keptOf(sent.bytes), await keptOf(sent.bytes + 1)]).toEqual([true, false]);
  });
});

describe("dispatch", () => {
  it("dispatch gives every row of the outbox a position, even when no route takes its events", async () => {
    await using world = await startWorld({ relay: {} });
    const relay = await world.relay.start();
    await world.relay.webhooks(...count(10));
    await world.relay.event({});
    await relay.idle();
    const { rows } = await world.database.query<{ positions: number; waiting: number }>(
      "select count(distinct position)::int as positions, (count(*) filter (where position is null))::int as waiting from events.outbox",
    );
    expect(rows).toEqual([{ positions: 2, waiting: 0 }]);
    expect(await world.relay.statuses()).toEqual({});
  });

  it("dispatch sends the events of a first reading only by routes that ask for them", async () => {
    await using world = await startWorld({ relay: {} });
    const [news, all] = [await world.relay.receiver(), await world.relay.receiver()];
    await world.relay.destination(news, {}, { filter: { types: ["transactions.changed"] } });
    await world.relay.destination(all, {}, { filter: { types: ["transactions.changed"], history: true } });
    const relay = await world.relay.start();
    await world.relay.event({ type: "transactions.changed", history: true });
    await world.relay.event({ type: "transactions.changed" });
    await relay.idle();
    expect(news.received).toHaveLength(1);
    expect(all.received).toHaveLength(2);
  });
});
