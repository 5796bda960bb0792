/** The pool: values come out as promised, transactions are whole or nothing, and Postgres may come and go. */
import { EventEmitter, once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, inject, test } from "vitest";
import { openDatabase } from "../../src/database/pool.ts";
import type { Database, Queryable } from "../../src/database/types.ts";
import { silentLogger, type Logger } from "../../src/logger.ts";
import { maintain, testDatabase, type TestDatabase } from "../support/database.ts";

const killOthers = `
  select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()`;

const LISTENING = "select pid from pg_stat_activity where datname = current_database() and query ilike 'listen %'";

async function opened(url: string, poolSize = 4): Promise<Database> {
  return await openDatabase({ url, poolSize, applicationName: "tartan test", logger: silentLogger });
}

async function withTable(): Promise<TestDatabase> {
  const db = await testDatabase({ empty: true });
  await db.database.query("create table t (id int primary key, n int not null default 0)");
  return db;
}

const rows = async (q: Queryable) => (await q.query("select id, n from t order by id")).rows;

describe("values", () => {
  test("money keeps its digits, counts are numbers, dates are dates and instants are instants", async () => {
    await using db = await testDatabase({ empty: true });
    const result = await db.database.query(
      `select 12345678901234567890.10::numeric as money, 9007199254740991::int8 as count, 9007199254740993::int8 as beyond,
              '2024-02-29'::date as day, '2024-02-29 12:00:00.5+02'::timestamptz as instant, '{"a":[1,null]}'::jsonb as json,
              '\\x00ff'::bytea as bytes, array['2024-02-29'::date, null] as days, array[1::int8, null] as counts,
              array['a,b', null] as texts, true as flag`,
    );
    expect(result.rows[0]).toEqual({
      money: "12345678901234567890.10",
      count: 9007199254740991,
      beyond: "9007199254740993",
      day: "2024-02-29",
      instant: new Date("2024-02-29T10:00:00.500Z"),
      json: { a: [1, null] },
      bytes: Buffer.from([0, 255]),
      days: ["2024-02-29", null],
      counts: [1, null],
      texts: ["a,b", null],
      flag: true,
    });
  });

  test("values are the same for every date style and time zone that the role has as its default", async () => {
    await using db = await testDatabase({ empty: true });
    const { rows: names } = await db.database.query<{ name: string }>("select current_database() as name");
    for (const setting of ["datestyle = 'German'", "timezone = 'Asia/Kolkata'"]) {
      await db.database.query(`alter database ${names[0]?.name} set ${setting}`);
    }
    await using database = await opened(db.url);
    const { rows: values } = await database.query(
      "select '2024-02-29'::date as day, '2024-02-29T10:00:00Z'::timestamptz as instant, '2024-02-29T23:00:00Z'::timestamptz::date as utc",
    );
    expect(values[0]).toEqual({ day: "2024-02-29", instant: new Date("2024-02-29T10:00:00Z"), utc: "2024-02-29" });
  });

  test("a named statement runs repeatedly with different values", async () => {
    await using db = await testDatabase({ empty: true });
    const statement = { name: "twice", text: "select $1::int * 2 as twice" };
    const results = await Promise.all([1, 2, 3, 4, 5].map((n) => db.database.query(statement, [n])));
    expect(results.map((result) => result.rows[0]?.["twice"])).toEqual([2, 4, 6, 8, 10]);
  });
});

