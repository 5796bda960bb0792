import { describe, expect, it } from "vitest";
import type { Database } from "../../../src/database/types.ts";
import { deleteDestination } from "../../../src/relay/delete-destination.ts";
import {
  pauseDestination,
  resumeDestination,
  updateDestination,
} from "../../../src/relay/destinations/destinations.ts";
import { until } from "../../support/until.ts";
import { ORIGINAL, count, places } from "../support.ts";
import { startWorld } from "../../support/world/index.ts";

describe("an ordering key", () => {
  it("an ordering key sends an item's events one at a time and in order through failures, and delays no other item", async () => {
    await using world = await startWorld({ relay: {} });
    const receiver = await world.relay.receiver();
    await world.relay.destination(
      receiver,
      { ordering: "per_item", schedule: Array.from({ length: 50 }, () => 0) },
      ORIGINAL,
    );
    const open = new Map<string, number>();
    receiver.answer = async ({ body }) => {
      const { item_id: item } = JSON.parse(body.toString()) as { item_id: string };
      open.set(item, (open.get(item) ?? 0) + 1);
      expect(open.get(item)).toBe(1);
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 4));
      open.set(item, 0);
      return { status: Math.random() < 0.15 ? 500 : 200 };
    };
    const relay = await world.relay.start();
    const items = Array.from({ length: 12 }, (_, n) => `item-${n}`);
    for (let n = 0; n < 10; n += 1) await world.relay.webhooks(...items, ...items);
    await relay.idle();
    expect(await world.relay.statuses()).toEqual({ delivered: 240 });
    for (const item of items) {
      const own = receiver.received.filter(({ body }) => body.includes(`"${item}"`));
      const order = [...new Set(places(own))];
      expect(order).toEqual(order.toSorted((a, b) => a - b));
    }
  });

  it("an ordering key that waits for a retry does not delay the others", async () => {
    await using world = await startWorld({ relay: {} });
    const receiver = await world.relay.receiver();
    const { id } = await world.relay.destination(receiver, { ordering: "per_item", schedule: [3600] }, ORIGINAL);
    receiver.answer = ({ body }) => ({ status: body.includes('"bad"') ? 500 : 200 });
    const relay = await world.relay.start();
    await world.relay.webhooks("bad", "good", "bad", "good", "fine");
    await until("the others arrived", async () => (await world.relay.statuses(id))["delivered"] === 3);
    void relay;
    expect(receiver.received.filter(({ body }) => body.includes('"bad"'))).toHaveLength(1);
    expect(await world.relay.statuses(id)).toEqual({ delivered: 3, scheduled: 2 });
  });

  it("an ordering key with many deliveries is sent completely and in order although it is fetched in pieces", async () => {
    await using world = await startWorld({ relay: {} });
    const receiver = await world.relay.receiver();
    await world.relay.destination(receiver, { ordering: "per_item" }, ORIGINAL);
    await world.relay.webhooks(...count(50, "long"), ...count(3, "short"));
    receiver.answer = async () => {
      if (receiver.received.length === 20) await world.relay.webhooks(...count(10, "long"));
      return {};
    };
    const relay = await world.relay.start({ pollMs: 60_000 });
    await until("all arrived", async () => (await world.relay.statuses())["delivered"] === 63);
    const order = places(receiver.received.filter(({ body }) => body.includes('"long"')));
    expect(order).toEqual(order.toSorted((a, b) => a - b));
    expect(order).toHaveLength(60);
    void relay;
  });
});

describe("a destination whose ordering is changed", () => {
  for (const [before, after] of [
    ["parallel", "per_item"],
    ["per_item", "parallel"],
  ] as const) {
    it(`a destination whose ordering is changed from ${before} to ${after} also receives the deliveries that waited`, async () => {
      await using world = await startWorld({ relay: {} });
      const receiver = await world.relay.receiver();
      const { id } = await world.relay.destination(receiver, { ordering: before }, ORIGINAL);
      const relay = await world.relay.start();
      await pauseDestination(world.database, id);
      await world.relay.webhooks(...count(12));
      await until("they wait", async () => (await world.relay.statuses())["scheduled"] === 12);
      await updateDestination(world.destinations, id, { ordering: after });
      await world.relay.webhooks(...count(5, "item-2"));
      await resumeDestination(world.database, id);
      await until("all arrived", async () => (await world.relay.statuses())["delivered"] === 17);
      expect(receiver.received).toHaveLength(17);
      void relay;
    });
  }
});

