/** The database settings that Tartan needs: it sets them itself, refuses to start, or logs an error. */
import { pino } from "pino";
import { describe, expect, test } from "vitest";
import { loadConfig, reservedConnections } from "../../src/config.ts";
import { reportFacts } from "../../src/database/connection/facts.ts";
import { factsOf, openDatabase, urgent } from "../../src/database/pool.ts";
import type { Database } from "../../src/database/types.ts";
import { openWebhookIntake } from "../support/intake.ts";
import { silentLogger as logger, type Logger } from "../../src/logger.ts";
import { maintain, testDatabase, type TestDatabase } from "../support/database.ts";
import { webhook } from "../support/webhook.ts";

/** A database that was opened when these were its defaults. */
async function withDefaults(it: TestDatabase, ...settings: string[]): Promise<Database> {
  const name = new URL(it.url).pathname.slice(1);
  for (const setting of settings) await maintain(`alter database ${name} set ${setting}`);
  return await openDatabase({ url: it.url, poolSize: 8, applicationName: "settings", logger });
}

const faultsOf = (env: Record<string, string>): Record<string, string> => {
  try {
    loadConfig(env);
    return {};
  } catch (error) {
    return (error as { fields: Record<string, string> }).fields;
  }
};

test("statements are not compiled, although that is Postgres' default", async () => {
  await using it = await testDatabase();
  await using database = await withDefaults(it, "jit = 'on'");
  const compiled = "select current_setting('jit') as jit";
  for (const q of [database, urgent(database)]) expect((await q.query(compiled)).rows).toEqual([{ jit: "off" }]);
  expect((await database.transaction((tx) => tx.query(compiled), "long")).rows).toEqual([{ jit: "off" }]);
});

describe("synchronous_commit", () => {
  const durable = "select current_setting('synchronous_commit') as durable";

  test("synchronous_commit is on for every commit of Tartan even where the database's default is off, which is reported", async () => {
    await using it = await testDatabase();
    await using database = await withDefaults(it, "synchronous_commit = 'off'");
    for (const q of [database, urgent(database)]) expect((await q.query(durable)).rows).toEqual([{ durable: "on" }]);
    expect((await database.transaction((tx) => tx.query(durable))).rows).toEqual([{ durable: "on" }]);
    expect(factsOf(database).warnings).toContainEqual(expect.stringMatching(/^synchronous_commit is off/));
  });

  test("a synchronous_commit stronger than on is kept", async () => {
    await using it = await testDatabase();
    await using database = await withDefaults(it, "synchronous_commit = 'remote_apply'");
    for (const q of [database, urgent(database)])
      expect((await q.query(durable)).rows).toEqual([{ durable: "remote_apply" }]);
    expect(factsOf(database).warnings.join()).not.toContain("synchronous_commit");
  });

  test("synchronous_commit is on in the transaction that stores an accepted webhook", async () => {
    await using it = await testDatabase();
    await using database = await withDefaults(it, "synchronous_commit = 'off'");
    await it.database.query("create table seen (durable text)");
    await it.database.query(
      `create function note() returns trigger language plpgsql as
       $$ begin insert into seen values (current_setting('synchronous_commit')); return null; end $$`,
    );
    await it.database.query("create trigger note after insert on journal.webhooks execute function note()");
    await using accept = openWebhookIntake({ database, queueMax: 10, logger });
    await accept.accept(webhook());
    expect((await it.database.query("select * from seen")).rows).toEqual([{ durable: "on" }]);
  });
});

test("every setting with which a crash loses something is an error in the log at the start of a server", () => {
  const lines: string[] = [];
  const log: Logger = pino({ level: "trace" }, { write: (line: string) => void lines.push(line) });
  const facts = { pooled: false, warnings: ["fsync is off: …"], maxConnections: 97 };
  reportFacts(facts, { poolSize: 16, direct: false, logger: log });
  expect(lines.map((line) => JSON.parse(line) as object)).toEqual([
    expect.objectContaining({ level: 50, msg: expect.stringContaining("fsync is off") }),
  ]);
  lines.length = 0;
  reportFacts({ ...facts, warnings: [] }, { poolSize: 16, direct: false, logger: log });
  expect(lines).toEqual([]);
  reportFacts({ ...facts, warnings: [], maxConnections: 18 }, { poolSize: 16, direct: false, logger: log });
  expect(lines.join()).toContain("max_connections");
  reportFacts({ ...facts, warnings: [], pooled: true }, { poolSize: 16, direct: false, logger: log });
  expect(lines.join()).toContain("TARTAN_DATABASE_DIRECT_URL");
});

test("fsync and full_page_writes that are off are found", async () => {
  await using it = await testDatabase();
  const { rows } = await it.database.query<{ fsync: string; pages: string }>(
    "select current_setting('fsync') as fsync, current_setting('full_page_writes') as pages",
  );
  const found = factsOf(it.database).warnings.join();
  expect([found.includes("fsync is off"), found.includes("full_page_writes is off")]).toEqual([
    rows[0]?.fsync === "off",
    rows[0]?.pages === "off",
  ]);
});

