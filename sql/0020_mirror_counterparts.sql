-- The same account of one user that Plaid names by two account ids: because the user linked the same login twice, or because the id
-- changed, after another Link or within the item. The view only shows such pairs; nothing is merged.

-- Rows that are only locked: the commits in which accounts of one user appear take the row of that user's number one after another, so
-- that of two items that are read for the first time at once the later commit sees the accounts of the earlier one.
create table mirror.counterpart_locks (
  number integer primary key
);
insert into mirror.counterpart_locks select generate_series(0, 255);

-- An account that Plaid has now, and its counterpart: an account of the same user at the same institution, within one integration, or
-- an earlier one of the same item.
-- Both have Plaid's persistent_account_id (certain), or one of them lacks it and they agree in mask, name, type and subtype (likely).
-- Accounts of one item that are alike in these four match nothing, and neither does an account without a mask or without a name. Two
-- likely ones of one item never were there at the same time.
create view plaid.account_counterparts with (security_barrier) as
  select integration_id, user_id, institution_id, item_id, account_id,
    counterpart_item_id,                               -- the item itself, where the id changed within it
    counterpart_account_id,
    certainty,                                         -- certain or likely
    relation,                                          -- duplicate: both are linked; replaced: Plaid, or Tartan, has the counterpart no longer
    added_at,                                          -- when Plaid had the account first
    counterpart_removed_at                             -- when Plaid had the counterpart no longer; null also where its item is unlinked
  from (
    select a.integration_id, ta.user_id, ia.institution_id, a.item_id, a.account_id, b.item_id as counterpart_item_id,
      b.account_id as counterpart_account_id,
      case when a.persistent_account_id = b.persistent_account_id then 'certain' else 'likely' end as certainty,
      case when b.removed_at is null and other.linked then 'duplicate' else 'replaced' end as relation,
      a.added_at, b.removed_at as counterpart_removed_at,
      count(*) over (partition by a.integration_id, a.item_id, b.item_id, b.removed_at,
        a.persistent_account_id = b.persistent_account_id, a.mask, a.name, a.type, a.subtype) as alike
    from plaid.accounts a
    join tartan.items ta on ta.integration_id = a.integration_id and ta.item_id = a.item_id
    join plaid.items ia on ia.integration_id = a.integration_id and ia.item_id = a.item_id
    cross join lateral (
      select ta.item_id, true as linked, false as is_another
      union all
      select tb.item_id, tb.access_token_sealed is not null, true
      from tartan.items tb join plaid.items ib on ib.integration_id = tb.integration_id and ib.item_id = tb.item_id
      where tb.integration_id = ta.integration_id and tb.user_id = ta.user_id and tb.item_id <> ta.item_id
        and ib.institution_id = ia.institution_id
    ) other
    join plaid.accounts b on b.integration_id = a.integration_id and b.item_id = other.item_id and b.account_id <> a.account_id
      and (other.is_another or b.removed_at is not null)
      and (b.persistent_account_id = a.persistent_account_id
        or (b.persistent_account_id is null or a.persistent_account_id is null)
          and b.mask = a.mask and b.name = a.name and b.type = a.type and b.subtype is not distinct from a.subtype
          and (other.is_another or b.removed_at <= a.added_at))
    where a.removed_at is null and ta.access_token_sealed is not null
  ) pairs
  where (alike = 1 or certainty = 'certain')
    and ((select plaid.tenant(current_user)) is null or integration_id = (select plaid.tenant(current_user)));

-- As before, with the view.
create or replace function tartan.grant_mirror(reader name) returns void
language plpgsql as $$
declare
  relation text;
begin
  execute format('grant usage on schema plaid to %I', reader);
  for relation in
    select format('plaid.%I', c.relname) from pg_class c
    where c.relnamespace = 'plaid'::regnamespace and c.relkind in ('r', 'p', 'v', 'm')
      and (reader !~ '^tartan_tenant_' or c.relrowsecurity or c.relname in ('freshness', 'account_counterparts') or exists (
        select from pg_class t
        where t.relnamespace = c.relnamespace and t.relrowsecurity and c.relname = 'current_' || t.relname))
  loop
    execute format('grant select on %s to %I', relation, reader);
  end loop;
end
$$;
select tartan.protect_mirror();
