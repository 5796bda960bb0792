/** Backfills and checks of many items: what they read, how they fail, and that what webhooks made due goes first. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { requestBackfill } from "../../src/sync/followed.ts";
import { unlinkItem } from "../../src/lifecycle/items.ts";
import { expectMirrorEqualsTruth, expectRowsEqualTruth } from "../support/oracle.ts";
import { until } from "../support/until.ts";
import { startWorld, type Item, type Json, type World } from "../support/world/index.ts";
import { refusingAfter } from "../sync/loop-support.ts";
import type { Context } from "../../src/fleet/kind.ts";
import { room } from "../../src/fleet/kinds/reading.ts";
import { startFleetOf, type FleetWorld } from "./support.ts";

let world: World<"sync" | "api">;
beforeAll(async () => {
  world = await startWorld({ sync: {}, api: {} });
  world.simulator.control.addFault({ kind: "drop_webhooks" });
});
afterAll(() => world[Symbol.asyncDispose]());

type Options = Parameters<World<"sync">["sync"]["start"]>[0];

/** Items that were read, of a user of their own. */
async function made(count: number, user: string, transactions = 4, products = ["transactions"]): Promise<Item[]> {
  const items = world.integration.makeItems(count, transactions, { products });
  for (const item of items) await world.integration.link(item);
  const ids = items.map(({ item_id }) => item_id);
  await world.database.query("update tartan.items set user_id = $2 where item_id = any ($1)", [ids, user]);
  await using worker = await world.sync.start();
  await worker.idle();
  return items;
}

async function post(path: string, body: object): Promise<Json> {
  const answer = await world.api.call(`POST ${path}`, { body: { per_minute: 60_000, ...body } });
  if (answer.status !== 202 && answer.status !== 200) throw new Error(answer.text);
  return answer.body;
}

const jobOf = async (id: string): Promise<Json> => (await world.api.call(`GET /v1/jobs/${id}`)).body;

async function done({ id }: Json, options: Options = {}): Promise<Json> {
  await using _fleet = await startFleetOf(world as unknown as FleetWorld);
  await using _worker = await world.sync.start(options);
  await until(`the end of ${id}`, async () => (await jobOf(id)).status === "done");
  return await jobOf(id);
}

/** A row of the item that only a reading of everything corrects. */
const spoil = ({ item_id }: Item) =>
  world.database.query(
    `update plaid.transactions set name = 'wrong', raw = raw || '{"name": "wrong"}'
     where ctid = (select ctid from plaid.transactions where item_id = $1 limit 1)`,
    [item_id],
  );

interface Run {
  item: string;
  began: number;
  ended: number;
}
/** The runs of these items that began at a time or later, in their order. */
async function runsOf(items: readonly Item[], since: Date): Promise<Run[]> {
  const { rows } = await world.database.query<Run>(
    `select subject_id as item, extract(epoch from started_at)::float8 as began, extract(epoch from finished_at)::float8 as ended
     from sync.runs where kind = 'item' and subject_id = any ($1) and started_at >= $2 order by started_at`,
    [items.map(({ item_id }) => item_id), since],
  );
  return rows;
}

const now = async (): Promise<Date> =>
  (await world.database.query<{ at: Date }>("select now() as at")).rows[0]?.at as Date;

