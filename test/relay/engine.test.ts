import { Webhook } from "standardwebhooks";
import { describe, expect, it } from "vitest";
import { until } from "../support/stage.ts";
import { openScene } from "./scene.ts";

const count = (times: number, itemId = "item-1") => Array.from({ length: times }, () => itemId);
const places = (received: { body: Buffer }[]) => received.map(({ body }) => (JSON.parse(body.toString()) as { n: number }).n);
const ORIGINAL = { form: "original" };

describe("a delivery", () => {
  it("is the webhook's own bytes with Plaid's own header, and the official library verifies it", async () => {
    await using scene = await openScene();
    const receiver = await scene.receiver();
    const { secret } = await scene.destination(receiver, {}, ORIGINAL);
    const relay = await scene.relay();
    const [id = ""] = await scene.webhooks("item-1");
    await relay.idle();
    const { rows } = await scene.database.query<{ body: Buffer }>("select body from journal.webhooks where id = $1", [id]);
    const [received] = receiver.received;
    expect(received?.body.equals(rows[0]?.body ?? Buffer.alloc(0))).toBe(true);
    expect(received?.headers["plaid-verification"]).toBe("header.claims.signature");
    expect(received?.id).toBe(`evt_${id.replaceAll("-", "")}`);
    const verified = new Webhook(secret).verify(received?.body.toString() ?? "", received?.headers as Record<string, string>);
    expect(verified).toMatchObject({ item_id: "item-1" });
    expect(await scene.statuses()).toEqual({ delivered: 1 });
  });

  it("goes once to each destination, though several routes lead there", async () => {
    await using scene = await openScene();
    const [one, two] = [await scene.receiver(), await scene.receiver()];
    const { id } = await scene.destination(one);
    const { createRoute } = await import("../../src/relay/routes.ts");
    await createRoute(scene.database, { destination_id: id, form: "original" });
    await scene.destination(two);
    const relay = await scene.relay();
    await scene.webhooks(...count(5));
    await relay.idle();
    expect(one.received).toHaveLength(5);
    expect(two.received).toHaveLength(5);
    expect(new Set(one.received.map((each) => each.id)).size).toBe(5);
  });

  it("is tried again with the same id and bytes, and every attempt is kept", async () => {
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
    const { rows } = await scene.database.query("select number, status, error, address from relay.attempts order by number");
    expect(rows).toEqual([
      { number: 1, status: 500, error: "status_500", address: "127.0.0.1" },
      { number: 2, status: 500, error: "status_500", address: "127.0.0.1" },
      { number: 3, status: 204, error: null, address: "127.0.0.1" },
    ]);
  });

  it("that fails to the end of its schedule is in the dead letters with its cause, and is told of", async () => {
    await using scene = await openScene();
    const [receiver, operator] = [await scene.receiver(), await scene.receiver()];
    const { id } = await scene.destination(receiver, { schedule: [0, 0, 0, 0] });
    await scene.destination(operator, {}, { filter: { types: ["delivery.*"] } });
    receiver.answer = () => ({ status: 503 });
    const relay = await scene.relay();
    await scene.webhooks("item-1");
    await relay.idle();
    await until("the operator is told", async () => operator.received.length === 2, 10);
    expect(receiver.received).toHaveLength(5);
    const { rows } = await scene.database.query("select status, cause, attempts from relay.deliveries where destination_id = $1", [id]);
    expect(rows).toEqual([{ status: "dead", cause: "status_503", attempts: 5 }]);
    expect(operator.received.map(({ headers }) => headers["tartan-event-type"]).toSorted()).toEqual([
      "delivery.exhausted",
      "delivery.failing",
    ]);
  });

  it("is a failure where it is redirected, and is not sent elsewhere", async () => {
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

  it("whose transform fails is in the dead letters, and the others go on", async () => {
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
    expect(two.received.map(({ body }) => body.toString()).toSorted()).toEqual(['{"item":"item-1"}', '{"item":"item-2"}']);
  });
});

describe("a destination", () => {
  it("that is paused is held, and drained in order when it is resumed", async () => {
    await using scene = await openScene();
    const receiver = await scene.receiver();
    const { id } = await scene.destination(receiver, { concurrency: 1 }, ORIGINAL);
    const relay = await scene.relay();
    const { pauseDestination, resumeDestination } = await import("../../src/relay/destinations.ts");
    await pauseDestination(scene.database, id);
    await until("the pause is heard", async () => {
      await scene.webhooks("item-1");
      await relay.idle();
      const before = receiver.received.length;
      await scene.webhooks("item-1");
      await relay.idle();
      return receiver.received.length === before && (await scene.statuses())["scheduled"] !== undefined;
    });
    const sent = receiver.received.length;
    for (let n = 0; n < 20; n += 1) await scene.webhooks(...count(5));
    await relay.idle();
    expect(receiver.received.length).toBe(sent);
    await resumeDestination(scene.database, id);
    await relay.idle();
    const order = places(receiver.received);
    expect(order).toEqual(order.toSorted((a, b) => a - b));
    expect(new Set(order).size).toBe(order.length);
    expect((await scene.statuses())["scheduled"]).toBeUndefined();
  });

  it("that answers 410 is disabled, and what it has not taken is held", async () => {
    await using scene = await openScene();
    const [receiver, operator] = [await scene.receiver(), await scene.receiver()];
    const { id } = await scene.destination(receiver);
    await scene.destination(operator, {}, { filter: { types: ["destination.disabled"] } });
    receiver.answer = () => ({ status: 410 });
    const relay = await scene.relay();
    await scene.webhooks("item-1");
    await until("it is disabled", async () => {
      const { rows } = await scene.database.query<{ reason: string }>("select disabled_reason as reason from relay.destinations where id = $1", [id]);
      return rows[0]?.reason === "gone";
    });
    await scene.webhooks(...count(3));
    await relay.idle();
    expect(receiver.received).toHaveLength(1);
    expect(await scene.statuses(id)).toEqual({ scheduled: 4 });
    expect(operator.received).toHaveLength(1);
    receiver.answer = () => ({});
    const { enableDestination } = await import("../../src/relay/destinations.ts");
    await enableDestination(scene.database, id);
    await scene.database.query("update relay.deliveries set due_at = now() where destination_id = $1", [id]);
    await relay.idle();
    expect(await scene.statuses(id)).toEqual({ delivered: 4 });
  });

  it("never gets more at once than its concurrency", async () => {
    await using scene = await openScene();
    const receiver = await scene.receiver();
    await scene.destination(receiver, { concurrency: 3 });
    receiver.answer = () => ({ delayMs: 5 });
    const relay = await scene.relay();
    await scene.webhooks(...count(60));
    await relay.idle();
    expect(receiver.received).toHaveLength(60);
    expect(receiver.mostOpen).toBe(3);
    expect(receiver.connections).toBeLessThanOrEqual(3);
  });

  it("that hangs costs the others nothing", async () => {
    await using scene = await openScene();
    const [dead, healthy] = [await scene.receiver(), await scene.receiver()];
    const bad = await scene.destination(dead, { timeout_ms: 30_000 });
    const good = await scene.destination(healthy);
    dead.answer = () => ({ hang: true });
    await scene.relay();
    await scene.webhooks(...count(100));
    await until("the healthy one has all", async () => (await scene.statuses(good.id))["delivered"] === 100);
    expect(await scene.statuses(bad.id)).toEqual({ scheduled: 100 });
    expect(dead.received.length).toBeLessThanOrEqual(8);
  });

  it("whose circuit opens is left alone, probed with one, and drained when it is well", async () => {
    await using scene = await openScene();
    const [receiver, operator] = [await scene.receiver(), await scene.receiver()];
    const { id } = await scene.destination(receiver, { schedule: Array.from({ length: 20 }, () => 0), concurrency: 4 });
    await scene.destination(operator, {}, { filter: { types: ["destination.opened", "destination.recovered"] } });
    receiver.answer = () => ({ status: 500 });
    const relay = await scene.relay();
    await scene.webhooks(...count(30));
    const breaker = async () => {
      const { rows } = await scene.database.query<{ breaker: string }>("select breaker from relay.health where destination_id = $1", [id]);
      return rows[0]?.breaker;
    };
    await until("it opens", async () => (await breaker()) === "open");
    const sent = receiver.received.length;
    expect(sent).toBeLessThan(30);
    receiver.answer = () => ({});
    // Its 30 seconds are not waited for: whoever changes a destination wants it tried.
    const { updateDestination } = await import("../../src/relay/destinations.ts");
    await updateDestination({ database: scene.database, vault: scene.vault, allowHttp: true, checkUrl: () => undefined }, id, { name: "mended" });
    await until("all arrived", async () => (await scene.statuses(id))["delivered"] === 30);
    await relay.idle();
    expect(operator.received.map(({ headers }) => headers["tartan-event-type"])[0]).toBe("destination.opened");
  });
});

describe("a lane", () => {
  it("keeps the order of an item's events, one at a time, through failures, and holds up no other item", async () => {
    await using scene = await openScene();
    const receiver = await scene.receiver();
    await scene.destination(receiver, { ordering: "per_item", schedule: Array.from({ length: 50 }, () => 0) }, ORIGINAL);
    const open = new Map<string, number>();
    receiver.answer = async ({ body }) => {
      const { item_id: item } = JSON.parse(body.toString()) as { item_id: string };
      open.set(item, (open.get(item) ?? 0) + 1);
      expect(open.get(item)).toBe(1);
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 4));
      open.set(item, 0);
      return { status: Math.random() < 0.15 ? 500 : 200 };
    };
    const relay = await scene.relay();
    const items = Array.from({ length: 12 }, (_, n) => `item-${n}`);
    for (let n = 0; n < 10; n += 1) await scene.webhooks(...items, ...items);
    await relay.idle();
    expect(await scene.statuses()).toEqual({ delivered: 240 });
    for (const item of items) {
      const own = receiver.received.filter(({ body }) => body.includes(`"${item}"`));
      const order = [...new Set(places(own))];
      expect(order).toEqual(order.toSorted((a, b) => a - b));
    }
  });

  it("that waits for a retry leaves the others alone", async () => {
    await using scene = await openScene();
    const receiver = await scene.receiver();
    const { id } = await scene.destination(receiver, { ordering: "per_item", schedule: [3600] }, ORIGINAL);
    receiver.answer = ({ body }) => ({ status: body.includes('"bad"') ? 500 : 200 });
    const relay = await scene.relay();
    await scene.webhooks("bad", "good", "bad", "good", "fine");
    await until("the others arrived", async () => (await scene.statuses(id))["delivered"] === 3);
    void relay;
    expect(receiver.received.filter(({ body }) => body.includes('"bad"'))).toHaveLength(1);
    expect(await scene.statuses(id)).toEqual({ delivered: 3, scheduled: 2 });
  });
});

