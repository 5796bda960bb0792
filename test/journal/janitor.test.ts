import { describe, expect, test } from "vitest";
import { systemClock, type Clock } from "../../src/clock.ts";
import type { Database, Queryable } from "../../src/database/types.ts";
import { openDatabase } from "../../src/database/pool.ts";
import { append } from "../../src/journal/append.ts";
import { newUuid } from "../../src/model/ids.ts";
import { startJanitor, tidy } from "../../src/journal/janitor.ts";
import { pruneRuns } from "../../src/sync/prune.ts";
import { silentLogger as logger } from "../../src/logger.ts";
import { testDatabase } from "../support/database.ts";
import { proof, webhook } from "../support/webhook.ts";
import { journaled } from "./support.ts";

const DAY = 24 * 60 * 60_000;
const daysAgo = (days: number): Date => new Date(Date.now() - days * DAY);

async function partitions(q: Queryable, of: string): Promise<string[]> {
  const { rows } = await q.query<{ name: string }>(
    "select c.relname as name from pg_inherits i join pg_class c on c.oid = inhrelid where inhparent = $1::regclass order by 1",
    [of],
  );
  return rows.map(({ name }) => name);
}

/** Makes every look at a week take so many seconds; then it finds nothing. */
const slowLooks = async (q: Queryable, seconds: number): Promise<void> =>
  void (await q.query(
    `create or replace function journal.has_unprocessed(week regclass) returns boolean
     language plpgsql as $$ begin perform pg_sleep(${seconds}); return false; end $$`,
  ));

/** `database`, whose statements may not take longer than `limitMs` where they are patient. */
function shortOfTime(database: Database, limitMs: number): Database {
  return {
    query: (statement, values) => database.query(statement, values),
    transaction: (work, kind) =>
      database.transaction(async (tx) => {
        await tx.query(`set local statement_timeout = ${limitMs}`);
        return await work(tx);
      }, kind),
    listen: (channel, onNotify) => database.listen(channel, onNotify),
    [Symbol.asyncDispose]: async () => undefined,
  };
}

async function homes(q: Queryable, table = "journal.webhooks"): Promise<string[]> {
  const { rows } = await q.query<{ home: string }>(`select tableoid::regclass::text as home from ${table} order by 1`);
  return rows.map(({ home }) => home.replace("journal.", ""));
}

const weeks = async (q: Queryable): Promise<string[]> =>
  (await partitions(q, "journal.webhooks")).filter((name) => /w\d\d$/.test(name)).map((name) => `journal.${name}`);

/** Marks webhooks as served and dispatched, as when all work is done. */
async function finishWork(q: Queryable): Promise<void> {
  await q.query("update journal.webhooks set processed_at = now()");
  await q.query("update events.outbox set position = nextval('events.positions') where position is null");
}

