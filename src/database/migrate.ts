/**
 * Brings the schema up to this version's, forward only: each file in one transaction together with the row that
 * records it. Several processes may start at once: one migrates, the others wait for it and find nothing left to do.
 */
import { setTimeout as delay } from "node:timers/promises";
import { TartanError } from "../errors.ts";
import type { Logger } from "../logger.ts";
import { codeOf, sqlStateOf } from "./failures.ts";
import { LOCK_MIGRATIONS } from "./locks.ts";
import { mismatchOf, readMigrations, MIGRATIONS_FOLDER, type Migration } from "./migrations.ts";
import { openDatabase, urlOf } from "./pool.ts";
import {
  CREATE_MIGRATIONS_TABLES,
  END_READERS,
  HAS_MIGRATIONS_TABLE,
  HOLD_ON,
  INSERT_MIGRATION,
  SELECT_MIGRATIONS,
} from "./queries.ts";
import type { Database, Queryable } from "./types.ts";

export interface MigrateOptions {
  logger: Logger;
  /** where the numbered files are; Tartan's own by default */
  folder?: URL;
}

export interface Migrated {
  /** version before and after; 0 is an empty database */
  from: number;
  to: number;
  /** names of the files that were applied */
  applied: string[];
}

type Applied = Pick<Migration, "version" | "name" | "checksum" | "breaking">;

/** Each try waits for a table up to the lock limit of migrations; between tries the queries behind it run. */
const TRIES = 12;
const LOCK_NOT_AVAILABLE = "55P03";

/**
 * @throws TartanError `schema_too_new` when a newer Tartan made a breaking change to this database;
 *   `schema_too_old` when other files than this version's made it; `migration_failed` when a file fails;
 *   `database_unavailable`
 */
export async function migrate(target: Database | string, { logger, folder }: MigrateOptions): Promise<Migrated> {
  const migrations = await readMigrations(folder ?? MIGRATIONS_FOLDER);
  const url = typeof target === "string" ? target : urlOf(target);
  const connections = { url, poolSize: 2, applicationName: "tartan migrate", logger };
  await using database = await openDatabase(connections);
  const before = await readApplied(database);
  if (pending(migrations, before).length === 0) return finished(before, [], logger);
  await prepare(database);
  return await alone(database, () => bringUp(database, migrations, logger));
}

async function bringUp(database: Database, migrations: readonly Migration[], logger: Logger): Promise<Migrated> {
  const found = await readApplied(database);
  const todo = pending(migrations, found);
  for (const migration of todo) {
    await apply(database, migration, logger);
    logger.info({ migration: migration.name }, "migrated");
  }
  return finished(found, todo, logger);
}

async function readApplied(q: Queryable): Promise<Applied[]> {
  const { rows } = await q.query<{ present: boolean }>(HAS_MIGRATIONS_TABLE);
  if (!rows[0]?.present) return [];
  return (await q.query<Applied>(SELECT_MIGRATIONS)).rows;
}

/** SQLSTATEs when two processes make the same object at once: `if not exists` checks before it waits for the other. */
const MADE_MEANWHILE = new Set(["23505", "42P06", "42P07"]);

async function prepare(database: Database): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await database.transaction(async (tx) => {
        for (const statement of CREATE_MIGRATIONS_TABLES) await tx.query(statement);
      });
      return;
    } catch (error) {
      if (attempt < TRIES && MADE_MEANWHILE.has(codeOf(error) ?? "")) continue;
      throw failed("preparing the schema tartan_meta", error);
    }
  }
}

/** The lock spans many transactions, so a transaction of its own, on another connection, holds it. */
async function alone<T>(database: Database, work: () => Promise<T>): Promise<T> {
  let begun = false;
  try {
    return await database.transaction(async (holder) => {
      await holder.query(HOLD_ON);
      await holder.query(LOCK_MIGRATIONS);
      begun = true;
      return await work();
    }, "migration");
  } catch (error) {
    if (begun || sqlStateOf(error) !== LOCK_NOT_AVAILABLE) throw error;
    throw new TartanError(
      "migration_failed",
      "Another process has been migrating this database for 15 minutes. Wait for it, or end it, and start again.",
      { cause: error },
    );
  }
}

/** The migrations that are still to be applied. Checks first that this version's files made the database. */
function pending(migrations: readonly Migration[], applied: readonly Applied[]): Migration[] {
  const mismatch = mismatchOf(migrations, applied);
  if (mismatch !== null) throw new TartanError("schema_too_old", mismatch);
  const newer = applied.filter(({ version }) => version > migrations.length);
  const breaking = newer.find((row) => row.breaking);
  if (breaking) {
    throw new TartanError(
      "schema_too_new",
      `A newer Tartan changed this database so that this version can no longer use it (${breaking.name}). ` +
        "Install that version or a later one.",
    );
  }
  const done = new Set(applied.map(({ version }) => version));
  return migrations.filter(({ version }) => !done.has(version));
}

function finished(before: readonly Applied[], todo: readonly Migration[], logger: Logger): Migrated {
  const from = Math.max(0, ...before.map(({ version }) => version));
  const to = Math.max(from, ...todo.map(({ version }) => version));
  if (to > from || todo.length > 0) logger.info({ from, to }, "the schema is up to date");
  return { from, to, applied: todo.map(({ name }) => name) };
}

async function apply(database: Database, migration: Migration, logger: Logger): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await database.transaction((tx) => applyOnce(tx, migration), "migration");
      return;
    } catch (error) {
      if (isAway(error)) throw error;
      if (sqlStateOf(error) !== LOCK_NOT_AVAILABLE || attempt === TRIES)
        throw failed(`sql/${migration.name}.sql`, error, migration);
      logger.warn({ migration: migration.name, attempt }, "a table is in use; the migration will be tried again");
      await endReaders(database, logger);
      await delay(1_000);
    }
  }
}

async function applyOnce(tx: Queryable, { version, name, checksum, breaking, sql }: Migration): Promise<void> {
  await tx.query(INSERT_MIGRATION, [version, name, checksum, breaking]);
  await tx.query(sql);
}

/** Ends readers' transactions, which would delay the migration; readers may connect again. Where Tartan may not, it waits. */
async function endReaders(database: Database, logger: Logger): Promise<void> {
  try {
    const { rows } = await database.query<{ role: string }>(END_READERS);
    for (const { role } of rows) logger.warn({ role }, "a reader's transaction was in the way and was ended");
  } catch (error) {
    logger.warn({ error }, "readers' transactions could not be ended");
  }
}

const isAway = (error: unknown): boolean => error instanceof TartanError && error.code === "database_unavailable";

function failed(what: string, error: unknown, migration?: Migration): unknown {
  if (isAway(error) || !(error instanceof Error)) return error;
  const position = Number((error as { position?: string }).position);
  const line = migration && position > 0 ? `, line ${migration.sql.slice(0, position).split("\n").length}` : "";
  const state = sqlStateOf(error);
  const remedy =
    state === "42501"
      ? " Tartan's role needs: grant create on database <name> to <role>."
      : state === LOCK_NOT_AVAILABLE
        ? " Something holds a table it needs; end long-running queries and start again."
        : "";
  return new TartanError("migration_failed", `Migration failed: ${what}${line}: ${error.message}.${remedy}`, {
    cause: error,
  });
}
