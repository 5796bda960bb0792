-- Reconciliation: when each linked item is looked at next, when it was looked at last, and what was seen.

alter table tartan.items
  add column check_at timestamptz,                     -- null: not planned yet; during a look: when its lease ends
  add column checked_at timestamptz,                   -- Plaid was asked then, and what differed was made due
  add column check_seen jsonb not null default '{}';   -- of the last look: {"last_webhook": sent_at, "updates": {product: instant}}
-- Also finds those that are not planned yet.
create index items_by_check on tartan.items (check_at) where access_token_sealed is not null;

-- One row: the pace of looks, shared by all processes.
create table tartan.check_pace (
  single     boolean primary key default true check (single),
  next_at    timestamptz not null default now(),       -- no look begins before
  items      bigint not null default 0,                -- linked items, when they were counted
  counted_at timestamptz
);
insert into tartan.check_pace default values;
