/** What runs tell: the rows that changed, in parts and marked as history, with the run or not at all. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { introduceItem } from "../support/link.ts";
import { EVENT_TYPES } from "../../src/events/event-types.ts";
import { changeType, RESOURCES, resourcesOf } from "../../src/resources/index.ts";
import { commitRun } from "../../src/sync/commit.ts";
import type { Ending } from "../../src/sync/ending.ts";
import { claim } from "../../src/sync/queue.ts";
import { expectEventsTellTheMirror, expectMirrorEqualsTruth } from "../support/oracle.ts";
import { openEventReader, typesOf, type EventReader } from "./event-reader.ts";
import { startWorld, type World } from "../support/world/index.ts";
import { until } from "../support/until.ts";

let world: World<"sync">;
let reader: EventReader;
beforeAll(async () => {
  world = await startWorld({ sync: {} });
  reader = openEventReader(world);
});
afterAll(() => world[Symbol.asyncDispose]());

const eventsOf: EventReader["eventsOf"] = (...args) => reader.eventsOf(...args);
const work: EventReader["work"] = (...args) => reader.work(...args);
const change: EventReader["change"] = (...args) => reader.change(...args);

describe("a first sync", () => {
  it("a first sync records the events item.linked, the item's rows as history, and sync.completed", async () => {
    const [item] = world.integration.makeItems(1, 150);
    if (!item) throw new Error("no item");
    await introduceItem(world, { integration_id: world.integration.id, ...item, user_id: "user-7" });
    await work();
    const events = await eventsOf(item.item_id);
    expect([...new Set(typesOf(events))]).toEqual([
      "item.linked",
      "accounts.changed",
      "transactions.changed",
      "sync.completed",
    ]);
    for (const event of events) {
      const integration_id = world.integration.id;
      expect(event).toMatchObject({ integration_id, environment: "sandbox", user_id: "user-7", version: 1 });
      expect(event.history).toBe(event.type.endsWith(".changed"));
    }
    expect(events[0]?.data).toEqual({ created: true });
    const { rows } = await world.database.query<{ id: string }>("select id from sync.runs where subject_id = $1", [
      item.item_id,
    ]);
    expect(events.at(-1)?.data).toMatchObject({
      run_id: rows[0]?.id,
      outcome: "synced",
      webhooks: 1,
      update_info: { total_transactions: 150, counts: { transactions: { added: 150 } } },
    });
    await expectMirrorEqualsTruth(world.database, world.simulator, item.item_id);
  });

  it("the events of a run are one row of the outbox", async () => {
    const item = await world.sync.synced(120);
    const { rows } = await world.database.query<{ types: string[] }>(
      `select array_agg(distinct e.type) as types from events.outbox o join events.events e on e.id = any (o.events)
       where e.item_id = $1 group by o.id order by o.id`,
      [item.item_id],
    );
    expect(rows.map(({ types }) => types)).toEqual([
      ["item.linked"],
      ["accounts.changed", "sync.completed", "transactions.changed"],
    ]);
  });
});

describe("changed rows", () => {
  it("an event of changed rows holds the rows themselves: added, modified, and removed ones as they last were", async () => {
    const item = await world.sync.synced(30);
    const events = await change(item, { add: 4, modify: 3, remove: 2 });
    const [event] = events.filter(({ type }) => type === "transactions.changed");
    expect(event).toMatchObject({
      history: false,
      data: { part: 1, parts: 1, counts: { added: 4, modified: 3, removed: 2 } },
    });
    const { added, modified, removed } = (event?.data ?? {}) as Record<string, Record<string, unknown>[]>;
    expect([added?.length, modified?.length, removed?.length]).toEqual([4, 3, 2]);
    for (const row of [...(added ?? []), ...(modified ?? []), ...(removed ?? [])]) {
      expect(row).toMatchObject({ transaction_id: expect.any(String), amount: expect.any(Number) });
    }
    await expectMirrorEqualsTruth(world.database, world.simulator, item.item_id);
  });

  it("changed rows come in numbered parts of a hundred rows and 100 kB at most", async () => {
    const item = await world.sync.synced(10);
    for (const add of [450, 2600]) {
      const events = (await change(item, { add })).filter(({ type }) => type === "transactions.changed");
      const parts = events.map(({ data }) => data as { part: number; parts: number; added: unknown[] });
      expect(parts.map(({ part }) => part)).toEqual(parts.map((_, index) => index + 1));
      expect(new Set(parts.map((each) => each.parts))).toEqual(new Set([parts.length]));
      expect(parts.reduce((sum, { added }) => sum + added.length, 0)).toBe(add);
      expect(Math.max(...parts.map(({ added }) => added.length))).toBeLessThanOrEqual(100);
      expect(Math.max(...events.map(({ text }) => Buffer.byteLength(text)))).toBeLessThan(100_000);
      // Few receivers like many small ones.
      expect(parts.length).toBeLessThan(add / 30);
    }
    await expectMirrorEqualsTruth(world.database, world.simulator, item.item_id);
  });

  it("a run that changes nothing records no event of changed rows", async () => {
    const item = await world.sync.synced(5);
    expect(typesOf(await change(item, {}))).toEqual(["sync.completed"]);
  });

  it("a reading from the start records only rows that differ, and not as history", async () => {
    const item = await world.sync.synced(40);
    world.simulator.control.changeTransactions(item.item_id, { add: 1, remove: 1, webhooks: false });
    const before = (await eventsOf(item.item_id)).length;
    await world.database.query("update sync.subjects set requested = '{*:full}', due_at = now() where id = $1", [
      item.item_id,
    ]);
    await work();
    const [event] = (await eventsOf(item.item_id, before)).filter(({ type }) => type === "transactions.changed");
    expect(event).toMatchObject({ history: false, data: { counts: { added: 1, modified: 0, removed: 1 } } });
    await expectMirrorEqualsTruth(world.database, world.simulator, item.item_id);
  });
});

describe("history", () => {
  it("rows are history until Plaid says that the history is complete", async () => {
    const [item] = world.integration.makeItems(1, 300, { ready: false, days: 300 });
    if (!item) throw new Error("no item");
    await world.integration.link(item);
    const worker = await world.sync.start();
    await worker.idle();
    const { control } = world.simulator;
    const flags = async () =>
      (await eventsOf(item.item_id))
        .filter(({ type }) => type === "transactions.changed")
        .map(({ history }) => history);
    const rowsOf = async () =>
      (await world.database.query("select from plaid.transactions where item_id = $1", [item.item_id])).rowCount;
    expect(await flags()).toEqual([]);
    for (let step = 0; step < 60 && (await rowsOf()) < 300; step += 1) {
      await control.advanceClock({ advance_s: 1 });
      await world.sync.notify(item.item_id);
      await worker.idle({ retries: true });
    }
    const first = await flags();
    expect(first.length).toBeGreaterThan(1);
    expect(new Set(first)).toEqual(new Set([true]));
    await worker[Symbol.asyncDispose]();
    const news = await change(item, { add: 2 });
    expect(news.filter(({ type }) => type === "transactions.changed").map(({ history }) => history)).toEqual([false]);
    await expectMirrorEqualsTruth(world.database, world.simulator, item.item_id);
  });

  it("what the first reading of a payment finds is news, and what that of the transfer ledger finds is history", async () => {
    const { records } = world.simulator.control;
    const [payment] = records.create("payment", { webhooks: false }).records;
    records.create("transfer", { webhooks: false });
    const payments = { kind: "payment", id: payment?.id ?? "" };
    await world.sync.notifyOf(payments, "PAYMENT_INITIATION", "PAYMENT_STATUS_UPDATE");
    await world.sync.notifyOf({ kind: "transfer_ledger", id: "all" }, "TRANSFER", "TRANSFER_EVENTS_UPDATE");
    await work();
    const { rows } = await world.database.query<{ type: string; history: boolean }>(
      "select type, history from events.events where type in ('payments.changed', 'transfer_events.changed') order by type",
    );
    expect(rows).toEqual([
      { type: "payments.changed", history: false },
      { type: "transfer_events.changed", history: true },
    ]);
  });

  it("rows of a resource that was read before events existed are not history", async () => {
    const item = await world.sync.synced(3);
    const { rows } = await world.database.query("select complete from sync.cursors where id = $1 and absent is null", [
      item.item_id,
    ]);
    expect(new Set(rows.map((row) => row["complete"]))).toEqual(new Set([true]));
  });
});

describe("an event", () => {
  it("sync sends a notification about a run's events after the commit", async () => {
    const item = await world.sync.synced(1);
    let notified = 0;
    await using _ = await world.database.listen("tartan_outbox", () => (notified += 1));
    await world.database.query("update sync.subjects set requested = '{*}', due_at = now() where id = $1", [
      item.item_id,
    ]);
    await work();
    await until("a notification", () => notified > 0);
  });

  it("a run that lost its lease or could not commit leaves no event", async () => {
    const item = await world.sync.synced(3);
    const before = await eventsOf(item.item_id);
    const ending = async (): Promise<Ending> => {
      await world.database.query("update sync.subjects set due_at = now() where id = $1", [item.item_id]);
      const [claimed] = await claim(world.database, "", 1, 30);
      if (!claimed) throw new Error("nothing was due");
      const [, , transactions] = resourcesOf("item");
      if (!transactions) throw new Error("no resource");
      const task = { resource: transactions, full: false, explicit: true };
      const text = '{"added":[{"transaction_id":"new"}],"modified":[],"removed":[]}';
      return {
        claim: claimed,
        scope: { ...claimed, subjectId: claimed.id, facts: { user_id: null } },
        environment: "sandbox",
        enabled: [],
        outcomes: [
          {
            task,
            read: { resource: transactions, pages: [{ text, rows: true, removals: false }], whole: false },
            cursor: "c",
            root: null,
            complete: true,
          },
        ],
        decision: {
          outcome: "synced",
          status: "ok",
          attempts: 0,
          dueInMs: null,
          holdMs: null,
          pending: [],
          retried: new Set(),
          error: null,
          gone: false,
        },
        loops: new Map(),
        notices: { open: [], repairs: [] },
        early: [],
        statuses: new Map(),
        unconfirmed: null,
        webhooks: [],
        served: [],
        idle: [],
        announcements: new Map(),
        erasesRevoked: false,
        tookMs: () => 1,
      };
    };
    const lost = await ending();
    await world.database.query("update sync.subjects set lease_token = gen_random_uuid() where id = $1", [
      item.item_id,
    ]);
    await expect(commitRun(world.database, lost)).rejects.toMatchObject({ code: "lease_lost" });
    await world.database.query("update sync.subjects set lease_token = null where id = $1", [item.item_id]);
    // The lease goes while the run is being written, after its events were.
    const late = await ending();
    const { database } = world;
    const cut = commitRun(
      {
        ...database,
        query: (...args) => database.query(...args),
        listen: (...args) => database.listen(...args),
        transaction: (write) =>
          database.transaction((tx) =>
            write({
              query: async (statement, values) => {
                if (typeof statement === "object" && statement.name === "sync_lock") return { rows: [], rowCount: 0 };
                return await tx.query(statement, values);
              },
            }),
          ),
      },
      late,
    );
    await expect(cut).rejects.toMatchObject({ code: "lease_lost" });
    expect(await eventsOf(item.item_id)).toEqual(before);
    await expectEventsTellTheMirror(world.database, item.item_id);
    await world.database.query("update sync.subjects set lease_token = null, due_at = null where id = $1", [
      item.item_id,
    ]);
  });
});

it("every event that a resource records has a known type", () => {
  const tables = RESOURCES.flatMap(({ tables }) => tables.filter(({ event }) => event));
  expect(tables.map(changeType)).toEqual(expect.arrayContaining(["accounts.changed", "transactions.changed"]));
  for (const table of tables) expect(EVENT_TYPES).toHaveProperty([changeType(table)]);
});
