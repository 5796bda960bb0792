/** Due deliveries with an ordering key are found however many keys wait, and no statement that writes deliveries loses a key. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Queryable, Statement } from "../../../src/database/types.ts";
import { DeliveryPrefetcher } from "../../../src/relay/delivery/prefetcher.ts";
import { PayloadMemory } from "../../../src/relay/delivery/payloads.ts";
import { CHECK_LEASES } from "../../../src/relay/delivery/lease-queries.ts";
import { FETCH_DUE_KEYS, SETTLE_KEYS } from "../../../src/relay/delivery/prefetch-queries.ts";
import { OVERDUE } from "../../../src/relay/ledger/overdue-queries.ts";
import type { Receiver } from "../../support/receiver.ts";
import { dispatchAll } from "../past.ts";
import { until } from "../../support/until.ts";
import { startWorld, type World } from "../../support/world/index.ts";
import { ORIGINAL } from "../support.ts";

let world: World<"relay">;
let receiver: Receiver;
let id: string;
beforeEach(async () => {
  world = await startWorld({ relay: {} });
  receiver = await world.relay.receiver();
  ({ id } = await world.relay.destination(receiver, { ordering: "per_item" }, ORIGINAL));
});
afterEach(() => world[Symbol.asyncDispose]());

/** Ordering keys, each with a delivery that waits for its retry and two behind it that are due by themselves. */
const waiting = (count: number, prefix = "a") =>
  world.database.query(
    `insert into relay.deliveries (id, destination_id, event_id, event_type, item_id, ordering_key, route_id, route_version, form, due_at)
    select gen_random_uuid(), $1, gen_random_uuid(), 'item.updated', $3 || ordering_key, $3 || ordering_key, 'rte_x', 1, 'event',
      now() + case place when 1 then 3600 else -60 end * interval '1 second'
    from generate_series(1, $2::int) ordering_key, generate_series(1, 3) place order by place, ordering_key`,
    [id, count, prefix],
  );
/** The first fetch settles the ordering keys whose due times are too early; here all of them. */
const settleAll = () =>
  world.database.query(
    "select relay.settle_ordering_keys(array_agg(destination_id order by ordering_key), array_agg(ordering_key order by ordering_key)) from relay.ordering_keys",
  );

/** How many pages a statement looks at. */
async function pagesOf(statement: Statement | string, values: readonly unknown[]): Promise<number> {
  type Plan = { Plan: Record<"Shared Hit Blocks" | "Shared Read Blocks", number> }[];
  const text = `explain (analyze, buffers, format json) ${typeof statement === "string" ? statement : statement.text}`;
  const { rows } = await world.database.query<{ "QUERY PLAN": Plan }>(text, values);
  const [root] = rows[0]?.["QUERY PLAN"] ?? [];
  return root ? root.Plan["Shared Hit Blocks"] + root.Plan["Shared Read Blocks"] : Number.NaN;
}

const NOBODY = "00000000-0000-0000-0000-000000000000";
const look = async () =>
  (await world.database.query<{ due: boolean }>(CHECK_LEASES, [[id], NOBODY, [0]])).rows.map(({ due }) => due)[0];

/** Statements that are asked of a database. */
function counted(): { q: Queryable; asked: () => number } {
  let asked = 0;
  const q: Queryable = {
    query: (statement, values) => {
      asked += 1;
      return world.database.query(statement, values);
    },
  };
  return { q, asked: () => asked };
}

/** What relay.ordering_keys must say, key by key: when the first scheduled delivery is due, or an instant that has passed. */
const wrong = async () =>
  (
    await world.database.query<{ ordering_key: string }>(`
    with heads as (
      select distinct on (destination_id, ordering_key) destination_id, ordering_key, due_at from relay.deliveries
      where status = 'scheduled' and ordering_key is not null order by destination_id, ordering_key, seq
    )
    select ordering_key from heads h left join relay.ordering_keys k using (destination_id, ordering_key)
    where k.due_at is null or k.due_at > greatest(h.due_at, now())`)
  ).rows;
const keys = async () =>
  (
    await world.database.query<{ ordering_key: string; due: boolean }>(
      "select ordering_key, due_at <= now() as due from relay.ordering_keys order by ordering_key",
    )
  ).rows;
/** Deliveries with these ordering keys, due now. */
const INSERT = `
  insert into relay.deliveries (id, destination_id, event_id, event_type, ordering_key, route_id, route_version, form, due_at)
  select gen_random_uuid(), $1, gen_random_uuid(), 'item.updated', ordering_key, 'rte_x', 1, 'event', now() from unnest($2::text[]) ordering_key`;