describe("transactions", () => {
  test("a transaction whose work throws leaves nothing behind", async () => {
    await using db = await withTable();
    const failing = db.database.transaction(async (tx) => {
      await tx.query("insert into t values (1)");
      throw new Error("no");
    });
    await expect(failing).rejects.toThrow("no");
    expect(await rows(db.database)).toEqual([]);
  });

  test("a transaction whose work catches a failed statement fails and commits nothing", async () => {
    await using db = await withTable();
    const swallowing = db.database.transaction(async (tx) => {
      await tx.query("insert into t values (1)");
      await tx.query("select 1 / 0").catch(() => undefined);
    });
    await expect(swallowing).rejects.toMatchObject({ code: "internal" });
    expect(await rows(db.database)).toEqual([]);
  });

  test("two transactions that deadlock both succeed", async () => {
    await using db = await withTable();
    await db.database.query("insert into t values (1), (2)");
    let waiting = 2;
    const both = new EventEmitter();
    const crossing = (first: number, second: number) =>
      db.database.transaction(async (tx) => {
        await tx.query("update t set n = n + 1 where id = $1", [first]);
        waiting -= 1;
        if (waiting === 0) both.emit("here");
        else if (waiting > 0) await once(both, "here");
        await tx.query("update t set n = n + 1 where id = $1", [second]);
      });
    await Promise.all([crossing(1, 2), crossing(2, 1)]);
    expect(await rows(db.database)).toEqual([
      { id: 1, n: 2 },
      { id: 2, n: 2 },
    ]);
  });

  test("a serialization failure is repeated three times and then reported", async () => {
    await using db = await testDatabase({ empty: true });
    let tries = 0;
    const failing = db.database.transaction(async (tx) => {
      tries++;
      await tx.query("do $$ begin raise exception 'again' using errcode = '40001'; end $$");
    });
    await expect(failing).rejects.toMatchObject({ code: "40001" });
    expect(tries).toBe(4);
  });

  test("a single statement is repeated after a serialization failure too, three times at most", async () => {
    await using db = await testDatabase({ empty: true });
    await db.database.query("create sequence tries");
    const failing = (until: number) =>
      db.database.query(
        `do $$ begin if nextval('tries') < ${until} then raise exception 'again' using errcode = '40001'; end if; end $$`,
      );
    const tries = async () => (await db.database.query("select last_value as n from tries")).rows[0]?.["n"];
    await failing(4);
    expect(await tries()).toBe(4);
    await expect(failing(1000)).rejects.toMatchObject({ code: "40001" });
    expect(await tries()).toBe(8);
  });

  test("a statement that Postgres rejects costs no connection", async () => {
    await using db = await withTable();
    await using database = await opened(db.url, 1);
    const pid = async () => (await database.query("select pg_backend_pid() as pid")).rows[0]?.["pid"];
    const before = await pid();
    await expect(database.query("select 1 / 0")).rejects.toMatchObject({ code: "22012" });
    await expect(database.transaction((tx) => tx.query("select nonsense"))).rejects.toMatchObject({ code: "42703" });
    expect(await pid()).toBe(before);
  });

  test("a statement sent after the end of its transaction is refused", async () => {
    await using db = await withTable();
    const escaped = await db.database.transaction(async (tx) => tx);
    await expect(escaped.query("insert into t values (1)")).rejects.toMatchObject({ code: "internal" });
    expect(await rows(db.database)).toEqual([]);
  });
});

describe("when Postgres goes away", () => {
  test("idle connections that die do not end the process, and the next statement gets a new one", async () => {
    await using db = await testDatabase({ empty: true });
    await using other = await opened(db.url);
    await Promise.all([1, 2, 3].map(() => db.database.query("select pg_sleep(0.05)")));
    await other.query(killOthers);
    await expect
      .poll(async () => (await db.database.query("select 1 as one").catch(() => null))?.rows, { timeout: 10_000 })
      .toEqual([{ one: 1 }]);
  });

  test("a transaction whose connection dies fails with database_unavailable, also between its statements", async () => {
    await using db = await testDatabase({ empty: true });
    await using other = await opened(db.url);
    const dying = db.database.transaction(async (tx) => {
      await tx.query("select 1");
      await other.query(killOthers);
      await delay(50);
      await tx.query("select 1");
    });
    await expect(dying).rejects.toMatchObject({ code: "database_unavailable", retryAfterSeconds: 5 });
    const running = db.database.query("select pg_sleep(30)");
    const refused = expect(running).rejects.toMatchObject({ code: "database_unavailable" });
    await expect
      .poll(async () => (await other.query(`${killOthers} and query like '%pg_sleep(30)%'`)).rowCount, {
        timeout: 10_000,
      })
      .toBeGreaterThan(0);
    await refused;
  });

  test("a missing server, a wrong password and a missing database say what to fix and never the password", async () => {
    const url = new URL(inject("maintenanceUrl"));
    const wrong = (change: (url: URL) => void) => {
      const changed = new URL(url);
      change(changed);
      return opened(changed.href).catch((error: unknown) => error as Error);
    };
    const away = await wrong((changed) => (changed.port = "1"));
    expect(away).toMatchObject({ code: "database_unavailable", cause: expect.anything() });
    const missing = await wrong((changed) => (changed.pathname = "/no_such_database"));
    expect(missing).toMatchObject({ code: "database_unavailable" });
    expect(String(missing)).toContain("create it first");
    const login = await wrong((changed) => (changed.password = "not-the-password"));
    for (const error of [away, missing, login]) {
      expect(String(error)).not.toContain("not-the-password");
      if (url.password) expect(String(error)).not.toContain(url.password);
    }
  });

  test("a database that accepts no connections is database_unavailable, and one that does again is used again", async () => {
    await using db = await testDatabase({ empty: true });
    const name = new URL(db.url).pathname.slice(1);
    await maintain(
      `alter database ${name} allow_connections false`,
      `select pg_terminate_backend(pid) from pg_stat_activity where datname = '${name}'`,
    );
    const ask = () => db.database.query("select 1 as one");
    // The connections that were there are lost one by one.
    await expect
      .poll(() => ask().catch((error: unknown) => String(error)), { timeout: 10_000 })
      .toContain("the database accepts no connections");
    await expect(ask()).rejects.toMatchObject({ code: "database_unavailable", retryAfterSeconds: 5 });
    await maintain(`alter database ${name} allow_connections true`);
    await expect.poll(async () => (await ask().catch(() => null))?.rows, { timeout: 10_000 }).toEqual([{ one: 1 }]);
  });

  test("an invalid URL is refused in an error that does not repeat it", async () => {
    const error = await opened("postgres://user:hunter2@:not a url").catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: "config_invalid" });
    expect(String(error)).not.toContain("hunter2");
  });
});