test("webhooks that would be kept shorter than events are refused at the start, since a reader of events would miss them", () => {
  expect(faultsOf({ TARTAN_JOURNAL_RETENTION_DAYS: "30", TARTAN_EVENT_RETENTION_DAYS: "90" })).toEqual({
    TARTAN_JOURNAL_RETENTION_DAYS: expect.stringMatching(/TARTAN_EVENT_RETENTION_DAYS, which is 90.*set .* to 30/),
  });
  expect(faultsOf({ TARTAN_JOURNAL_RETENTION_DAYS: "29", TARTAN_EVENT_RETENTION_DAYS: "30" })).not.toEqual({});
  expect(faultsOf({ TARTAN_JOURNAL_RETENTION_DAYS: "30", TARTAN_EVENT_RETENTION_DAYS: "30" })).toEqual({});
  expect(faultsOf({ TARTAN_JOURNAL_RETENTION_DAYS: "0", TARTAN_EVENT_RETENTION_DAYS: "30" })).toEqual({});
});

test("bodies of webhooks that would be kept shorter than events are refused at the start, also where nobody has set how long events are kept", () => {
  const refusal = (days: RegExp) => ({ TARTAN_JOURNAL_BODY_RETENTION_DAYS: expect.stringMatching(days) });
  expect(faultsOf({ TARTAN_JOURNAL_BODY_RETENTION_DAYS: "30", TARTAN_EVENT_RETENTION_DAYS: "31" })).toEqual(
    refusal(/TARTAN_EVENT_RETENTION_DAYS, which is 31;.*set .* to 30/),
  );
  expect(faultsOf({ TARTAN_JOURNAL_BODY_RETENTION_DAYS: "31", TARTAN_EVENT_RETENTION_DAYS: "31" })).toEqual({});
  expect(faultsOf({ TARTAN_JOURNAL_BODY_RETENTION_DAYS: "0" })).not.toEqual({});
  expect(faultsOf({ TARTAN_JOURNAL_BODY_RETENTION_DAYS: "89" })).toEqual(
    refusal(/TARTAN_EVENT_RETENTION_DAYS, which is 90 unless you set it;.*set .* to 89/),
  );
  expect(faultsOf({ TARTAN_JOURNAL_BODY_RETENTION_DAYS: "30", TARTAN_JOURNAL_RETENTION_DAYS: "60" })).toEqual(
    refusal(/which is 60 unless/),
  );
  const daysOf = (env: Record<string, string>) => loadConfig(env).eventRetentionDays;
  expect(daysOf({ TARTAN_JOURNAL_BODY_RETENTION_DAYS: "30", TARTAN_JOURNAL_RETENTION_DAYS: "30" })).toBe(30);
  expect(daysOf({ TARTAN_JOURNAL_BODY_RETENTION_DAYS: "400" })).toBe(90);
});

test("events are kept for 90 days, or as long as webhooks when only the retention of webhooks is set", () => {
  const daysOf = (env: Record<string, string>) => loadConfig(env).eventRetentionDays;
  expect(daysOf({})).toBe(90);
  expect(daysOf({ TARTAN_JOURNAL_RETENTION_DAYS: "30" })).toBe(30);
  expect(daysOf({ TARTAN_JOURNAL_RETENTION_DAYS: "365" })).toBe(90);
  expect(daysOf({ TARTAN_JOURNAL_RETENTION_DAYS: "365", TARTAN_EVENT_RETENTION_DAYS: "200" })).toBe(200);
});

describe("pool and concurrency", () => {
  test("a pool too small for the concurrency is refused at the start with the size that fits", () => {
    expect(faultsOf({})).toEqual({});
    expect(faultsOf({ TARTAN_DATABASE_POOL_SIZE: "4" })).toEqual({});
    const faults = faultsOf({ TARTAN_SYNC_CONCURRENCY: "256" });
    expect(faults).toEqual({ TARTAN_SYNC_CONCURRENCY: expect.stringContaining("TARTAN_DATABASE_POOL_SIZE of 69") });
    expect(faultsOf({ TARTAN_SYNC_CONCURRENCY: "256", TARTAN_DATABASE_POOL_SIZE: "69" })).toEqual({});
    expect(faultsOf({ TARTAN_SYNC_CONCURRENCY: "256", TARTAN_DATABASE_POOL_SIZE: "68" })).not.toEqual({});
  });

  test("a direct URL without TARTAN_DATABASE_URL is refused", () => {
    const url = "postgresql://tartan@db/tartan";
    expect(Object.keys(faultsOf({ TARTAN_DATABASE_DIRECT_URL: url }))).toEqual(["TARTAN_DATABASE_DIRECT_URL"]);
    expect(faultsOf({ TARTAN_DATABASE_DIRECT_URL: url, TARTAN_DATABASE_URL: url })).toEqual({});
  });

  test("webhooks are accepted and leases renewed while every other connection is busy and others wait for one", async () => {
    await using it = await testDatabase();
    await using database = await withDefaults(it);
    await using accept = openWebhookIntake({ database, queueMax: 10, logger });
    const shared = 8 - reservedConnections(8);
    let release = (): void => undefined;
    const until = new Promise<void>((resolve) => (release = resolve));
    let held = 0;
    const busy = Array.from({ length: shared * 3 }, () =>
      database.transaction(async (tx) => {
        await tx.query("select 1");
        held += 1;
        await until;
      }),
    );
    await expect.poll(() => held).toBe(shared);
    expect((await accept.accept(webhook())).duplicate).toBe(false);
    expect((await urgent(database).query("select 1 as one")).rows).toEqual([{ one: 1 }]);
    release();
    await Promise.all(busy);
  });
});
