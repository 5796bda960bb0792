/** The statements of the readers of the mirror; sql/0006_mirror.sql has their table, and what they see. */
import { take } from "../database/locks.ts";

/** Roles are made by one process at a time. */
export const LOCK_READERS = take("readers");

const HERE = "(select oid from pg_database where datname = current_database())";

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
