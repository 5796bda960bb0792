-- Notices: what the user of an item must do or know while its data still flows. And the repairs of items.

-- One row for each notice that is open. Only the runs of the item write it, under their lease; see src/sync/next-notices.ts.
create table sync.notices (
  integration_id text not null,
  item_id        text not null,
  kind           text not null check (kind in (
    'consent_expiring', 'disconnect_pending', 'new_accounts', 'permissions_required', 'account_revoked')),
  about          text not null default '' check (length(about) <= 200), -- the product or the account; empty: the item itself
  since          timestamptz not null,                 -- when it was first announced, or noticed
  announced_at   timestamptz not null,                 -- when it was last announced: only a later repair clears it
  until          timestamptz,                          -- when what it warns of happens, or when it goes by itself; null: neither is known
  details        jsonb not null default '{}',          -- {"reason", "estimated", "listed"}, each where it says something
  webhook_id     uuid,                                 -- the webhook that announced it last; null: /item/get said so
  primary key (integration_id, item_id, kind, about)
);
-- Lists items by a notice.
create index notices_by_kind on sync.notices (kind, item_id, integration_id);
-- Finds items that have a notice whose time has passed.
create index notices_by_until on sync.notices (until) where until is not null;

-- The latest repair of an item of each kind, for eight days: Plaid may not confirm it at once, and a webhook of before it may come late.
create table sync.repairs (
  integration_id text not null,
  item_id        text not null,
  repaired_by    text not null check (repaired_by in ('login_repaired', 'item_updated', 'link_session')),
  repaired_at    timestamptz not null,
  primary key (integration_id, item_id, repaired_by)
);
create index repairs_by_time on sync.repairs (repaired_at);

-- What a reader sees of the notices.
create view plaid.item_notices with (security_barrier) as
  select integration_id, item_id, kind, since, until,
    case when kind = 'permissions_required' then about end as product,
    case when kind = 'account_revoked' then nullif(about, '') end as account_id
  from sync.notices
  where ((select plaid.tenant(current_user)) is null or integration_id = (select plaid.tenant(current_user)));

-- Since when a subject has its status. The trigger sets it for every statement that changes the status.
alter table sync.subjects add column status_since timestamptz not null default now();
create function sync.set_status_since() returns trigger language plpgsql as $$
begin
  new.status_since := clock_timestamp();
  return new;
end $$;
create trigger set_status_since before update of status on sync.subjects for each row
  when (new.status is distinct from old.status) execute function sync.set_status_since();