describe("several relays on one database", () => {
  it("several relays on one database share the destinations, and send nothing twice", async () => {
    await using world = await startWorld({ relay: {} });
    const receivers = await Promise.all(Array.from({ length: 4 }, () => world.relay.receiver()));
    for (const receiver of receivers) await world.relay.destination(receiver);
    const [one, two] = [await world.relay.start(), await world.relay.start()];
    const holders = async () => {
      const { rows } = await world.database.query<{ n: number }>(
        "select count(*)::int as n from relay.health where worker is not null group by worker order by 1",
      );
      return rows.map(({ n }) => n);
    };
    await until("each holds two", async () => JSON.stringify(await holders()) === "[2,2]");
    await world.relay.webhooks(...count(100));
    await Promise.all([one.idle(), two.idle()]);
    for (const receiver of receivers) {
      expect(receiver.received).toHaveLength(100);
      expect(new Set(receiver.received.map(({ id }) => id)).size).toBe(100);
    }
    await one[Symbol.asyncDispose]();
    await until("the other holds all", async () => JSON.stringify(await holders()) === "[4]");
  });

  it("several relays on one database reject the result of an attempt at a destination that another worker leased meanwhile", async () => {
    await using world = await startWorld({ relay: {} });
    const receiver = await world.relay.receiver();
    const { id } = await world.relay.destination(receiver);
    let release: () => void = () => undefined;
    const blocked = new Promise<void>((resolve) => (release = resolve));
    receiver.answer = async () => {
      if (receiver.received.length === 1) await blocked;
      return { status: 500 };
    };
    const relay = await world.relay.start();
    await world.relay.webhooks("item-1");
    await until("it is under way", async () => receiver.received.length === 1);
    await world.database.query(
      "update relay.health set epoch = epoch + 1, worker = gen_random_uuid() where destination_id = $1",
      [id],
    );
    await world.database.query("update relay.under_way set epoch = epoch + 1, busy_until = '-infinity'");
    release();
    await until("it was dropped, taken anew and tried again", async () => {
      const { rows } = await world.database.query<{ error: string }>(
        "select error from relay.attempts order by number",
      );
      return JSON.stringify(rows.map(({ error }) => error)) === '["outcome_unknown","status_500"]';
    });
    expect(receiver.received.map(({ headers }) => headers["tartan-attempt"])).toEqual(["1", "2"]);
    const { rows } = await world.database.query("select attempts, tries from relay.deliveries");
    expect(rows).toEqual([{ attempts: 2, tries: 1 }]);
    void relay;
  });

  it("several relays on one database lease a destination again when the answer to the first lease was lost", async () => {
    await using world = await startWorld({ relay: {} });
    const receiver = await world.relay.receiver();
    const { id } = await world.relay.destination(receiver);
    const relay = await world.relay.start();
    await until("it is held", async () => (await holder(world.database, id)) !== null);
    const worker = await holder(world.database, id);
    await deleteDestination(world.database, id);
    await until("it is let go", async () => (await holder(world.database, id)) === null);
    const second = await world.relay.destination(receiver);
    await world.database.query("update relay.health set worker = $2 where destination_id = $1 and worker is null", [
      second.id,
      worker,
    ]);
    await world.relay.webhooks("item-1");
    await until("it arrived", async () => (await world.relay.statuses(second.id))["delivered"] === 1);
    void relay;
  });
});

async function holder(database: Database, id: string): Promise<string | null> {
  const { rows } = await database.query<{ worker: string | null }>(
    "select worker from relay.health where destination_id = $1",
    [id],
  );
  return rows[0]?.worker ?? null;
}
