/** The statements that make the embedded server's database and restrict its other logins. */

/** $1 the database. Its new name is the old one and the time. */
export const NAME_ASIDE = "select $1 || to_char(now() at time zone 'UTC', '_YYYYMMDD_HH24MISS') as name";
export const END_SESSIONS = "select pg_terminate_backend(pid) from pg_stat_activity where datname = $1";

export const HAS_DATABASE = "select exists (select from pg_database where datname = $1) as present";

/**
 * Functions that every login may call and that fill a shared store: advisory locks fill the table of all locks, large
 * objects and messages in the log fill the disk.
 */
export const RESTRICTED_FUNCTIONS = `
  select p.oid::regprocedure::text as signature from pg_proc p
  where p.pronamespace = 'pg_catalog'::regnamespace
    and (p.proname ~ '^pg_(try_)?advisory_' or p.proname in ('lo_creat', 'lo_create', 'lo_from_bytea', 'pg_logical_emit_message'))
    and has_function_privilege('public', p.oid, 'execute')`;

/** Temporary tables fill the disk, and every login's unqualified names find objects in schema public. */
export const RESTRICT = `
  do $$ begin
    if has_database_privilege('public', current_database(), 'temporary') then
      execute format('revoke temporary on database %I from public', current_database());
    end if;
    if exists (
      select from pg_namespace where nspname = 'public' and has_schema_privilege('public', oid, 'create')
    ) then
      revoke create on schema public from public;
    end if;
  end $$`;