describe("backfills", () => {
  it("a backfill reads every item of a user again from the start, one at a time where sync works on four", async () => {
    const items = await made(4, "all-again");
    for (const item of items) await spoil(item);
    const since = await now();
    expect(await post("/v1/backfills", { user_id: "all-again", dry_run: true })).toEqual({ count: 4 });
    const job = await done(await post("/v1/backfills", { user_id: "all-again", reason: "a restored backup" }));
    expect(job).toMatchObject({ kind: "backfill", total: 4, done: 4, changed: 4, failed: 0, states: { read: 4 } });
    for (const { item_id } of items) await expectRowsEqualTruth(world.database, world.simulator, item_id);
    const runs = await runsOf(items, since);
    expect(runs).toHaveLength(4);
    for (const [n, run] of runs.entries()) expect(run.began).toBeGreaterThanOrEqual(runs[n - 1]?.ended ?? 0);
  });

  it("a backfill of a range of time reads what the webhooks of that time touch, and only items that had some", async () => {
    const [touched, other, quiet] = (await made(3, "range")) as [Item, Item, Item];
    await using worker = await world.sync.start();
    const early = await now();
    await world.sync.notify(touched.item_id, "SYNC_UPDATES_AVAILABLE");
    await world.sync.notify(other.item_id, "WEBHOOK_UPDATE_ACKNOWLEDGED_BY_NOBODY", "NOBODY_KNOWS");
    await worker.idle();
    await worker[Symbol.asyncDispose]();
    const range = { user_id: "range", from: early.toISOString() };
    expect(
      await post("/v1/backfills", {
        user_id: "range",
        mode: "webhooks",
        from: new Date(+early - 1).toISOString(),
        to: early.toISOString(),
        dry_run: true,
      }),
    ).toEqual({ count: 0 });
    const asked = () => ["/transactions/sync", "/accounts/get"].map((endpoint) => world.simulator.asked(endpoint));
    const [transactions = 0, accounts = 0] = asked();
    world.simulator.control.changeTransactions(touched.item_id, { add: 2 });
    const job = await done(await post("/v1/backfills", { ...range, mode: "webhooks" }));
    expect(job).toMatchObject({ total: 2, states: { read: 1, skipped: 1 }, changed: 1 });
    expect(asked()[0]).toBe(transactions + 1);
    expect(asked()[1]).toBeLessThanOrEqual(accounts + 1);
    await expectMirrorEqualsTruth(world.database, world.simulator, touched.item_id);
    const members = await world.api.call(`GET /v1/jobs/${job.id}/members?state=skipped`);
    expect(members.body.data).toMatchObject([{ item_id: other.item_id }]);
    expect(quiet.item_id).not.toBe(other.item_id);
    // What Tartan found itself: a webhook out of Plaid's list is one of Plaid's, and what a check found is none.
    const countedWith = async (code: string) => {
      await world.database.query(
        `insert into journal.webhooks (id, integration_id, source, item_id, webhook_type, webhook_code, received_at, body, processed_at)
        values (tartan.new_id(now(), 1), $1, 'RECONCILER', $2, 'TRANSACTIONS', $3, now(), '', now())`,
        [world.integration.id, quiet.item_id, code],
      );
      return await post("/v1/backfills", { ...range, mode: "webhooks", dry_run: true });
    };
    expect(await countedWith("GAP_FOUND")).toEqual({ count: 2 });
    expect(await countedWith("SYNC_UPDATES_AVAILABLE")).toEqual({ count: 3 });
  });

  it("items that cannot be read fail with Plaid's reason, are tried again on request, and delay no other", async () => {
    const [sick, gone, well] = (await made(3, "failing")) as [Item, Item, Item];
    world.simulator.control.addFault({ kind: "login_required", item_id: sick.item_id, count: 4 });
    const started = await post("/v1/backfills", { item_ids: [sick, gone, well].map(({ item_id }) => item_id) });
    await unlinkItem(world.database, world.integration.id, gone.item_id);
    const job = await done(started);
    expect(job.states).toEqual({ read: 1, failed: 2 });
    expect(job.failures.map(({ cause, items }: Json) => [cause, items])).toEqual([
      ["ITEM_LOGIN_REQUIRED", 1],
      ["unlinked", 1],
    ]);
    expect(job.failures[0].next_step).toContain("update mode");
  });

  it("a backfill whose pages have to wait for Plaid's limit ends when a later run has read the rest", async () => {
    const [item] = (await made(1, "long", 1700)) as [Item];
    await spoil(item);
    const started = await post("/v1/backfills", { item_ids: [item.item_id] });
    const { clientFor } = refusingAfter(2);
    await using _fleet = await startFleetOf(world as unknown as FleetWorld);
    await using worker = await world.sync.start({ clientFor, delays: { retryMs: 3_600_000, retryMaxMs: 3_600_000 } });
    await until("the wait", async () => (await world.sync.subject(item.item_id)).attempts > 0);
    expect((await world.sync.subject(item.item_id)).claimed).toContain("backfill");
    expect(await jobOf(started.id)).toMatchObject({ status: "running", done: 0 });
    await worker[Symbol.asyncDispose]();
    await world.database.query("delete from sync.rate_limits");
    await world.sync.hurry();
    expect((await done(started)).states).toEqual({ read: 1 });
    await expectRowsEqualTruth(world.database, world.simulator, item.item_id);
  });

  it("a process that died behind the request of an item leaves it to the next one, which reads it and loses no other", async () => {
    const items = await made(2, "killed");
    for (const item of items) await spoil(item);
    const job = await post("/v1/backfills", { user_id: "killed" });
    // What a process did that was killed before it stored the outcome, and whose lease goes on.
    await requestBackfill(world.database, {
      integrationId: world.integration.id,
      kind: "item",
      id: items[0]?.item_id ?? "",
      requested: ["*:full"],
    });
    await world.database.query(
      "update fleet.jobs set fence = fence + 1, lease_until = now() + interval '1 second' where id = $1",
      [job.id],
    );
    expect((await done(job)).states).toEqual({ read: 2 });
    for (const { item_id } of items) await expectRowsEqualTruth(world.database, world.simulator, item_id);
  });

  it("a paused backfill begins with no item, goes on when it is resumed, and ends when it is cancelled", async () => {
    const items = await made(2, "paused");
    const { id } = await post("/v1/backfills", { user_id: "paused" });
    await world.api.call(`POST /v1/jobs/${id}/pause`, { body: {} });
    const since = await now();
    const other = await post("/v1/checks", { item_ids: [items[0]?.item_id] });
    // The check is begun after the backfill would have been.
    await done(other);
    expect(await jobOf(id)).toMatchObject({ status: "paused", done: 0, states: { pending: 2 } });
    await world.api.call(`POST /v1/jobs/${id}/resume`, { body: {} });
    expect((await done({ id })).states).toEqual({ read: 2 });
    const third = await post("/v1/backfills", { user_id: "paused" });
    const cancelled = await world.api.call(`POST /v1/jobs/${third.id}/cancel`, { body: { reason: "no need" } });
    expect(cancelled.body).toMatchObject({ status: "cancelled", done: 0 });
    expect(await runsOf(items, since)).toHaveLength(3);
  });
});