const insert = (names: readonly string[], q: Queryable) => q.query(INSERT, [id, names]);
const write = (text: string, ...values: unknown[]) => world.database.query(text, values);

describe("due deliveries with an ordering key", () => {
  it("due deliveries with an ordering key cost as many pages beside 20,000 keys that wait as beside 20", async () => {
    const measure = async () => {
      await settleAll();
      await write("vacuum analyze relay.deliveries");
      await write("vacuum analyze relay.ordering_keys");
      return [
        await pagesOf(CHECK_LEASES, [[id], NOBODY, [0]]),
        await pagesOf(FETCH_DUE_KEYS, [id, [], 8, 16, 1_000_000]),
        await pagesOf(OVERDUE, []),
      ];
    };
    await write("update relay.destinations set updated_at = now() - interval '1 day'");
    await waiting(20);
    const few = await measure();
    await waiting(20_000, "b");
    const many = await measure();
    for (const [n, pages] of many.entries()) expect(pages).toBeLessThan((few[n] ?? 0) * 1.5 + 20);
    expect(await look()).toBe(false);
  });

  it("due deliveries with an ordering key are fetched in a few statements from behind 5,000 keys that wait", async () => {
    await waiting(5000);
    await settleAll();
    await world.relay.webhooks("z");
    await dispatchAll(world.database);
    expect(await look()).toBe(true);
    const { q, asked } = counted();
    const prefetcher = new DeliveryPrefetcher(q, id, new PayloadMemory());
    expect((await prefetcher.next(16))?.orderingKey).toBe("z");
    expect(asked()).toBeLessThanOrEqual(3);
    expect(await prefetcher.next(16)).toBeNull();
    expect(asked()).toBeLessThanOrEqual(6);
  });

  it("due deliveries with an ordering key arrive while 5,000 keys before them wait for their retries", async () => {
    await waiting(5000);
    await world.relay.start();
    await world.relay.webhooks("z1", "z2");
    await until("they arrived", async () => (await world.relay.statuses(id))["delivered"] === 2);
    expect(receiver.received).toHaveLength(2);
    expect(await world.relay.statuses(id)).toEqual({ delivered: 2, scheduled: 15_000 });
  });

  it("due deliveries with an ordering key are fetched although more keys than one fetch takes have nothing due", async () => {
    await waiting(100);
    await write("update relay.ordering_keys set due_at = now() - interval '1 hour'");
    await world.relay.webhooks("z");
    await dispatchAll(world.database);
    const prefetcher = new DeliveryPrefetcher(world.database, id, new PayloadMemory());
    expect((await prefetcher.next(16))?.orderingKey).toBe("z");
    expect((await keys()).filter(({ due }) => due)).toEqual([{ ordering_key: "z", due: true }]);
  });
});

