/** The statements of the migrator and of the rows of processes. */

export const HAS_MIGRATIONS_TABLE = "select to_regclass('tartan_meta.migrations') is not null as present";

export const CREATE_MIGRATIONS_TABLES = [
  "create schema if not exists tartan_meta",
  `create table if not exists tartan_meta.migrations (
    version    integer primary key,
    name       text not null,
    checksum   text not null,
    breaking   boolean not null,
    applied_at timestamptz not null default now()
  )`,
  "create table if not exists tartan_meta.migrating ()",
] as const;

/** A process may hold or wait for the lock for as long as a big index takes, and is idle meanwhile. */
export const HOLD_ON = `
  select set_config('lock_timeout', '15min', true), set_config('idle_in_transaction_session_timeout', '0', true)`;

/**
 * Ends the transactions of readers of this database that have lasted for some seconds: logins that Tartan made for BI tools, which
 * it names so. A first step chooses them, since Postgres evaluates conditions in any order, and must terminate no other session.
 */
export const END_READERS = `
  with chosen as materialized (
    select a.pid, a.usename as role from pg_stat_activity a
    where a.datname = current_database() and a.xact_start < now() - interval '2 seconds'
      and a.usename ~ '^tartan_(reader|tenant)_[0-9a-f]{16}$'
  )
  select role from (select role, pg_terminate_backend(pid) as ended from chosen) c where ended`;

export const SELECT_MIGRATIONS =
  "select version, name, checksum, breaking from tartan_meta.migrations order by version";

/** Runs before the migration's own statements, in their transaction, so that two processes cannot both apply it. */
export const INSERT_MIGRATION =
  "insert into tartan_meta.migrations (version, name, checksum, breaking) values ($1, $2, $3, $4)";

export const CHECK_WRITES = { name: "check_writes", text: "update tartan.readiness set checked_at = now()" };

/* The processes that work on this database; sql/0001_database.sql has the table. */

export const INSERT_PROCESS = `
  insert into tartan.processes (host, pid, version, roles, url, public_url, settings, master_key_ids)
  values ($1, $2, $3, $4, $5, $6, $7, $8) returning id`;
export const REFRESH_PROCESS = "update tartan.processes set seen_at = now() where id = $1";
export const DELETE_PROCESS = "delete from tartan.processes where id = $1";
export const PRUNE_PROCESSES = "delete from tartan.processes where seen_at < now() - interval '1 day'";

/** A process refreshes its row every ten seconds; one that missed three refreshes counts as gone. */
export const LIST_PROCESSES = `
  select id, host, pid, version, roles, url, public_url, settings, started_at, seen_at
  from tartan.processes where seen_at > now() - interval '35 seconds' order by started_at desc, id`;
export const LIST_PROCESSES_WITHOUT_KEY = `
  select host, pid from tartan.processes
  where seen_at > now() - interval '35 seconds' and not master_key_ids @> array[$1::text] order by host, pid`;