describe("beside webhooks", () => {
  const WEBHOOKS = 16;
  /** Sync works on so many at once, and a quarter of that is one. */
  const CONCURRENCY = 4;

  it("while more webhooks wait than sync works on at once, a backfill that is under way begins with no further item", async () => {
    const filled = await made(8, "filled", 1);
    const urgent = await made(WEBHOOKS, "urgent", 1);
    const job = await post("/v1/backfills", { user_id: "filled" });
    await using _fleet = await startFleetOf(world as unknown as FleetWorld, { syncConcurrency: CONCURRENCY });
    const worker = await world.sync.start({ concurrency: CONCURRENCY });
    await until("some of the backfill", async () => (await jobOf(job.id)).done >= 2);
    await worker[Symbol.asyncDispose]();
    for (const { item_id } of urgent) await world.sync.notify(item_id);
    const since = await now();
    await using _again = await world.sync.start({ concurrency: CONCURRENCY });
    await until("the end of the backfill", async () => (await jobOf(job.id)).status === "done");
    const webhooks = await runsOf(urgent, since);
    expect(webhooks).toHaveLength(WEBHOOKS);
    // By then no more wait than sync works on at once.
    const last = webhooks.at(-1 - CONCURRENCY)?.began ?? 0;
    const ahead = (await runsOf(filled, since)).filter(({ began }) => began < last);
    expect(ahead.length).toBeLessThanOrEqual(1);
  });
});