describe("the janitor", () => {
  test("partitions for the coming weeks exist once, however often and by however many processes they are made", async () => {
    await using db = await testDatabase();
    await using other = await openDatabase({ url: db.url, poolSize: 4, applicationName: "other", logger });
    await db.database.query("drop table " + (await weeks(db.database)).slice(-2).join(", "));
    await Promise.all(
      [db.database, other, db.database, other].map((database) =>
        tidy({ database, logger, clock: systemClock, retentionDays: 0, neededBy: [] }),
      ),
    );
    expect((await weeks(db.database)).length).toBeGreaterThanOrEqual(6);
    const days = await partitions(db.database, "journal.accepted_tokens");
    expect(days.length).toBeGreaterThanOrEqual(10);
    await append(db.database, [webhook({ receivedAt: daysAgo(-25) })]);
    expect((await homes(db.database))[0]).toMatch(/^webhooks_\d{4}w\d\d$/);
  });

  test("webhooks and tokens without a partition are kept, and move when their partition is made", async () => {
    await using db = await testDatabase();
    const far = daysAgo(-200);
    const old = daysAgo(300);
    const given = [far, old, new Date()].map((receivedAt) => webhook({ receivedAt, proof: proof(receivedAt) }));
    await append(db.database, given);
    expect(await homes(db.database)).toContain("webhooks_later");
    expect(await homes(db.database)).toContain("webhooks_earlier");
    for (const instant of [far, old]) await db.database.query("select journal.ensure_partitions($1)", [instant]);
    for (const home of await homes(db.database)) expect(home).toMatch(/^webhooks_\d{4}w\d\d$/);
    for (const home of await homes(db.database, "journal.accepted_tokens")) expect(home).not.toMatch(/default/);
    const again = given.map((one) => ({ ...one, id: newUuid() }));
    expect(await append(db.database, again)).toEqual(given.map(({ id }) => ({ id, duplicate: true })));
  });

  test("the week at the end of a year has one partition, in every calendar", async () => {
    await using db = await testDatabase();
    for (const instant of ["2026-12-28", "2027-01-01", "2027-01-04", "2025-12-31T23:59:59.999Z", "2026-02-28"]) {
      const receivedAt = new Date(instant);
      await db.database.query("select journal.ensure_partitions($1)", [receivedAt]);
      await append(db.database, [webhook({ receivedAt, proof: null })]);
    }
    for (const home of await homes(db.database)) expect(home).toMatch(/^webhooks_\d{4}w\d\d$/);
  });

  test("webhooks are deleted in whole weeks, once the whole week is older than the retention", async () => {
    await using db = await testDatabase();
    await db.database.query("select journal.ensure_partitions($1)", [daysAgo(70)]);
    const ages = [0, 1, 20, 29, 31, 45, 60, 70, 400];
    await append(
      db.database,
      ages.map((age) => webhook({ receivedAt: daysAgo(age), proof: null })),
    );
    await finishWork(db.database);
    await tidy({ database: db.database, logger, clock: systemClock, retentionDays: 30, neededBy: [] });
    const { rows } = await db.database.query<{ received_at: Date }>("select received_at from journal.webhooks");
    const kept = rows.map(({ received_at }) => Math.round((Date.now() - received_at.getTime()) / DAY));
    expect(kept).toEqual(expect.arrayContaining([0, 1, 20, 29]));
    expect(Math.max(...kept)).toBeLessThan(38);
    // What is older than all weeks still has room.
    await append(db.database, [webhook({ receivedAt: daysAgo(50), proof: null })]);
  });

  test("old weeks are deleted one by one, so that more of them than one statement has time for are deleted", async () => {
    await using db = await testDatabase();
    await db.database.query("select journal.make_weeks(date_trunc('week', $1::timestamptz, 'UTC'), now())", [
      daysAgo(66),
    ]);
    const count = async () => (await weeks(db.database)).length;
    const before = await count();
    await slowLooks(db.database, 1);
    const database = shortOfTime(db.database, 2500);
    await tidy({ database, logger, clock: systemClock, retentionDays: 30, neededBy: [] });
    expect(before - (await count())).toBeGreaterThanOrEqual(4);
  });

  test("a week that cannot be read within its limit does not prevent the deletion of the others", async () => {
    await using db = await testDatabase();
    const [oldest, young] = [daysAgo(66), daysAgo(40)];
    await db.database.query("select journal.make_weeks(date_trunc('week', $1::timestamptz, 'UTC'), now())", [oldest]);
    await append(db.database, [webhook({ receivedAt: oldest, proof: null }), webhook({ receivedAt: young })]);
    await finishWork(db.database);
    const [slow = ""] = await weeks(db.database);
    await db.database.query(
      `create or replace function journal.has_unprocessed(week regclass) returns boolean
       language plpgsql as $$ begin if week = '${slow}'::regclass then perform pg_sleep(300); end if; return false; end $$`,
    );
    const warnings: unknown[] = [];
    const listening = Object.assign(Object.create(logger), { warn: (_: unknown, text: string) => warnings.push(text) });
    const database = shortOfTime(db.database, 500);
    await tidy({ database, logger: listening, clock: systemClock, retentionDays: 30, neededBy: [] });
    expect(warnings).toEqual([expect.stringContaining("could not delete old webhooks")]);
    expect((await homes(db.database)).map((home) => `journal.${home}`)).toEqual([slow]);
  });

  test("a stop during the janitor's round cancels the running statement and ends the round", async () => {
    await using db = await testDatabase();
    await db.database.query("select journal.ensure_partitions($1)", [daysAgo(70)]);
    await slowLooks(db.database, 300);
    const warnings: unknown[] = [];
    const listening = Object.assign(Object.create(logger), { warn: (_: unknown, text: string) => warnings.push(text) });
    const janitor = await startJanitor({
      database: db.database,
      logger: listening,
      clock: systemClock,
      retentionDays: 30,
      neededBy: [],
    });
    const looks = async () =>
      (
        await db.database.query<{ n: number }>(
          `select count(*)::int as n from pg_stat_activity
           where datname = current_database() and wait_event = 'PgSleep'`,
        )
      ).rows[0]?.n;
    await expect.poll(looks, { timeout: 20_000 }).toBe(1);
    await janitor[Symbol.asyncDispose]();
    expect(await looks()).toBe(0);
    expect(warnings).toEqual([]);
  });

  test("refusals stay bounded, even while retention is suspended", async () => {
    await using db = await testDatabase();
    await db.database.query("insert into journal.refusals (reason) select 'r' || n from generate_series(1, 22000) n");
    const clock = { ...systemClock, now: () => Date.now() + 10 * 60_000 };
    await tidy({ database: db.database, logger, clock, retentionDays: 0, neededBy: [] });
    const { rows } = await db.database.query("select count(*)::int as n, max(id)::int as last from journal.refusals");
    expect(rows).toEqual([{ n: 10_000, last: 22_000 }]);
  });

  test("with a retention of 0 all webhooks are kept", async () => {
    await using db = await testDatabase();
    await append(db.database, [webhook({ receivedAt: daysAgo(4000), proof: null }), webhook()]);
    await tidy({ database: db.database, logger, clock: systemClock, retentionDays: 0, neededBy: [] });
    expect(await journaled(db.database)).toBe(2);
  });

  test("accepted tokens are kept for two days at least and then deleted", async () => {
    await using db = await testDatabase();
    await db.database.query("select journal.ensure_partitions($1)", [daysAgo(20)]);
    const given = [0, 1, 2, 10, 20, 600].map((age) =>
      webhook({ receivedAt: daysAgo(age), proof: proof(daysAgo(age)) }),
    );
    await append(db.database, given);
    await tidy({ database: db.database, logger, clock: systemClock, retentionDays: 0, neededBy: [] });
    const { rows } = await db.database.query<{ webhook_id: string }>("select webhook_id from journal.accepted_tokens");
    expect(new Set(rows.map(({ webhook_id }) => webhook_id))).toEqual(new Set(given.slice(0, 3).map(({ id }) => id)));
  });

  test("the janitor deletes refusals beyond their bound, and sync deletes old runs", async () => {
    await using db = await testDatabase();
    await db.database.query("insert into journal.refusals (reason) select 'r' || n from generate_series(1, 10050) n");
    const run = (days: number, n: number) =>
      db.database.query(
        `insert into sync.runs (id, integration_id, kind, subject_id, started_at, finished_at, outcome, webhooks, summary)
         select (substr(tartan.least_id_at($1)::text, 1, 24) || lpad(to_hex(n), 12, '0'))::uuid, 'svi', 'item', 'i', $1, $1, 'synced', 0, '{}'
         from generate_series(1, $2::int) n`,
        [daysAgo(days), n],
      );
    await run(31, 5500);
    await run(29, 3);
    const more = { "delete old runs": () => pruneRuns(db.database) };
    await tidy({ database: db.database, logger, clock: systemClock, retentionDays: 0, neededBy: [], more });
    const count = async (table: string) =>
      (await db.database.query<{ n: number }>(`select count(*) as n from ${table}`)).rows[0]?.n;
    expect(await count("journal.refusals")).toBe(10_000);
    expect(await count("sync.runs")).toBe(3);
  });

  test("a long query on the journal delays neither the janitor nor the intake", async () => {
    await using db = await testDatabase();
    const warnings: string[] = [];
    const listening = Object.assign(Object.create(logger), { warn: (_: unknown, text: string) => warnings.push(text) });
    const round = () =>
      tidy({ database: db.database, logger: listening, clock: systemClock, retentionDays: 0, neededBy: [] });
    await db.database.query("drop table " + (await weeks(db.database)).slice(-2).join(", "));
    await db.database.transaction(async (tx) => {
      await tx.query("select * from journal.webhooks limit 1");
      await round();
    });
    expect(warnings).toEqual([expect.stringContaining("partitions")]);
    await append(db.database, [webhook()]);
    await round();
    expect(warnings).toHaveLength(1);
  });

  test("the janitor works at once and every hour, until it is disposed", async () => {
    await using db = await testDatabase();
    const slept: number[] = [];
    let wake: () => void = () => undefined;
    const clock: Clock = {
      now: () => Date.now(),
      sleep: (ms, signal) =>
        new Promise((resolve) => {
          slept.push(ms);
          wake = resolve;
          signal?.addEventListener("abort", () => resolve());
        }),
    };
    const janitor = await startJanitor({ database: db.database, logger, clock, retentionDays: 0, neededBy: [] });
    await db.database.query("drop table " + (await weeks(db.database)).slice(-2).join(", "));
    while (slept.length < 1) await systemClock.sleep(10);
    wake();
    while (slept.length < 2) await systemClock.sleep(10);
    expect((await weeks(db.database)).length).toBeGreaterThanOrEqual(6);
    expect(slept).toEqual([3_600_000, 3_600_000]);
    await janitor[Symbol.asyncDispose]();
  });
});