describe("an ordering key", () => {
  /** An item with these deliveries; the first waits for a retry. */
  const keyOf = async (...names: string[]) => {
    await world.relay.webhooks(...names);
    await dispatchAll(world.database);
    await write(
      "update relay.deliveries set due_at = now() + interval '1 hour' where seq = (select min(seq) from relay.deliveries)",
    );
  };

  it("an ordering key is due when its first delivery is, however early those behind it were due", async () => {
    await keyOf("a", "a", "b");
    expect(await keys()).toEqual([
      { ordering_key: "a", due: false },
      { ordering_key: "b", due: true },
    ]);
    expect(await wrong()).toEqual([]);
  });

  it("an ordering key is due at once when the delivery that it waited for is cancelled, dead or erased", async () => {
    for (const [n, end] of [
      "update relay.deliveries set status = 'cancelled', due_at = null where ordering_key = $1 and due_at > now()",
      "update relay.deliveries set status = 'dead', due_at = null where ordering_key = $1 and due_at > now()",
      "delete from relay.deliveries where ordering_key = $1 and due_at > now()",
    ].entries()) {
      const key = `key-${n}`;
      await world.relay.webhooks(key, key);
      await dispatchAll(world.database);
      await write(
        "update relay.deliveries set due_at = now() + interval '1 hour' where seq = (select min(seq) from relay.deliveries where ordering_key = $1)",
        key,
      );
      expect((await keys()).at(-1)).toEqual({ ordering_key: key, due: false });
      await write(end, key);
      expect((await keys()).at(-1)).toEqual({ ordering_key: key, due: true });
      expect(await wrong()).toEqual([]);
    }
  });

  it("an ordering key is due when an earlier delivery is rescheduled, and is deleted when all have ended", async () => {
    await keyOf("a", "a");
    await write("update relay.deliveries set status = 'dead', due_at = null where due_at > now()");
    await write("update relay.deliveries set due_at = now() + interval '1 hour' where status = 'scheduled'");
    expect(await keys()).toEqual([{ ordering_key: "a", due: false }]);
    await write("update relay.deliveries set status = 'scheduled', due_at = now() where status = 'dead'");
    expect(await keys()).toEqual([{ ordering_key: "a", due: true }]);
    await write("update relay.deliveries set status = 'delivered', due_at = null");
    expect(await keys()).toEqual([]);
    expect(await look()).toBe(false);
    await write("update relay.deliveries set status = 'scheduled', due_at = now()");
    expect(await keys()).toEqual([{ ordering_key: "a", due: true }]);
  });

  it("an ordering key is kept when its last delivery ends while another is being inserted", async () => {
    await world.relay.webhooks("a");
    await dispatchAll(world.database);
    await write("update relay.deliveries set due_at = now() + interval '1 hour'");
    await world.database.transaction(async (tx) => {
      await insert(["a"], tx);
      // Neither waits for the other: the one that inserts may still need keys that the other has changed.
      await write(
        "update relay.deliveries set status = 'delivered', due_at = null where event_type = 'webhook.received'",
      );
    });
    expect(await keys()).toEqual([{ ordering_key: "a", due: true }]);
    expect(await wrong()).toEqual([]);
  });

  it("an ordering key whose insertion failed is settled by the next fetch", async () => {
    await world.relay.webhooks("a");
    await dispatchAll(world.database);
    const undone = world.database.transaction(async (tx) => {
      await insert(["a"], tx);
      await write(
        "update relay.deliveries set status = 'delivered', due_at = null where event_type = 'webhook.received'",
      );
      const settled = await write(SETTLE_KEYS.text, id, ["a"]);
      expect(settled.rows).toEqual([{ written: 0 }]);
      expect(await new DeliveryPrefetcher(world.database, id, new PayloadMemory()).next(1)).toBeNull();
      throw new Error("roll back");
    });
    await expect(undone).rejects.toThrow("roll back");
    expect(await keys()).toEqual([{ ordering_key: "a", due: true }]);
    expect(await new DeliveryPrefetcher(world.database, id, new PayloadMemory()).next(16)).toBeNull();
    expect(await keys()).toEqual([]);
  });

  it("an ordering key is due by its earliest delivery also when that is inserted after a later one has failed", async () => {
    await keyOf("a");
    expect(await keys()).toEqual([{ ordering_key: "a", due: false }]);
    await write(
      `insert into relay.deliveries (seq, id, destination_id, event_id, event_type, ordering_key, route_id, route_version, form, due_at)
      overriding system value
      values (-1, gen_random_uuid(), $1, gen_random_uuid(), 'item.updated', 'a', 'rte_x', 1, 'event', now())`,
      id,
    );
    expect(await keys()).toEqual([{ ordering_key: "a", due: true }]);
    expect(await wrong()).toEqual([]);
  });

  it("an ordering key keeps its time through hundreds of random changes made by several writers at once", async () => {
    const names = ["a", "b", "c", "d"];
    const some = () => names.filter(() => Math.random() < 0.5).toSorted(() => Math.random() - 0.5);
    const changes = [
      "set due_at = now() + random() * interval '1 hour' where status = 'scheduled'",
      "set status = 'delivered', due_at = null where status = 'scheduled'",
      "set status = 'dead', due_at = null where status = 'scheduled'",
      "set status = 'scheduled', due_at = now() where status = 'dead'",
      "set status = case when random() < 0.5 then 'scheduled' else 'dead' end, due_at = now() where status in ('dead', 'scheduled')",
    ];
    const writer = async () => {
      for (let n = 0; n < 80; n += 1) {
        const change = changes[Math.floor(Math.random() * changes.length)];
        await world.database.transaction(async (tx) => {
          if (Math.random() < 0.5) await insert(some(), tx);
          if (Math.random() < 0.5) await insert(some(), tx);
          else
            await tx.query(`update relay.deliveries ${change} and ordering_key = any ($1) and random() < 0.3`, [
              some(),
            ]);
        });
      }
    };
    await Promise.all([writer(), writer(), writer(), writer(), writer(), writer()]);
    expect(await wrong()).toEqual([]);
    await settleAll();
    const { rows } =
      await write(`select ordering_key from relay.ordering_keys k where due_at <> (select due_at from relay.deliveries r
      where r.ordering_key = k.ordering_key and r.status = 'scheduled' order by seq limit 1)`);
    expect(rows).toEqual([]);
  });
});
