import { Webhook } from "standardwebhooks";
import { describe, expect, it } from "vitest";
import { createRoute } from "../../../src/relay/routing/routes.ts";
import { until } from "../../support/stage.ts";
import { ORIGINAL, count, openScene } from "../scene.ts";

describe("a delivery", () => {
  it("a delivery is the webhook's own bytes with Plaid's own header, and the official library verifies it", async () => {
    await using scene = await openScene();
    const receiver = await scene.receiver();
    const { secret } = await scene.destination(receiver, {}, ORIGINAL);
    const relay = await scene.relay();
    const [id = ""] = await scene.webhooks("item-1");
    await relay.idle();
    const { rows } = await scene.database.query<{ body: Buffer }>("select body from journal.webhooks where id = $1", [
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
    expect(await scene.statuses()).toEqual({ delivered: 1 });
  });

  it("a delivery is sent once to each destination although several routes match", async () => {
    await using scene = await openScene();
    const [one, two] = [await scene.receiver(), await scene.receiver()];
    const { id } = await scene.destination(one);
    await createRoute(scene.database, { destination_id: id, form: "original" });
    await scene.destination(two);
    const relay = await scene.relay();
    await scene.webhooks(...count(5));
    await relay.idle();
    expect(one.received).toHaveLength(5);
    expect(two.received).toHaveLength(5);
    expect(new Set(one.received.map((each) => each.id)).size).toBe(5);
  });

  it("a delivery is retried with the same id and bytes, and every attempt is stored", async () => {
    await using scene = await openScene();
    const receiver = await scene.receiver();
    await scene.destination(receiver, { schedule: [0, 0, 0] });
    receiver.answer = () => (receiver.received.length < 3 ? { status: 500, body: "no" } : { status: 204, body: "" });
    const relay = await scene.relay();
    await scene.webhooks("item-1");
    await relay.idle();
    expect(receiver.received).toHaveLength(3);
    expect(new Set(receiver.received.map(({ id }) => id)).size).toBe(1);
    expect(new Set(receiver.received.map(({ body }) => body.toString())).size).toBe(1);
    expect(receiver.received.map(({ headers }) => headers["tartan-attempt"])).toEqual(["1", "2", "3"]);
    const { rows } = await scene.database.query(
      "select number, status, error, address from relay.attempts order by number",
    );
    expect(rows).toEqual([
      { number: 1, status: 500, error: "status_500", address: "127.0.0.1" },
      { number: 2, status: 500, error: "status_500", address: "127.0.0.1" },
      { number: 3, status: 204, error: null, address: "127.0.0.1" },
    ]);
  });

  it("a delivery that fails to the end of its schedule is a dead letter with its cause and an event", async () => {
    await using scene = await openScene();
    const [receiver, operator] = [await scene.receiver(), await scene.receiver()];
    const { id } = await scene.destination(receiver, { schedule: [0, 0, 0, 0] });
    await scene.destination(operator, {}, { filter: { types: ["delivery.*"] } });
    receiver.answer = () => ({ status: 503 });
    const relay = await scene.relay();
    await scene.webhooks("item-1");
    await relay.idle();
    await until("the operator event arrives", async () => operator.received.length === 2, 10);
    expect(receiver.received).toHaveLength(5);
    const { rows } = await scene.database.query(
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
    await using scene = await openScene();
    const [receiver, elsewhere] = [await scene.receiver(), await scene.receiver()];
    await scene.destination(receiver, { schedule: [] });
    receiver.answer = () => ({ status: 307, headers: { location: elsewhere.url } });
    const relay = await scene.relay();
    await scene.webhooks("item-1");
    await relay.idle();
    expect(elsewhere.received).toHaveLength(0);
    expect(await scene.statuses()).toEqual({ dead: 1 });
  });

  it("a delivery whose transform fails is a dead letter, and the others are sent", async () => {
    await using scene = await openScene();
    const [one, two] = [await scene.receiver(), await scene.receiver()];
    const bad = await scene.destination(one, {}, { form: "transform", transform: '$error("no")' });
    const good = await scene.destination(two, {}, { form: "transform", transform: '{"item": item_id}' });
    const relay = await scene.relay();
    await scene.webhooks("item-1", "item-2");
    await relay.idle();
    expect(await scene.statuses(bad.id)).toEqual({ dead: 2 });
    expect(one.received).toHaveLength(0);
    expect(await scene.statuses(good.id)).toEqual({ delivered: 2 });
    expect(two.received.map(({ body }) => body.toString()).toSorted()).toEqual([
      '{"item":"item-1"}',
      '{"item":"item-2"}',
    ]);
  });
});

describe("dispatch", () => {
  it("dispatch gives every row of the outbox a position, even when no route takes its events", async () => {
    await using scene = await openScene();
    const relay = await scene.relay();
    await scene.webhooks(...count(10));
    await scene.event({});
    await relay.idle();
    const { rows } = await scene.database.query<{ positions: number; waiting: number }>(
      "select count(distinct position)::int as positions, (count(*) filter (where position is null))::int as waiting from events.outbox",
    );
    expect(rows).toEqual([{ positions: 2, waiting: 0 }]);
    expect(await scene.statuses()).toEqual({});
  });

  it("dispatch sends the events of a first reading only by routes that ask for them", async () => {
    await using scene = await openScene();
    const [news, all] = [await scene.receiver(), await scene.receiver()];
    await scene.destination(news, {}, { filter: { types: ["transactions.changed"] } });
    await scene.destination(all, {}, { filter: { types: ["transactions.changed"], history: true } });
    const relay = await scene.relay();
    await scene.event({ type: "transactions.changed", history: true });
    await scene.event({ type: "transactions.changed" });
    await relay.idle();
    expect(news.received).toHaveLength(1);
    expect(all.received).toHaveLength(2);
  });
});
