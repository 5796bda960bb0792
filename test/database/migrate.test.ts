/** Migrations: forward, whole and once, whichever process starts first; and never on a schema that is too new or too old. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { migrate } from "../../src/database/migrate.ts";
import { readMigrations } from "../../src/database/migrations.ts";
import { silentLogger } from "../../src/logger.ts";
import { testDatabase } from "../support/database.ts";

let directory: string;
const logger = silentLogger;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "tartan-sql-"));
});
afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

/** A folder of sql files, which later calls replace or add to. */
async function sql(files: Record<string, string>): Promise<URL> {
  for (const [name, text] of Object.entries(files)) await writeFile(join(directory, `${name}.sql`), text);
  return pathToFileURL(`${directory}/`);
}

describe("Tartan's own migrations", () => {
  test("Tartan's migrations bring an empty database up and find nothing to do the second time", async () => {
    await using db = await testDatabase({ empty: true });
    const own = await readMigrations();
    const applied = own.map(({ name }) => name);
    expect(await migrate(db.database, { logger })).toEqual({ from: 0, to: own.length, applied });
    expect(await migrate(db.url, { logger })).toEqual({ from: own.length, to: own.length, applied: [] });
  });

  test("one process migrates when eight start at once", async () => {
    await using db = await testDatabase({ empty: true });
    const all = await Promise.all(Array.from({ length: 8 }, () => migrate(db.url, { logger })));
    expect(all.filter(({ applied }) => applied.length > 0)).toHaveLength(1);
    expect(new Set(all.map(({ to }) => to))).toHaveLength(1);
  });
});

describe("a migration", () => {
  test("a migration that fails leaves nothing of itself, names file and line, and keeps the migrations before it", async () => {
    await using db = await testDatabase({ empty: true });
    const folder = await sql({
      "0001_one": "create table one (id int);",
      "0002_two": "create table two (id int);\n\ncreate table three (id nonsense);\n",
    });
    const failing = migrate(db.database, { logger, folder });
    await expect(failing).rejects.toMatchObject({ code: "migration_failed" });
    await expect(failing).rejects.toThrow(/sql\/0002_two\.sql, line 3: .*nonsense/);
    const { rows } = await db.database.query(
      "select to_regclass('one') is null as one, to_regclass('two') is null as two",
    );
    expect(rows[0]).toEqual({ one: false, two: true });
    await sql({ "0002_two": "create table two (id int);" });
    expect(await migrate(db.database, { logger, folder })).toEqual({ from: 1, to: 2, applied: ["0002_two"] });
  });

  test("a database is refused when a file was changed after it was applied; rewritten line ends are no change", async () => {
    await using db = await testDatabase({ empty: true });
    const folder = await sql({ "0001_one": "create table one (\n  id int\n);\n" });
    await migrate(db.database, { logger, folder });
    await sql({ "0001_one": "create table one (\r\n  id int\r\n);\r\n" });
    expect(await migrate(db.database, { logger, folder })).toMatchObject({ applied: [] });
    await sql({ "0001_one": "create table one (\n  id bigint\n);\n" });
    const refused = migrate(db.database, { logger, folder });
    await expect(refused).rejects.toMatchObject({ code: "schema_too_old" });
    await expect(refused).rejects.toThrow("sql/0001_one.sql was changed");
  });

  test("a database is refused with what to do when an applied number has another name", async () => {
    await using db = await testDatabase({ empty: true });
    await migrate(db.database, { logger, folder: await sql({ "0001_one": "select 1;" }) });
    await rm(join(directory, "0001_one.sql"));
    const refused = migrate(db.database, { logger, folder: await sql({ "0001_other": "select 1;" }) });
    await expect(refused).rejects.toMatchObject({ code: "schema_too_old" });
    await expect(refused).rejects.toThrow("0001_one where this version has 0001_other");
    await expect(refused).rejects.toThrow("npx tartan demo --fresh");
  });

  test("a migration waits for a table that is in use and lets other queries pass meanwhile", async () => {
    await using db = await testDatabase({ empty: true });
    const folder = await sql({ "0001_one": "create table one (id int);" });
    await migrate(db.database, { logger, folder });
    await sql({ "0002_two": "alter table one add column n int;" });
    let migrating: Promise<unknown> = Promise.resolve();
    await db.database.transaction(async (tx) => {
      await tx.query("lock table one in access share mode");
      migrating = migrate(db.url, { logger, folder });
      const waiting = async () =>
        (await tx.query("select 1 from pg_locks where not granted and relation = 'one'::regclass")).rowCount;
      await expect.poll(waiting, { timeout: 10_000 }).toBe(1);
      // Its wait for the lock ends, and with it the wait of other queries of the table.
      await expect.poll(waiting, { timeout: 20_000 }).toBe(0);
    });
    expect(await migrating).toMatchObject({ applied: ["0002_two"] });
  });
});

test("a database with more migrations than this version has is too old when other files made it", async () => {
  await using db = await testDatabase({ empty: true });
  const before = await sql({ "0001_one": "select 1;", "0002_two": "-- breaking\nselect 1;" });
  await migrate(db.database, { logger, folder: before });
  await rm(join(directory, "0001_one.sql"));
  await rm(join(directory, "0002_two.sql"));
  const refused = migrate(db.database, { logger, folder: await sql({ "0001_other": "select 1;" }) });
  await expect(refused).rejects.toMatchObject({ code: "schema_too_old" });
});

describe("a schema of a newer Tartan", () => {
  const newer = { "0001_one": "create table one (id int);", "0002_two": "create table two (id int);" };

  test("an older Tartan works on a newer schema while no migration was breaking", async () => {
    await using db = await testDatabase({ empty: true });
    const folder = await sql(newer);
    await migrate(db.database, { logger, folder });
    await rm(join(directory, "0002_two.sql"));
    expect(await migrate(db.database, { logger, folder })).toEqual({ from: 2, to: 2, applied: [] });
  });

  test("an older Tartan refuses a newer schema once a migration was breaking", async () => {
    await using db = await testDatabase({ empty: true });
    const folder = await sql({ ...newer, "0002_two": "-- Splits one in two.\n-- breaking\n\ndrop table one;" });
    await migrate(db.database, { logger, folder });
    await rm(join(directory, "0002_two.sql"));
    const refused = migrate(db.database, { logger, folder });
    await expect(refused).rejects.toMatchObject({ code: "schema_too_new" });
    await expect(refused).rejects.toThrow("0002_two");
  });

  test("a comment that says breaking below the first statement means nothing", async () => {
    const folder = await sql({ "0001_one": "-- one\nselect 1;\n-- breaking\nselect 2;" });
    expect((await readMigrations(folder))[0]?.breaking).toBe(false);
  });
});

describe("the files", () => {
  test.each([
    ["a gap", { "0001_one": "", "0003_three": "" }],
    ["a double", { "0001_one": "", "0001_two": "" }],
    ["a name without four digits", { "1_one": "" }],
  ])("migration files with %s are refused", async (_, files) => {
    await expect(readMigrations(await sql(files))).rejects.toMatchObject({ code: "migration_failed" });
  });
});

test("without the right to create schemas the error says which grant is missing", async () => {
  await using db = await testDatabase({ empty: true });
  const role = `tartan_test_${Math.random().toString(36).slice(2)}`;
  await db.database.query(`create role ${role} login password 'x'`);
  try {
    const url = new URL(db.url);
    url.username = role;
    url.password = "x";
    await expect(migrate(url.href, { logger })).rejects.toThrow("grant create on database");
  } finally {
    await db.database.query(`drop role ${role}`);
  }
});
