/** Everything works through a transaction-mode pooler with strict settings, a real PgBouncer. */
import { randomBytes } from "node:crypto";
import { Client } from "pg";
import { describe, expect, test } from "vitest";
import { factsOf, openDatabase, urgent, urlOf } from "../../src/database/pool.ts";
import { migrate } from "../../src/database/migrate.ts";
import { openReadiness } from "../../src/database/readiness.ts";
import type { Database } from "../../src/database/types.ts";
import { createIntegration } from "../../src/integrations/integrations.ts";
import { introduceItem } from "../support/link.ts";
import { openVault } from "../../src/integrations/vault.ts";
import { openWebhookIntake } from "../support/intake.ts";
import { silentLogger as logger } from "../../src/logger.ts";
import { Dispatcher } from "../../src/relay/dispatch/dispatcher.ts";
import { maintain, testDatabase, type TestDatabase } from "../support/database.ts";
import { hasPgBouncer, orSkipped, startPgBouncer } from "../support/pgbouncer.ts";
import { webhook } from "../support/webhook.ts";

interface Pooled extends TestDatabase {
  pooled: Database;
  pooledUrl: string;
}

async function openPooled({ direct = false, empty = false } = {}): Promise<Pooled> {
  const it = await testDatabase({ empty });
  const pooler = await startPgBouncer(it.url);
  const directUrl = direct ? it.url : undefined;
  const pooled = await openDatabase({ url: pooler.url, directUrl, poolSize: 8, applicationName: "pooled", logger });
  return {
    ...it,
    pooled,
    pooledUrl: pooler.url,
    [Symbol.asyncDispose]: async () => {
      await pooled[Symbol.asyncDispose]();
      await pooler[Symbol.asyncDispose]();
      await it[Symbol.asyncDispose]();
    },
  };
}

const SETTINGS = `
  select '2024-02-29'::date as day, '2024-02-29T10:00:00Z'::timestamptz as instant,
    '2024-02-29T23:00:00Z'::timestamptz::date as utc, interval '1 day 2 hours'::text as span,
    current_setting('statement_timeout') as statement_timeout, current_setting('synchronous_commit') as durable`;

/** Other clients that keep all connections of a pooler with two in use, until they are disposed. */
async function crowd(url: string, direct: Database): Promise<AsyncDisposable> {
  const strangers = [1, 2].map(() => new Client(url));
  for (const stranger of strangers) stranger.on("error", () => undefined);
  await Promise.all(strangers.map((stranger) => stranger.connect()));
  const ends = strangers.map((stranger) => stranger.query("select pg_sleep(60)").catch(() => undefined));
  const sleeping = "from pg_stat_activity where query = 'select pg_sleep(60)' and state = 'active'";
  await expect.poll(async () => (await direct.query(`select 1 ${sleeping}`)).rowCount).toBe(1);
  return {
    [Symbol.asyncDispose]: async () => {
      const cancelled = Promise.all(ends);
      const cancel = setInterval(() => void direct.query(`select pg_cancel_backend(pid) ${sleeping}`), 100);
      await cancelled;
      clearInterval(cancel);
      for (const stranger of strangers) await stranger.end();
    },
  };
}

