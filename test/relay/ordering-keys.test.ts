/** What is due in lanes is found, whatever waits beside it; and whoever writes deliveries, no lane is forgotten. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Queryable, Statement } from "../../src/database/types.ts";
import { Backlog } from "../../src/relay/delivery/prefetcher.ts";
import { Payloads } from "../../src/relay/delivery/payloads.ts";
import { FETCH_LANES, LOOK, SETTLE_LANES } from "../../src/relay/delivery/queries.ts";
import { OVERDUE } from "../../src/relay/ledger/overdue-queries.ts";
import { until } from "../support/stage.ts";
import type { Receiver } from "../support/receiver.ts";
import { dispatchAll } from "./past.ts";
import { openScene, ORIGINAL, type Scene } from "./scene.ts";

let scene: Scene;
let receiver: Receiver;
let id: string;
beforeEach(async () => {
  scene = await openScene();
  receiver = await scene.receiver();
  ({ id } = await scene.destination(receiver, { ordering: "per_item" }, ORIGINAL));
});
afterEach(() => scene[Symbol.asyncDispose]());

/** Lanes, each with a delivery that waits for its retry and two behind it that are due by themselves. */
const waiting = (lanes: number, prefix = "a") =>
  scene.database.query(
    `insert into relay.deliveries (id, destination_id, event_id, event_type, item_id, lane, route_id, route_version, form, due_at)
    select gen_random_uuid(), $1, gen_random_uuid(), 'item.updated', $3 || lane, $3 || lane, 'rte_x', 1, 'event',
      now() + case place when 1 then 3600 else -60 end * interval '1 second'
    from generate_series(1, $2::int) lane, generate_series(1, 3) place order by place, lane`,
    [id, lanes, prefix],
  );
/** The first fetch settles the lanes whose rows say less than is known; here as many as there are. */
const settleAll = () =>
  scene.database.query(
    "select relay.settle_ordering_keys(array_agg(destination_id order by lane), array_agg(lane order by lane)) from relay.ordering_keys",
  );

/** How many pages a statement looks at. */
async function pagesOf(statement: Statement | string, values: readonly unknown[]): Promise<number> {
  type Plan = { Plan: Record<"Shared Hit Blocks" | "Shared Read Blocks", number> }[];
  const text = `explain (analyze, buffers, format json) ${typeof statement === "string" ? statement : statement.text}`;
  const { rows } = await scene.database.query<{ "QUERY PLAN": Plan }>(text, values);
  const [root] = rows[0]?.["QUERY PLAN"] ?? [];
  return root ? root.Plan["Shared Hit Blocks"] + root.Plan["Shared Read Blocks"] : Number.NaN;
}

const NOBODY = "00000000-0000-0000-0000-000000000000";
const look = async () =>
  (await scene.database.query<{ due: boolean }>(LOOK, [[id], NOBODY, [0]])).rows.map(({ due }) => due)[0];

/** Statements that are asked of a database. */
function counted(): { q: Queryable; asked: () => number } {
  let asked = 0;
  const q: Queryable = {
    query: (statement, values) => {
      asked += 1;
      return scene.database.query(statement, values);
    },
  };
  return { q, asked: () => asked };
}

/** What relay.ordering_keys must say, lane by lane: when the first scheduled delivery is due, or an instant that has passed. */
const wrong = async () =>
  (
    await scene.database.query<{ lane: string }>(`
    with heads as (
      select distinct on (destination_id, lane) destination_id, lane, due_at from relay.deliveries
      where status = 'scheduled' and lane is not null order by destination_id, lane, seq
    )
    select lane from heads h left join relay.ordering_keys k using (destination_id, lane)
    where k.due_at is null or k.due_at > greatest(h.due_at, now())`)
  ).rows;
const keys = async () =>
  (
    await scene.database.query<{ lane: string; due: boolean }>(
      "select lane, due_at <= now() as due from relay.ordering_keys order by lane",
    )
  ).rows;
