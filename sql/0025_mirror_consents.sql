-- Finds the items whose consent ends soon, and lets readers read every view that filters by tenant.

create index items_by_consent_expiration on plaid.items (consent_expiration_time)
  where consent_expiration_time is not null and removed_at is null;

-- As before, and a reader of one tenant may read each view with a security barrier: all of these filter by tenant.
create or replace function tartan.grant_mirror(reader name) returns void
language plpgsql as $$
declare
  relation text;
begin
  execute format('grant usage on schema plaid to %I', reader);
  for relation in
    select format('plaid.%I', c.relname) from pg_class c
    where c.relnamespace = 'plaid'::regnamespace and c.relkind in ('r', 'p', 'v', 'm')
      and (reader !~ '^tartan_tenant_' or c.relrowsecurity or (c.relkind = 'v' and c.reloptions @> array['security_barrier=true']))
  loop
    execute format('grant select on %s to %I', relation, reader);
  end loop;
end
$$;

select tartan.protect_mirror();