describe.skipIf(!hasPgBouncer)(`through a transaction-mode pooler${orSkipped}`, () => {
  test("a pooler is recognised, and a direct connection is not mistaken for one", async () => {
    await using it = await openPooled();
    expect([factsOf(it.pooled).pooled, factsOf(it.database).pooled]).toEqual([true, false]);
    expect(urlOf(it.pooled)).toBe(it.pooledUrl);
    await using other = await openPooled({ direct: true });
    expect(urlOf(other.pooled)).toBe(other.url);
  });

  test("behind a pooler, values and limits do not depend on defaults of the role and the database", async () => {
    await using it = await openPooled();
    const name = new URL(it.url).pathname.slice(1);
    for (const setting of [
      "datestyle = 'German'",
      "timezone = 'Asia/Kolkata'",
      "intervalstyle = 'iso_8601'",
      "statement_timeout = '900ms'",
      "synchronous_commit = 'off'",
      "default_transaction_isolation = 'serializable'",
    ])
      await maintain(`alter database ${name} set ${setting}`);
    await it.database.query(
      "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()",
    );
    const read = async () => (await it.pooled.query(SETTINGS)).rows[0];
    await expect
      .poll(() => read().catch(() => null))
      .toEqual({
        day: "2024-02-29",
        instant: new Date("2024-02-29T10:00:00Z"),
        utc: "2024-02-29",
        span: "1 day 02:00:00",
        statement_timeout: "30s",
        durable: "on",
      });
    const isolation = await it.pooled.transaction((tx) => tx.query("show transaction_isolation"));
    expect(isolation.rows).toEqual([{ transaction_isolation: "read committed" }]);
  });

  test("behind a pooler, no setting of a transaction stays in a session that other clients use", async () => {
    await using it = await openPooled();
    const show = "select current_setting('statement_timeout') as limit, current_setting('application_name') as name";
    await it.pooled.transaction((tx) => tx.query("select 1"), "long");
    await urgent(it.pooled).query("select 1");
    const stranger = new Client(it.pooledUrl);
    await stranger.connect();
    try {
      expect((await stranger.query(show)).rows[0]).toMatchObject({ limit: "0" });
      const prepared = await stranger.query("select name from pg_prepared_statements");
      expect(prepared.rows).toEqual([]);
    } finally {
      await stranger.end();
    }
  });

  test("behind a pooler, named statements run on every connection", async () => {
    await using it = await openPooled();
    const twice = { name: "twice", text: "select $1::int * 2 as twice" };
    const results = await Promise.all(Array.from({ length: 60 }, (_, n) => it.pooled.query(twice, [n])));
    expect(results.map(({ rows }) => rows[0]?.["twice"])).toEqual(Array.from({ length: 60 }, (_, n) => n * 2));
  });

  test.each([true, false])(
    "behind a pooler, migrations run with a direct URL or through the pooler (direct: %s)",
    async (direct) => {
      await using it = await openPooled({ direct, empty: true });
      const all = await Promise.all([1, 2].map(() => migrate(it.pooled, { logger })));
      expect(all.filter(({ applied }) => applied.length > 0)).toHaveLength(1);
    },
  );

  test("behind a pooler, webhooks are stored, items linked and events dispatched", async () => {
    await using it = await openPooled();
    const { pooled } = it;
    await using accept = openWebhookIntake({ database: pooled, queueMax: 1000, logger });
    const sent = Array.from({ length: 300 }, () => webhook());
    const appended = await Promise.all(sent.map((each) => accept.accept(each)));
    expect(appended.map(({ id }) => id)).toEqual(sent.map(({ id }) => id));
    const vault = openVault([randomBytes(32).toString("base64")]);
    const made = { client_id: "client", secret: "secret", environment: "sandbox" } as const;
    const { id } = await createIntegration(pooled, vault, made);
    await introduceItem(
      { database: pooled, vault },
      { integration_id: id, item_id: "a", access_token: "access-sandbox-1" },
    );
    const dispatcher = new Dispatcher(pooled, "test");
    while ((await dispatcher.dispatch()).rows > 0);
    const { rows } = await it.database.query("select count(*) as waiting from events.outbox where position is null");
    expect(rows).toEqual([{ waiting: 0 }]);
    expect(await openReadiness(pooled)()).toBeNull();
  });

  test("notifications arrive over the direct URL, and without one nothing listens through the pooler", async () => {
    await using it = await openPooled({ direct: true });
    const received: string[] = [];
    await using _one = await it.pooled.listen("channel", (payload) => received.push(payload));
    await it.pooled.query("select pg_notify('channel', 'x')");
    await expect.poll(() => received).toEqual(["x"]);
    await using polling = await openPooled();
    await using _two = await polling.pooled.listen("channel", (payload) => received.push(payload));
    const listening = "select from pg_stat_activity where datname = current_database() and query ilike 'listen %'";
    expect((await polling.database.query(listening)).rowCount).toBe(0);
  });

  test("a slow statement continues while all connections of the pooler are in use", { timeout: 60_000 }, async () => {
    await using db = await testDatabase({ empty: true });
    await using pooler = await startPgBouncer(db.url, { default_pool_size: "2" });
    await using pooled = await openDatabase({ url: pooler.url, poolSize: 4, applicationName: "pooled", logger });
    const slow = pooled.query("select pg_sleep(17), 1 as one");
    const sleeping = "select 1 from pg_stat_activity where query like '%pg_sleep(17)%' and state = 'active'";
    await expect
      .poll(async () => (await db.database.query(`${sleeping} and pid <> pg_backend_pid()`)).rowCount)
      .toBe(1);
    await using _ = await crowd(pooler.url, db.database);
    expect((await slow).rows).toMatchObject([{ one: 1 }]);
  });

  test(
    "a frozen connection is noticed past a pooler whose connections are all in use",
    { timeout: 60_000 },
    async () => {
      const { tcpProxy } = await import("../support/proxy.ts");
      await using db = await testDatabase({ empty: true });
      await using pooler = await startPgBouncer(db.url, { default_pool_size: "2" });
      await using proxy = await tcpProxy(pooler.url);
      const url = proxy.through(pooler.url);
      await using pooled = await openDatabase({
        url,
        directUrl: db.url,
        poolSize: 4,
        applicationName: "pooled",
        logger,
      });
      const lost = pooled.transaction(async (tx) => {
        await tx.query("select 1");
        await using _ = await crowd(pooler.url, db.database);
        proxy.freeze();
        await tx.query("select 2");
      }, "long");
      await expect(lost).rejects.toMatchObject({ code: "database_unavailable" });
    },
  );

  test("a frozen pooler is noticed like a frozen server", async () => {
    const { tcpProxy } = await import("../support/proxy.ts");
    await using it = await openPooled();
    await using proxy = await tcpProxy(it.pooledUrl);
    const url = proxy.through(it.pooledUrl);
    await using database = await openDatabase({ url, poolSize: 8, applicationName: "pooled", logger });
    await database.query("select 1");
    const lost = database.transaction(async (tx) => {
      await tx.query("select 1");
      proxy.freeze();
      await tx.query("select 2");
    }, "long");
    await expect(lost).rejects.toMatchObject({ code: "database_unavailable" });
    expect((await database.query("select 3 as three")).rows).toEqual([{ three: 3 }]);
  });
});
