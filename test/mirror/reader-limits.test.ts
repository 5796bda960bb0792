/** What a reader of the mirror can do to disturb Tartan, tried with a real one. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { Client } from "pg";
import { expect, test } from "vitest";
import { migrate } from "../../src/database/migrate.ts";
import { readMigrations } from "../../src/database/migrations.ts";
import { restrictLogins } from "../../src/embedded/restrict.ts";
import { silentLogger as logger } from "../../src/logger.ts";
import { connected, reader } from "./reader-support.ts";
import { startWorld } from "../support/world/index.ts";

const codeOf = async (work: Promise<unknown>): Promise<string | undefined> =>
  await work.then(
    () => "it may",
    (error: { code?: string }) => error.code,
  );

test("a reader's open transaction does not hold up a migration of the table that it reads", async () => {
  await using world = await startWorld();
  const folder = await mkdtemp(join(tmpdir(), "tartan-sql-"));
  const all = await readMigrations();
  for (const { name, sql } of all) await writeFile(join(folder, `${name}.sql`), sql);
  const next = `${String(all.length + 1).padStart(4, "0")}_next`;
  await writeFile(join(folder, `${next}.sql`), "alter table plaid.items add column more int;");
  const idle = new Client(await reader(world));
  const ended = new Promise<void>((resolve) => idle.on("error", () => resolve()));
  await idle.connect();
  try {
    await idle.query("set statement_timeout = 0");
    await idle.query("set idle_in_transaction_session_timeout = 0");
    await idle.query("begin");
    await idle.query("select count(*) from plaid.items");
    const migrated = await migrate(world.databaseUrl, { logger, folder: pathToFileURL(`${folder}/`) });
    expect(migrated.applied).toEqual([next]);
    await ended;
  } finally {
    await idle.end().catch(() => undefined);
    await rm(folder, { recursive: true });
  }
});

test("a reader has at most twenty connections, and Tartan still connects beside them", async () => {
  await using world = await startWorld();
  const url = await reader(world);
  const clients = Array.from({ length: 21 }, () => new Client(url));
  for (const client of clients) client.on("error", () => undefined);
  const outcomes = await Promise.all(clients.map((client) => codeOf(client.connect())));
  try {
    expect(outcomes.filter((outcome) => outcome === "it may")).toHaveLength(20);
    expect(outcomes.filter((outcome) => outcome === "53300")).toHaveLength(1);
    await Promise.all([1, 2, 3, 4].map(() => world.database.query("select 1")));
  } finally {
    await Promise.all(clients.map((client) => client.end().catch(() => undefined)));
  }
});

const COSTLY = [
  "select pg_advisory_lock(g) from generate_series(1, 10) g",
  "select pg_try_advisory_xact_lock_shared(1, 2)",
  "create temporary table t (id int)",
  "select lo_create(0)",
  "select lo_from_bytea(0, 'x')",
  "select pg_logical_emit_message(false, 'x', 'y')",
  "create table public.t (id int)",
];

test("on the embedded database a reader can fill neither the table of locks nor the disk", async () => {
  await using world = await startWorld();
  await restrictLogins(world.database);
  await restrictLogins(world.database);
  await connected(await reader(world), async (client) => {
    await client.query("set default_transaction_read_only = off");
    for (const statement of COSTLY)
      expect([statement, await codeOf(client.query(statement))]).toEqual([statement, "42501"]);
  });
});

test("a database that is already restricted is not written to, so two starts at once do not disturb each other", async () => {
  await using world = await startWorld();
  const versions = async () =>
    (
      await world.database.query(
        `select xmin::text from pg_database where datname = current_database()
         union all select xmin::text from pg_namespace where nspname = 'public'`,
      )
    ).rows;
  await restrictLogins(world.database);
  const before = await versions();
  await restrictLogins(world.database);
  expect(await versions()).toEqual(before);
});

test("a flood of notifications makes Tartan poll for a while and has no other effect", async () => {
  await using world = await startWorld();
  let received = 0;
  await using _listening = await world.database.listen("tartan_due", () => (received += 1));
  await world.database.query("select pg_notify('tartan_due', '')");
  await expect.poll(() => received).toBe(1);
  const listening = async () =>
    (
      await world.database.query(
        "select from pg_stat_activity where datname = current_database() and query ilike 'listen%'",
      )
    ).rowCount;
  expect(await listening()).toBe(1);
  await connected(await reader(world), async (client) => {
    await client.query("select pg_notify('tartan_due', g::text) from generate_series(1, 20000) g");
  });
  await expect.poll(listening, { timeout: 10_000 }).toBe(0);
  expect(received).toBeLessThan(5_000);
});
