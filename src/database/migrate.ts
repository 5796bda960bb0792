/**
 * Brings the schema up to this version's, forward only: each file in one transaction together with the row that
 * remembers it. Several processes may start at once: one migrates, the others wait for it and find nothing left to do.
 */
import { setTimeout as delay } from "node:timers/promises";
import { Client } from "pg";
import { TartanError } from "../errors.ts";
import type { Logger } from "../logger.ts";
import { clientConfig } from "./connection.ts";
import { codeOf, isConnectionFailure, translateFailure } from "./failures.ts";
import { readMigrations, MIGRATIONS_FOLDER, type Migration } from "./migrations.ts";
import { urlOf } from "./pool.ts";
import {
  CREATE_MIGRATIONS_TABLE,
  HAS_MIGRATIONS_TABLE,
  INSERT_MIGRATION,
  LOCK_MIGRATIONS,
  SELECT_MIGRATIONS,
} from "./queries.ts";
import type { Database } from "./types.ts";

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

/** How long to wait for another process that migrates; a big index may take it that long. */
const WAIT_FOR_OTHERS = "15min";
/** A statement that waits longer than this for a table makes every query behind it wait too: give way, try again. */
const WAIT_FOR_TABLE = "5s";
const TRIES = 12;
const LOCK_NOT_AVAILABLE = "55P03";

/**
 * @throws TartanError `schema_too_new` when a newer Tartan made a breaking change to this database;
 *   `migration_failed` when a file was changed after it was applied, or fails; `database_unavailable`
 */
export async function migrate(target: Database | string, { logger, folder }: MigrateOptions): Promise<Migrated> {
  const migrations = await readMigrations(folder ?? MIGRATIONS_FOLDER);
  const url = typeof target === "string" ? target : urlOf(target);
  try {
    await using connection = await connect(url);
    return await bringUp(connection.client, url, migrations, logger);
  } catch (error) {
    throw translateFailure(error);
  }
}

async function connect(url: string): Promise<AsyncDisposable & { client: Client }> {
  const client = new Client(clientConfig({ url, applicationName: "tartan migrate" }));
  // A connection lost between two statements fails the next one; the event itself must not end the process.
  client.on("error", () => undefined);
  await client.connect();
  return { client, [Symbol.asyncDispose]: () => client.end().catch(() => undefined) };
}

async function bringUp(
  client: Client,
  url: string,
  migrations: readonly Migration[],
  logger: Logger,
): Promise<Migrated> {
  const before = await readApplied(client);
  if (pending(migrations, before).length === 0) return finished(before, [], logger);
  await prepare(client);
  await using _lock = await takeLock(url);
  await client.query(`set lock_timeout = '${WAIT_FOR_TABLE}'`);
  const found = await readApplied(client);
  const todo = pending(migrations, found);
  for (const migration of todo) {
    await apply(client, migration, logger);
    logger.info({ migration: migration.name }, "migrated");
  }
  return finished(found, todo, logger);
}

async function readApplied(client: Client): Promise<Applied[]> {
  const { rows } = await client.query<{ present: boolean }>(HAS_MIGRATIONS_TABLE);
  if (!rows[0]?.present) return [];
  return (await client.query<Applied>(SELECT_MIGRATIONS)).rows;
}

/** Two that make the same thing at once: `if not exists` looks before it waits for the other. */
const MADE_MEANWHILE = new Set(["23505", "42P06", "42P07"]);

async function prepare(client: Client): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await client.query(CREATE_MIGRATIONS_TABLE);
      return;
    } catch (error) {
      if (attempt < TRIES && MADE_MEANWHILE.has(codeOf(error) ?? "")) continue;
      throw failed("preparing the schema tartan_meta", error);
    }
  }
}

/** The lock lasts for many transactions, so a connection of its own holds it, in a transaction that stays open. */
async function takeLock(url: string): Promise<AsyncDisposable> {
  const holder = await connect(url);
  try {
    await holder.client.query(
      `begin; set local lock_timeout = '${WAIT_FOR_OTHERS}'; set local idle_in_transaction_session_timeout = 0`,
    );
    await holder.client.query(LOCK_MIGRATIONS);
    return holder;
  } catch (error) {
    await holder[Symbol.asyncDispose]();
    if (codeOf(error) !== LOCK_NOT_AVAILABLE) throw error;
    throw new TartanError(
      "migration_failed",
      `Another process has been migrating this database for ${WAIT_FOR_OTHERS}.`,
      {
        cause: error,
      },
    );
  }
}

/** What is still to be applied, after proving that what was applied is what this version knows. */
function pending(migrations: readonly Migration[], applied: readonly Applied[]): Migration[] {
  const known = new Map(migrations.map((migration) => [migration.version, migration]));
  const newer = applied.filter(({ version }) => version > migrations.length);
  const breaking = newer.find((row) => row.breaking);
  if (breaking) {
    throw new TartanError(
      "schema_too_new",
      `A newer Tartan changed this database so that this version can no longer use it (${breaking.name}). ` +
        "Install that version or a later one.",
    );
  }
  for (const row of applied) {
    const ours = known.get(row.version);
    if (!ours || (ours.checksum === row.checksum && ours.name === row.name)) continue;
    throw new TartanError(
      "migration_failed",
      ours.name === row.name
        ? `sql/${row.name}.sql was changed after it had been applied to this database. Restore it and write a new file ` +
            "for the change, or start with an empty database."
        : `This database was migrated with ${row.name} where this version has ${ours.name}. Use the version of Tartan ` +
            "that made it, or an empty database.",
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

async function apply(client: Client, migration: Migration, logger: Logger): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await applyOnce(client, migration);
      return;
    } catch (error) {
      if (isConnectionFailure(error)) throw error;
      if (codeOf(error) !== LOCK_NOT_AVAILABLE || attempt === TRIES)
        throw failed(`sql/${migration.name}.sql`, error, migration);
      logger.warn({ migration: migration.name, attempt }, "a table is in use; the migration will be tried again");
      await delay(1_000);
    }
  }
}

async function applyOnce(client: Client, { version, name, checksum, breaking, sql }: Migration): Promise<void> {
  await client.query("begin");
  try {
    await client.query(INSERT_MIGRATION, [version, name, checksum, breaking]);
    await client.query(sql);
    await client.query("commit");
  } catch (error) {
    await client.query("rollback").catch(() => undefined);
    throw error;
  }
}

function failed(what: string, error: unknown, migration?: Migration): unknown {
  if (isConnectionFailure(error) || !(error instanceof Error)) return error;
  const position = Number((error as { position?: string }).position);
  const line = migration && position > 0 ? `, line ${migration.sql.slice(0, position).split("\n").length}` : "";
  const mend =
    codeOf(error) === "42501"
      ? " Tartan's role needs: grant create on database <name> to <role>."
      : codeOf(error) === LOCK_NOT_AVAILABLE
        ? " Something holds a table it needs; end long-running queries and start again."
        : "";
  return new TartanError("migration_failed", `Migration failed: ${what}${line}: ${error.message}.${mend}`, {
    cause: error,
  });
}
