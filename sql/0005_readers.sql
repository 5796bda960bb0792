-- Who may read the mirror, and which part of it. A reader is a login role that reads schema plaid and nothing else; a
-- tenant's reader sees the rows of one integration only, in the tables by row security and in the views, which run with
-- the rights of their owner, by a filter.

-- Roles belong to the whole cluster, this table to one database: a copy of the database knows by the oid that these roles
-- are another's. The password is here because whoever may read this table may read all that the role can see.
create table tartan.readers (
  role_name      name primary key,
  integration_id text,                                 -- null: sees every integration
  password       text not null,
  database       oid not null,
  created_at     timestamptz not null default now()
);
create unique index readers_by_scope on tartan.readers (database, coalesce(integration_id, ''));

-- The one integration that a role may see; null when it may see all, '' when it is a tenant's role that nobody knows. It
-- answers about the asker's own role only (or one that the asker may take on), so it tells nobody of other tenants.
create function plaid.tenant(role name) returns text
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select case when role !~ '^tartan_tenant_' then null else coalesce(
    (select integration_id from tartan.readers
     where role_name = role and database = (select oid from pg_database where datname = current_database())
       and pg_has_role(session_user, role, 'member')),
    '') end
$$;

-- Lets a reader read what is protected; a full reader, everything in the mirror.
create function tartan.grant_mirror(reader name) returns void
language plpgsql as $$
declare
  relation text;
begin
  execute format('grant usage on schema plaid to %I', reader);
  for relation in
    select format('plaid.%I', c.relname) from pg_class c
    where c.relnamespace = 'plaid'::regnamespace and c.relkind in ('r', 'p', 'v', 'm')
      and (reader !~ '^tartan_tenant_' or c.relrowsecurity or exists (
        select from pg_class t
        where t.relnamespace = c.relnamespace and t.relrowsecurity and c.relname = 'current_' || t.relname))
  loop
    execute format('grant select on %s to %I', relation, reader);
  end loop;
end
$$;

-- Gives every table of the mirror its row security and its view of current rows, and lets the readers read them. A
-- migration that makes or widens such a table ends with: select tartan.protect_mirror();
--
-- Whoever owns the tables is not subject to row security, and pays nothing for it. The role is looked up once a query,
-- not once a row, since it stands in a subquery of its own.
create function tartan.protect_mirror() returns void
language plpgsql as $$
declare
  seen constant text := '((select plaid.tenant(current_user)) is null or integration_id = (select plaid.tenant(current_user)))';
  mirrored record;
  reader name;
begin
  for mirrored in
    select c.oid, c.relname, c.relrowsecurity from pg_class c
    where c.relnamespace = 'plaid'::regnamespace and c.relkind in ('r', 'p')
      and exists (select from pg_attribute where attrelid = c.oid and attname = 'integration_id' and not attisdropped)
  loop
    if not mirrored.relrowsecurity then
      execute format('create policy tenants on plaid.%I using %s', mirrored.relname, seen);
      execute format('alter table plaid.%I enable row level security', mirrored.relname);
    end if;
    if exists (select from pg_attribute where attrelid = mirrored.oid and attname = 'removed_at' and not attisdropped) then
      execute format('create or replace view plaid.%I with (security_barrier) as select * from plaid.%I where removed_at is null and %s',
        'current_' || mirrored.relname, mirrored.relname, seen);
    end if;
  end loop;
  for reader in
    select r.role_name from tartan.readers r join pg_roles on rolname = r.role_name
    where r.database = (select oid from pg_database where datname = current_database())
  loop
    perform tartan.grant_mirror(reader);
  end loop;
end
$$;

select tartan.protect_mirror();
