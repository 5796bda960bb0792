-- Account numbers, owners of accounts and statements of items.

-- Account numbers are masked before they are written, unless the integration reveals them.
create table plaid.auth_ach (
  integration_id              text not null,
  item_id                     text not null,
  account_id                  text not null,
  account                     text,
  routing                     text,
  wire_routing                text,
  is_tokenized_account_number boolean,
  can_transfer_in             boolean,
  can_transfer_out            boolean,
  raw                         jsonb not null,
  added_at                    timestamptz not null default now(),
  changed_at                  timestamptz not null default now(),
  removed_at                  timestamptz,
  primary key (integration_id, item_id, account_id)
);
create index auth_ach_removed on plaid.auth_ach (removed_at) where removed_at is not null;

create table plaid.auth_eft (
  integration_id text not null,
  item_id        text not null,
  account_id     text not null,
  account        text,
  institution    text,
  branch         text,
  raw            jsonb not null,
  added_at       timestamptz not null default now(),
  changed_at     timestamptz not null default now(),
  removed_at     timestamptz,
  primary key (integration_id, item_id, account_id)
);
create index auth_eft_removed on plaid.auth_eft (removed_at) where removed_at is not null;

create table plaid.auth_international (
  integration_id text not null,
  item_id        text not null,
  account_id     text not null,
  iban           text,
  bic            text,
  raw            jsonb not null,
  added_at       timestamptz not null default now(),
  changed_at     timestamptz not null default now(),
  removed_at     timestamptz,
  primary key (integration_id, item_id, account_id)
);
create index auth_international_removed on plaid.auth_international (removed_at) where removed_at is not null;

create table plaid.auth_bacs (
  integration_id text not null,
  item_id        text not null,
  account_id     text not null,
  account        text,
  sort_code      text,
  raw            jsonb not null,
  added_at       timestamptz not null default now(),
  changed_at     timestamptz not null default now(),
  removed_at     timestamptz,
  primary key (integration_id, item_id, account_id)
);
create index auth_bacs_removed on plaid.auth_bacs (removed_at) where removed_at is not null;

-- An owner has no id at Plaid: its position in the account's list tells it apart. Masked like account numbers.
create table plaid.identity_owners (
  integration_id text not null,
  item_id        text not null,
  account_id     text not null,
  position       text not null,                        -- from 1
  names          text[],
  emails         jsonb,
  phone_numbers  jsonb,
  addresses      jsonb,
  raw            jsonb not null,
  added_at       timestamptz not null default now(),
  changed_at     timestamptz not null default now(),
  removed_at     timestamptz,
  primary key (integration_id, item_id, account_id, position)
);
create index identity_owners_removed on plaid.identity_owners (removed_at) where removed_at is not null;

create table plaid.statements (
  integration_id        text not null,
  item_id               text not null,
  statement_id          text not null,
  account_id            text,
  year                  numeric,
  month                 numeric,
  date_posted           date,
  account_name          text,
  account_official_name text,
  account_type          text,
  account_subtype       text,
  account_mask          text,
  raw                   jsonb not null,
  added_at              timestamptz not null default now(),
  changed_at            timestamptz not null default now(),
  removed_at            timestamptz,
  primary key (integration_id, item_id, statement_id)
);
create index statements_removed on plaid.statements (removed_at) where removed_at is not null;

select tartan.protect_mirror();