describe("how many items may be begun", () => {
  const among = (syncConcurrency: number, unfinished: number, integrationId: string | null = null): Promise<number> =>
    room(
      { database: world.database, job: { id: "job_none", integrationId }, syncConcurrency } as unknown as Context,
      unfinished,
    );

  it("backfills and checks begin a quarter of sync's concurrency at once, one at least, all jobs together", async () => {
    expect(await Promise.all([among(16, 0), among(16, 3), among(16, 4), among(1, 0), among(1, 1)])).toEqual([
      4, 1, 0, 1, 0,
    ]);
    const { id } = await post("/v1/backfills", { user_id: "filled" });
    await world.database.query(
      "update fleet.members set phase = 'outstanding', state = 'reading' where job_id = $1 and n <= 3",
      [id],
    );
    expect(await among(16, 0)).toBe(1);
    await world.api.call(`POST /v1/jobs/${id}/cancel`, { body: {} });
    expect(await among(16, 0)).toBe(4);
  });

  it("backfills and checks begin nothing while more waits than a process works on at once, or while half of a limit is used up", async () => {
    const wait = (count: number) =>
      world.database.query(
        `insert into sync.subjects (integration_id, kind, id, due_at) select $1, 'item', 'waits' || n, now() from generate_series(1, $2) n
         on conflict do nothing`,
        [world.integration.id, count],
      );
    await wait(16);
    expect(await among(16, 0)).toBe(4);
    await wait(17);
    expect(await among(16, 0)).toBe(0);
    expect(await among(16, 1)).toBe(3);
    await world.database.query("delete from sync.subjects where id like 'waits%'");
    await world.database.query("delete from sync.rate_limits");
    await world.database.query(
      `insert into sync.rate_limits (key, arrival, step, burst) values ($1, now() + interval '40 minutes', '1 s', '1 hour')
       on conflict (key) do update set arrival = excluded.arrival, burst = excluded.burst`,
      [`/transactions/sync ${world.integration.id}`],
    );
    expect([await among(16, 0), await among(16, 0, world.integration.id)]).toEqual([0, 0]);
    // The limits of one integration do not hold up the jobs of another.
    expect(await among(16, 0, "svi_another")).toBe(4);
    await world.database.query(
      "update sync.rate_limits set arrival = now() + interval '20 minutes' where burst = '1 hour'",
    );
    expect(await among(16, 0)).toBe(4);
    await world.database.query("delete from sync.rate_limits");
  });
});

describe("checks", () => {
  it("a check of all items of an integration finds the one that is wrong, heals it and names it", async () => {
    await world.database.query("update sync.cursors set verified_at = verified_at + interval '1 hour'");
    const items = await made(3, "checked");
    await world.database.query(
      "update plaid.transactions set amount = amount + 1 where ctid = (select ctid from plaid.transactions where item_id = $1 limit 1)",
      [items[1]?.item_id],
    );
    const { count } = await post("/v1/checks", { integration_id: world.integration.id, dry_run: true });
    expect(count).toBeGreaterThan(3);
    const job = await done(await post("/v1/checks", { user_id: "checked" }));
    expect(job).toMatchObject({ kind: "check", states: { equal: 2, differs: 1 }, changed: 1 });
    const { body } = await world.api.call(`GET /v1/jobs/${job.id}/members?state=differs`);
    expect(body.data).toMatchObject([{ item_id: items[1]?.item_id, details: { wrong: 1, tables: ["transactions"] } }]);
    await expectRowsEqualTruth(world.database, world.simulator, items[1]?.item_id ?? "");
  });

  it("a check whose process dies before it stored what the check found still says that rows were wrong", async () => {
    const [item] = (await made(1, "checked-and-killed")) as [Item];
    await world.database.query("update plaid.transactions set amount = amount + 1 where item_id = $1", [item.item_id]);
    const job = await done(await post("/v1/checks", { item_ids: [item.item_id] }));
    expect(job).toMatchObject({ states: { differs: 1 } });
    // As it is in the tables when the process is killed behind the end of the check's run.
    await world.database.query("update fleet.jobs set status = 'running', finished_at = null where id = $1", [job.id]);
    await world.database.query(
      "update fleet.members set state = 'pending', phase = 'queued', details = details - 'wrong' - 'tables' where job_id = $1",
      [job.id],
    );
    const since = await now();
    expect(await done(job)).toMatchObject({ states: { differs: 1 } });
    expect(await runsOf([item], since)).toEqual([]);
  });
});