describe("listening", () => {
  test("each channel's notifications reach the handlers that listen to it, until they stop", async () => {
    await using db = await testDatabase({ empty: true });
    const received: string[] = [];
    const a = await db.database.listen("channel_a", (payload) => received.push(`a:${payload}`));
    await using _b = await db.database.listen('odd "channel"', (payload) => received.push(`b:${payload}`));
    await db.database.query(
      `select pg_notify('channel_a', '1'), pg_notify('odd "channel"', '2'), pg_notify('other', '3')`,
    );
    await expect.poll(() => received.toSorted(), { timeout: 10_000 }).toEqual(["a:1", "b:2"]);
    await a[Symbol.asyncDispose]();
    await db.database.query(`select pg_notify('channel_a', '4'), pg_notify('odd "channel"', '5')`);
    await expect.poll(() => received.at(-1), { timeout: 10_000 }).toBe("b:5");
    expect(received).not.toContain("a:4");
  });

  test("the listener listens again after its connection was lost", async () => {
    await using db = await testDatabase({ empty: true });
    await using other = await opened(db.url);
    const received: string[] = [];
    await using _ = await db.database.listen("channel", (payload) => received.push(payload));
    await other.query(killOthers);
    await expect
      .poll(
        async () => {
          await other.query("select pg_notify('channel', 'again')");
          return received.includes("again");
        },
        { timeout: 10_000 },
      )
      .toBe(true);
  });

  test("one connection listens after a loss, also when another channel was added before the next attempt", async () => {
    await using db = await testDatabase({ empty: true });
    const losses = new EventEmitter();
    const logger = Object.assign(Object.create(silentLogger) as Logger, { warn: () => losses.emit("lost") });
    const database = await openDatabase({ url: db.url, poolSize: 2, applicationName: "listening", logger });
    const received: string[] = [];
    const onNotify = (payload: string) => received.push(payload);
    const listening = async () => (await db.database.query(LISTENING)).rowCount;
    try {
      await using _one = await database.listen("one", onNotify);
      const warned = once(losses, "lost");
      await db.database.query(LISTENING.replace("select pid", "select pg_terminate_backend(pid)"));
      await warned;
      await using _two = await database.listen("two", onNotify);
      await delay(6_000);
      expect(await listening()).toBe(1);
      await db.database.query("select pg_notify('one', 'one'), pg_notify('two', 'two')");
      await expect.poll(() => received.toSorted(), { timeout: 10_000 }).toEqual(["one", "two"]);
    } finally {
      await database[Symbol.asyncDispose]();
    }
    await expect.poll(listening, { timeout: 10_000 }).toBe(0);
  });

  test("a handler that throws does not disturb the others", async () => {
    await using db = await testDatabase({ empty: true });
    const received: string[] = [];
    await using _one = await db.database.listen("channel", () => {
      throw new Error("no");
    });
    await using _two = await db.database.listen("channel", (payload) => received.push(payload));
    await db.database.query("select pg_notify('channel', '1')");
    await expect.poll(() => received, { timeout: 10_000 }).toEqual(["1"]);
  });
});