/** Deliveries in these lanes, due now. */
const INSERT = `
  insert into relay.deliveries (id, destination_id, event_id, event_type, lane, route_id, route_version, form, due_at)
  select gen_random_uuid(), $1, gen_random_uuid(), 'item.updated', lane, 'rte_x', 1, 'event', now() from unnest($2::text[]) lane`;
const insert = (lanes: readonly string[], q: Queryable) => q.query(INSERT, [id, lanes]);
const write = (text: string, ...values: unknown[]) => scene.database.query(text, values);

describe("deliveries that are due in lanes", () => {
  it("cost as many pages beside 20,000 lanes that wait as beside 20", async () => {
    const measure = async () => {
      await settleAll();
      await write("vacuum analyze relay.deliveries");
      await write("vacuum analyze relay.ordering_keys");
      return [
        await pagesOf(LOOK, [[id], NOBODY, [0]]),
        await pagesOf(FETCH_LANES, [id, [], 8, 16, 1_000_000]),
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

  it("are fetched in a few statements from behind 5,000 lanes that wait", async () => {
    await waiting(5000);
    await settleAll();
    await scene.webhooks("z");
    await dispatchAll(scene.database);
    expect(await look()).toBe(true);
    const { q, asked } = counted();
    const backlog = new Backlog(q, id, new Payloads());
    expect((await backlog.next(16))?.lane).toBe("z");
    expect(asked()).toBeLessThanOrEqual(3);
    expect(await backlog.next(16)).toBeNull();
    expect(asked()).toBeLessThanOrEqual(6);
  });

  it("arrive while 5,000 lanes before them wait for their retries", async () => {
    await waiting(5000);
    await scene.relay();
    await scene.webhooks("z1", "z2");
    await until("they arrived", async () => (await scene.statuses(id))["delivered"] === 2);
    expect(receiver.received).toHaveLength(2);
    expect(await scene.statuses(id)).toEqual({ delivered: 2, scheduled: 15_000 });
  });

  it("are fetched although more lanes than one fetch takes turn out to have nothing due", async () => {
    await waiting(100);
    await write("update relay.ordering_keys set due_at = now() - interval '1 hour'");
    await scene.webhooks("z");
    await dispatchAll(scene.database);
    const backlog = new Backlog(scene.database, id, new Payloads());
    expect((await backlog.next(16))?.lane).toBe("z");
    expect((await keys()).filter(({ due }) => due)).toEqual([{ lane: "z", due: true }]);
  });
});

describe("a lane", () => {
  /** An item with these deliveries; the first waits for a retry. */
  const laneOf = async (...names: string[]) => {
    await scene.webhooks(...names);
    await dispatchAll(scene.database);
    await write(
      "update relay.deliveries set due_at = now() + interval '1 hour' where seq = (select min(seq) from relay.deliveries)",
    );
  };

  it("is due when its first delivery is, however early those behind it were due", async () => {
    await laneOf("a", "a", "b");
    expect(await keys()).toEqual([
      { lane: "a", due: false },
      { lane: "b", due: true },
    ]);
    expect(await wrong()).toEqual([]);
  });

  it("is due at once when the delivery that it waited for is cancelled, given up or erased", async () => {
    for (const [n, end] of [
      "update relay.deliveries set status = 'cancelled', due_at = null where lane = $1 and due_at > now()",
      "update relay.deliveries set status = 'dead', due_at = null where lane = $1 and due_at > now()",
      "delete from relay.deliveries where lane = $1 and due_at > now()",
    ].entries()) {
      const lane = `lane-${n}`;
      await scene.webhooks(lane, lane);
      await dispatchAll(scene.database);
      await write(
        "update relay.deliveries set due_at = now() + interval '1 hour' where seq = (select min(seq) from relay.deliveries where lane = $1)",
        lane,
      );
      expect((await keys()).at(-1)).toEqual({ lane, due: false });
      await write(end, lane);
      expect((await keys()).at(-1)).toEqual({ lane, due: true });
      expect(await wrong()).toEqual([]);
    }
  });

  it("is due when a delivery comes back that is earlier than the one that waits, and is forgotten when all have ended", async () => {
    await laneOf("a", "a");
    await write("update relay.deliveries set status = 'dead', due_at = null where due_at > now()");
    await write("update relay.deliveries set due_at = now() + interval '1 hour' where status = 'scheduled'");
    expect(await keys()).toEqual([{ lane: "a", due: false }]);
    await write("update relay.deliveries set status = 'scheduled', due_at = now() where status = 'dead'");
    expect(await keys()).toEqual([{ lane: "a", due: true }]);
    await write("update relay.deliveries set status = 'delivered', due_at = null");
    expect(await keys()).toEqual([]);
    expect(await look()).toBe(false);
    await write("update relay.deliveries set status = 'scheduled', due_at = now()");
    expect(await keys()).toEqual([{ lane: "a", due: true }]);
  });

  it("is not forgotten when its last delivery ends while another is being inserted", async () => {
    await scene.webhooks("a");
    await dispatchAll(scene.database);
    await write("update relay.deliveries set due_at = now() + interval '1 hour'");
    await scene.database.transaction(async (tx) => {
      await insert(["a"], tx);
      // Neither waits for the other: the one that inserts may still want lanes that the other has changed.
      await write(
        "update relay.deliveries set status = 'delivered', due_at = null where event_type = 'webhook.received'",
      );
    });
    expect(await keys()).toEqual([{ lane: "a", due: true }]);
    expect(await wrong()).toEqual([]);
  });

  it("whose time is looked at again because an insertion failed is settled by whoever fetches", async () => {
    await scene.webhooks("a");
    await dispatchAll(scene.database);
    const undone = scene.database.transaction(async (tx) => {
      await insert(["a"], tx);
      await write(
        "update relay.deliveries set status = 'delivered', due_at = null where event_type = 'webhook.received'",
      );
      const settled = await write(SETTLE_LANES.text, id, ["a"]);
      expect(settled.rows).toEqual([{ written: 0 }]);
      expect(await new Backlog(scene.database, id, new Payloads()).next(1)).toBeNull();
      throw new Error("roll back");
    });
    await expect(undone).rejects.toThrow("roll back");
    expect(await keys()).toEqual([{ lane: "a", due: true }]);
    expect(await new Backlog(scene.database, id, new Payloads()).next(16)).toBeNull();
    expect(await keys()).toEqual([]);
  });

  it("is due by its earliest delivery also when that is inserted after a later one has failed", async () => {
    await laneOf("a");
    expect(await keys()).toEqual([{ lane: "a", due: false }]);
    await write(
      `insert into relay.deliveries (seq, id, destination_id, event_id, event_type, lane, route_id, route_version, form, due_at)
      overriding system value
      values (-1, gen_random_uuid(), $1, gen_random_uuid(), 'item.updated', 'a', 'rte_x', 1, 'event', now())`,
      id,
    );
    expect(await keys()).toEqual([{ lane: "a", due: true }]);
    expect(await wrong()).toEqual([]);
  });

  it("keeps its time through hundreds of random changes made by several writers at once", async () => {
    const lanes = ["a", "b", "c", "d"];
    const some = () => lanes.filter(() => Math.random() < 0.5).toSorted(() => Math.random() - 0.5);
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
        await scene.database.transaction(async (tx) => {
          if (Math.random() < 0.5) await insert(some(), tx);
          if (Math.random() < 0.5) await insert(some(), tx);
          else await tx.query(`update relay.deliveries ${change} and lane = any ($1) and random() < 0.3`, [some()]);
        });
      }
    };
    await Promise.all([writer(), writer(), writer(), writer(), writer(), writer()]);
    expect(await wrong()).toEqual([]);
    await settleAll();
    const { rows } =
      await write(`select lane from relay.ordering_keys k where due_at <> (select due_at from relay.deliveries r
      where r.lane = k.lane and r.status = 'scheduled' order by seq limit 1)`);
    expect(rows).toEqual([]);
  });
});
