/** The statements of the migrator, of readers and of the rows of processes. */

import { take } from "./locks.ts";

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
 * Ends the transactions of readers of this database that have lasted for some seconds. A first step chooses them, since
 * Postgres evaluates conditions in any order, and must terminate no other session.
 */
export const END_READERS = `
  with chosen as materialized (
    select a.pid, a.usename as role from pg_stat_activity a
    where a.datname = current_database() and a.xact_start < now() - interval '2 seconds'
      and a.usename in (select role_name from tartan.readers)
  )
  select role from (select role, pg_terminate_backend(pid) as ended from chosen) c where ended`;

export const SELECT_MIGRATIONS =
  "select version, name, checksum, breaking from tartan_meta.migrations order by version";

/** Runs before the migration's own statements, in their transaction, so that two processes cannot both apply it. */
export const INSERT_MIGRATION =
  "insert into tartan_meta.migrations (version, name, checksum, breaking) values ($1, $2, $3, $4)";

export const CHECK_WRITES = { name: "check_writes", text: "update tartan.readiness set checked_at = now()" };

/* Readers of the mirror; sql/0001_database.sql has their table, sql/0006_mirror.sql what they see. */

/** Roles are made by one process at a time. */
export const LOCK_READERS = take("readers");

const HERE = "(select oid from pg_database where datname = current_database())";

export const HAS_INTEGRATION =
  "select exists (select from tartan.integrations where id = $1 and deleted_at is null) as present";

/** $1: the integration, or null for the reader that sees all */
export const GET_READER = `
  select role_name as role, password, exists (select from pg_roles where rolname = role_name) as present
  from tartan.readers where database = ${HERE} and integration_id is not distinct from $1`;

/** In a copy of a database: the readers of the original. */
export const LIST_FOREIGN_READERS = `
  select role_name as role, exists (select from pg_roles where rolname = role_name) as present
  from tartan.readers where database <> ${HERE}`;
export const INSERT_READER = `
  insert into tartan.readers (role_name, integration_id, password, database) values ($1, $2, $3, ${HERE})`;
export const SET_READER_PASSWORD = "update tartan.readers set password = $2 where role_name = $1";
export const DELETE_READER = "delete from tartan.readers where role_name = $1";
export const GRANT_MIRROR = "select tartan.grant_mirror($1)";
export const CURRENT_DATABASE = "select current_database() as name, current_user as role";

/*
 * Statements about roles take no parameters. Role and database are quoted, the verifier is base64 with separators; where
 * Tartan may not run them, it shows them to a DBA.
 */

/** A minute is enough for a dashboard, and short enough for a mistake. */
export const CREATE_READER = (role: string, database: string, verifier: string): string[] => [
  `create role ${role} login nosuperuser nocreatedb nocreaterole noreplication nobypassrls connection limit 20 password '${verifier}'`,
  `alter role ${role} in database ${database} set default_transaction_read_only = on`,
  `alter role ${role} in database ${database} set statement_timeout = '60s'`,
  `alter role ${role} in database ${database} set idle_in_transaction_session_timeout = '60s'`,
  `alter role ${role} in database ${database} set search_path = plaid`,
];
export const ALTER_READER_PASSWORD = (role: string, verifier: string): string =>
  `alter role ${role} password '${verifier}'`;
export const REVOKE_MIRROR = (role: string): string[] => [
  `revoke all on all tables in schema plaid from ${role}`,
  `revoke all on schema plaid from ${role}`,
];
export const DROP_READER = (role: string): string => `drop role ${role}`;

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
