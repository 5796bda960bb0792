/** Locks: what they exclude, and that no login of the database but Tartan's own can reach them. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { expect, test } from "vitest";
import { LOCKS, share, take, tryTake } from "../../src/database/locks.ts";
import { migrate } from "../../src/database/migrate.ts";
import { readMigrations } from "../../src/database/migrations.ts";
import { introduceItem } from "../support/link.ts";
import { eraseItem } from "../../src/lifecycle/items.ts";
import { rotateVault } from "../../src/lifecycle/rotation.ts";
import { DROP_TOKEN_DAYS, ENSURE_PARTITIONS } from "../../src/journal/queries.ts";
import { dropOldWeeks } from "../../src/journal/weeks.ts";
import { silentLogger } from "../../src/logger.ts";
import { Dispatcher } from "../../src/relay/dispatch/dispatcher.ts";
import { integrate } from "../integrations/support.ts";
import { connected, reader } from "../mirror/reader-support.ts";
import { startWorld, type World } from "../support/world/index.ts";

const WAITING = "select from pg_locks where not granted and relation = 'tartan_locks.sealing'::regclass";

test("a held lock excludes every other transaction and is free again when its transaction ends", async () => {
  await using world = await startWorld();
  const { database } = world;
  const order: string[] = [];
  let second: Promise<unknown> = Promise.resolve();
  await database.transaction(async (tx) => {
    await tx.query(take("sealing"));
    second = database.transaction(async (other) => {
      await other.query(share("sealing"));
      order.push("shared");
    });
    await expect.poll(async () => (await tx.query(WAITING)).rowCount).toBe(1);
    expect((await database.query(tryTake("sealing"))).rows).toEqual([{ held: false }]);
    expect((await database.query(tryTake("retention"))).rows).toEqual([{ held: true }]);
    order.push("held");
  });
  await second;
  expect(order).toEqual(["held", "shared"]);
  expect((await database.query(tryTake("sealing"))).rows).toEqual([{ held: true }]);
});

test("every lock of the database is named in one list", async () => {
  await using world = await startWorld();
  const { rows } = await world.database.query<{ name: string }>(
    "select relname::text as name from pg_class where relnamespace = 'tartan_locks'::regnamespace",
  );
  expect(rows.map(({ name }) => name).toSorted()).toEqual([...LOCKS].toSorted());
});

test("several transactions may share a lock, and an exclusive one waits for them", async () => {
  await using world = await startWorld();
  const { database } = world;
  await database.transaction(async (tx) => {
    await tx.query(share("sealing"));
    await database.transaction((other) => other.query(share("sealing")));
    expect((await database.query(tryTake("sealing"))).rows).toEqual([{ held: false }]);
  });
});

/** Everything of Tartan's that waits for a lock. */
async function lockedWork(world: World): Promise<void> {
  const { database, databaseUrl: url, vault } = world;
  const id = await integrate(world);
  await introduceItem(world, { integration_id: id, item_id: "item", access_token: "access-sandbox-1" });
  await rotateVault(database, vault);
  const dispatched = await new Dispatcher(database, "test").dispatch();
  expect(dispatched.rows).toBeGreaterThan(0);
  await eraseItem(database, id, "item");
  await database.query(ENSURE_PARTITIONS);
  await database.query(DROP_TOKEN_DAYS, [2]);
  await database.query("select journal.make_weeks(date_trunc('week', now() - interval '5 weeks', 'UTC'), now())");
  expect(await dropOldWeeks({ database, retentionDays: 1, neededBy: [] })).toMatchObject({ failures: [] });
  await migrateFurther(url);
}

async function migrateFurther(url: string): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "tartan-sql-"));
  const all = await readMigrations();
  for (const { name, sql } of all) await writeFile(join(folder, `${name}.sql`), sql);
  const next = `${String(all.length + 1).padStart(4, "0")}_next`;
  await writeFile(join(folder, `${next}.sql`), "create table tartan.next ();");
  try {
    const migrated = await migrate(url, { logger: silentLogger, folder: pathToFileURL(`${folder}/`) });
    expect(migrated.applied).toEqual([next]);
  } finally {
    await rm(folder, { recursive: true });
  }
}

test("a reader that takes every advisory lock stops nothing", async () => {
  await using world = await startWorld();
  await connected(await reader(world), async (client) => {
    // Where the embedded server lets readers have none, that is as good.
    const lock = async (key: string) =>
      await client.query(`select pg_advisory_lock(${key})`).catch((error: { code?: string }) => {
        if (error.code !== "42501") throw error;
      });
    for (const key of [1, 2, 3, 4, 10, 11]) await lock(`21569, ${key}`);
    await lock("hashtext('journal.ensure_partitions')");
    await lockedWork(world);
    await reader(world, { rotate: true });
  });
});

test("a reader may not lock what Tartan locks", async () => {
  await using world = await startWorld();
  const { rows } = await world.database.query<{ name: string }>(
    `select format('%I.%I', n.nspname, c.relname) as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where c.relkind in ('r', 'p') and n.nspname !~ '^(pg_|information_schema)' order by 1`,
  );
  expect(rows.map(({ name }) => name)).toEqual(
    expect.arrayContaining(["tartan_locks.dispatch", "tartan_meta.migrating", "plaid.items"]),
  );
  await connected(await reader(world), async (client) => {
    await client.query("set default_transaction_read_only = off");
    const attempts = rows.flatMap(({ name }) => [
      `lock table ${name} in share mode`,
      `lock table ${name} in row exclusive mode`,
      `select from ${name} for key share`,
    ]);
    for (const statement of [...attempts, "select tartan_locks.take('sealing')"]) {
      await client.query("begin");
      const refused = await client.query(statement).then(
        () => "it may",
        (error: { code?: string }) => error.code,
      );
      expect([statement, refused]).toEqual([statement, "42501"]);
      await client.query("rollback");
    }
  });
});
