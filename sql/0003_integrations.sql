-- Integrations (one Plaid client each), their linked items with sealed tokens, and the keys of the API. A column whose name
-- ends in _sealed holds ciphertext of the vault, bound to its row. Nothing secret is stored in the clear.

create table tartan.integrations (
  id                           text primary key,       -- svi_…, part of the intake URL
  service                      text not null,          -- plaid_item_v1
  name                         text not null,
  environment                  text not null check (environment in ('sandbox', 'production')),
  plaid_url                    text not null,          -- Plaid's API, or a simulator's
  client_id                    text not null,
  client_secret_sealed         bytea,                  -- null once deleted
  webhook_secret_sealed        bytea,                  -- null once deleted
  country_codes                text[] not null default '{US}', -- sent to /institutions/get_by_id
  days_requested               integer check (days_requested between 1 and 730), -- of transactions; null: Plaid's default, 90
  include_original_description boolean not null default false,
  consumer_report_permissible_purpose text,             -- why cash-flow updates are asked for; null: they are not
  revealed_resources           text[] not null default '{}', -- whose sensitive fields are mirrored unmasked
  enabled_resources            text[] not null default '{}', -- billed resources that are requested
  created_at                   timestamptz not null default now(),
  updated_at                   timestamptz not null default now(),
  deleted_at                   timestamptz,
  -- A change that concerns all items of an integration commits first; the work on the items follows in parts, each a
  -- transaction of its own. This column is set with the change, so that another process continues when the first one ends.
  unfinished                   text check (unfinished in (
    'retry',                                           -- its subjects are to be tried again with new credentials
    'end',                                             -- deleted: its tokens are to be wiped and its subjects ended
    'purge',                                           -- as 'end', and all its rows are to be deleted
    'purged')),                                        -- they are deleted; rows of late webhooks and this row are still to be
  -- The same for what it reveals and enables. The work is done only while the version is the one that it was begun at.
  to_mask         text[] not null default '{}',        -- resources whose stored rows are still to be masked
  to_read         text[] not null default '{}',        -- resources that its subjects are still to be asked to read
  reveals_version bigint not null default 0            -- raised by each change of revealed_resources or enabled_resources
);

-- A row for each resource that an integration reveals or has revealed, only to be locked: a commit that writes revealed rows shares it,
-- and a page of masking takes it alone. So masking begins once all commits are over that began before the resource was hidden, and
-- nobody who changes the integration itself waits for a commit.
create table tartan.reveals (
  integration_id text not null references tartan.integrations (id) on delete cascade,
  resource       text not null,
  primary key (integration_id, resource)
);

create table tartan.items (
  integration_id      text not null references tartan.integrations (id),
  item_id             text not null,
  user_id             text,                            -- your identifier of the user: Plaid's client_user_id
  access_token_sealed bytea,                           -- null once the item was unlinked
  token_confirmed     boolean not null default false,  -- Plaid answered the token with this item; until then nothing is mirrored
  check_at            timestamptz,                     -- next reconciliation; null: not planned; during a check: end of its lease
  checked_at          timestamptz,                     -- Plaid was asked then, and what differed was made due
  check_seen          jsonb not null default '{}',     -- of the last check: {"last_webhook": sent_at, "updates": {product: instant}}
  linked_at           timestamptz not null default now(),
  updated_at          timestamptz not null default now(),
  primary key (integration_id, item_id)
);
create index items_by_item on tartan.items (item_id);
create index items_by_user on tartan.items (user_id, item_id) where user_id is not null;
-- Also finds items whose check is not planned yet.
create index items_by_check on tartan.items (check_at) where access_token_sealed is not null;

-- Subjects that belong to no item and that you told Tartan about: what you call their user, and the token with which Plaid is
-- asked about them, where they have one of their own (an asset report, a processor's account).
create table tartan.registered_subjects (
  integration_id text not null references tartan.integrations (id),
  kind           text not null,
  id             text not null,
  user_id        text,                                 -- your identifier of the user
  token_sealed   bytea,
  added_at       timestamptz not null default now(),
  updated_at     timestamptz not null default now(),
  primary key (integration_id, kind, id)
);

-- One row: the pace of reconciliation, shared by all processes.
create table tartan.check_pace (
  single     boolean primary key default true check (single),
  next_at    timestamptz not null default now(),       -- no check begins before
  items      bigint not null default 0,                -- linked items when they were last counted
  counted_at timestamptz
);
insert into tartan.check_pace default values;

create table tartan.api_keys (
  id         text primary key,                         -- key_…
  name       text not null unique,
  key_sha256 bytea not null unique,
  created_at timestamptz not null default now()
);

-- The master key that all processes on this database seal with: one row, none before the first seal. A process that starts
-- with a new key goes on sealing with this one; only a rotation changes it, once every process knows the new key.
create table tartan.sealing_key (
  one    boolean primary key default true check (one),
  key_id text not null check (key_id ~ '^[0-9a-f]{16}$') -- bytes 1-8 of every seal
);
