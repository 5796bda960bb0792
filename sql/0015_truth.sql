-- What is known of each resource: since when its rows are known to equal Plaid's, and whether it counts for its subject.
alter table sync.cursors
  add column verified_at timestamptz,                  -- its rows were equal to Plaid's then: it was read to its end
  add column absent text check (absent in ('not_listed', 'refused')); -- null: the subject has it; else how Plaid says that it has not

-- The same for users. A resource without a row here was never read.
create view plaid.freshness with (security_barrier) as
  select integration_id, id as item_id, resource, verified_at, rows, absent
  from sync.cursors
  where kind = 'item'
    and ((select plaid.tenant(current_user)) is null or integration_id = (select plaid.tenant(current_user)));

-- As before, and a tenant's reader may read the views that filter by tenant themselves.
create or replace function tartan.grant_mirror(reader name) returns void
language plpgsql as $$
declare
  relation text;
begin
  execute format('grant usage on schema plaid to %I', reader);
  for relation in
    select format('plaid.%I', c.relname) from pg_class c
    where c.relnamespace = 'plaid'::regnamespace and c.relkind in ('r', 'p', 'v', 'm')
      and (reader !~ '^tartan_tenant_' or c.relrowsecurity or c.relname = 'freshness' or exists (
        select from pg_class t
        where t.relnamespace = c.relnamespace and t.relrowsecurity and c.relname = 'current_' || t.relname))
  loop
    execute format('grant select on %s to %I', relation, reader);
  end loop;
end
$$;

select tartan.protect_mirror();
