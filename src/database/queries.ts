/** The statements of database/: the migrator's, and those that look after roles and the embedded server. */

// Session locks share their numbers with everything else in a database: the first one is Tartan's ("TA" in ASCII).

/** Held by whoever migrates. */
export const LOCK_MIGRATIONS = "select pg_advisory_lock(21569, 1)";

export const HAS_MIGRATIONS_TABLE = "select to_regclass('tartan_meta.migrations') is not null as present";

export const CREATE_MIGRATIONS_TABLE = `
  create schema if not exists tartan_meta;
  create table if not exists tartan_meta.migrations (
    version    integer primary key,
    name       text not null,
    checksum   text not null,
    breaking   boolean not null,
    applied_at timestamptz not null default now()
  )`;

export const SELECT_MIGRATIONS =
  "select version, name, checksum, breaking from tartan_meta.migrations order by version";

/** Comes before the migration's own statements, in their transaction, so that even without the lock two cannot both run. */
export const INSERT_MIGRATION =
  "insert into tartan_meta.migrations (version, name, checksum, breaking) values ($1, $2, $3, $4)";

/** Held by the session of the Tartan that owns the embedded server, for as long as it lives: the kernel closes it. */
export const CLAIM_SERVER = "select pg_try_advisory_lock(21569, 2) as claimed";

/** The application name of whoever holds it, which tells its process id. */
export const SELECT_OWNER = `
  select a.application_name as name
    from pg_locks l
    join pg_stat_activity a using (pid)
   where l.locktype = 'advisory' and l.granted and l.classid = 21569 and l.objid = 2 and l.objsubid = 2`;

export const HAS_DATABASE = "select exists (select from pg_database where datname = $1) as present";