describe("several relays on one database", () => {
  it("share the destinations, and send nothing twice", async () => {
    await using scene = await openScene();
    const receivers = await Promise.all(Array.from({ length: 4 }, () => scene.receiver()));
    for (const receiver of receivers) await scene.destination(receiver);
    const [one, two] = [await scene.relay(), await scene.relay()];
    const holders = async () => {
      const { rows } = await scene.database.query<{ n: number }>(
        "select count(*)::int as n from relay.health where worker is not null group by worker order by 1",
      );
      return rows.map(({ n }) => n);
    };
    await until("each holds two", async () => JSON.stringify(await holders()) === "[2,2]");
    await scene.webhooks(...count(100));
    await Promise.all([one.idle(), two.idle()]);
    for (const receiver of receivers) {
      expect(receiver.received).toHaveLength(100);
      expect(new Set(receiver.received.map(({ id }) => id)).size).toBe(100);
    }
    await one[Symbol.asyncDispose]();
    await until("the other holds all", async () => JSON.stringify(await holders()) === "[4]");
  });

  it("do not hear what is said of a destination that changed hands", async () => {
    await using scene = await openScene();
    const receiver = await scene.receiver();
    const { id } = await scene.destination(receiver);
    let release: () => void = () => undefined;
    const blocked = new Promise<void>((resolve) => (release = resolve));
    receiver.answer = async () => {
      if (receiver.received.length === 1) await blocked;
      return { status: 500 };
    };
    const relay = await scene.relay();
    await scene.webhooks("item-1");
    await until("it is under way", async () => receiver.received.length === 1);
    await scene.database.query("update relay.health set epoch = epoch + 1 where destination_id = $1", [id]);
    release();
    await until("it was dropped and taken anew", async () => {
      const { rows } = await scene.database.query<{ attempts: number }>("select attempts from relay.deliveries");
      return rows[0]?.attempts === 1 && receiver.received.length === 2;
    });
    void relay;
  });
});

describe("dispatch", () => {
  it("gives every row of the outbox its position, also where no route takes its events", async () => {
    await using scene = await openScene();
    const relay = await scene.relay();
    await scene.webhooks(...count(10));
    await scene.event({});
    await relay.idle();
    const { rows } = await scene.database.query<{ positions: number; waiting: number }>(
      "select count(distinct position)::int as positions, (count(*) filter (where position is null))::int as waiting from journal.outbox",
    );
    expect(rows).toEqual([{ positions: 2, waiting: 0 }]);
    expect(await scene.statuses()).toEqual({});
  });

  it("leaves history out of a route unless it asks for it", async () => {
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
