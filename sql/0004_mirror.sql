-- The copy, for users and their BI tools: one table a Plaid resource, columns named as Plaid names them (a nested field
-- is its path joined by _), money as numeric, the whole object in raw. Rows are never deleted: removed_at says since
-- when Plaid no longer has them, and plaid.current_* leaves those out. added_at says since when Plaid has a row (a row that
-- comes back is added again), changed_at when anything of it last changed.

create schema plaid;

create table plaid.items (
  integration_id          text not null,
  item_id                 text not null,
  user_id                 text,
  institution_id          text,
  institution_name        text,
  webhook                 text,
  auth_method             text,
  error_type              text,
  error_code              text,
  error                   jsonb,
  available_products      text[],
  billed_products         text[],
  products                text[],
  consented_products      text[],
  consent_expiration_time timestamptz,
  update_type             text,
  created_at              timestamptz,
  status_transactions_last_successful_update timestamptz,
  status_transactions_last_failed_update     timestamptz,
  status_last_webhook_sent_at                timestamptz,
  status_last_webhook_code_sent              text,
  raw                     jsonb not null,
  added_at                timestamptz not null default now(),
  changed_at              timestamptz not null default now(),
  removed_at              timestamptz,
  verified_at             timestamptz,                 -- all of the item's rows were equal to Plaid then
  primary key (integration_id, item_id)
);
create index items_by_user on plaid.items (user_id) where user_id is not null;

create table plaid.accounts (
  integration_id                    text not null,
  item_id                           text not null,
  account_id                        text not null,
  persistent_account_id             text,
  name                              text,
  official_name                     text,
  mask                              text,
  type                              text,
  subtype                           text,
  holder_category                   text,
  verification_status               text,
  balances_available                numeric,
  balances_current                  numeric,
  balances_limit                    numeric,
  balances_iso_currency_code        text,
  balances_unofficial_currency_code text,
  balances_last_updated_datetime    timestamptz,
  raw                               jsonb not null,
  added_at                          timestamptz not null default now(),
  changed_at                        timestamptz not null default now(),
  removed_at                        timestamptz,
  primary key (integration_id, item_id, account_id)
);

create table plaid.transactions (
  integration_id                             text not null,
  item_id                                    text not null,
  transaction_id                             text not null,
  account_id                                 text,
  amount                                     numeric,    -- positive: money out
  iso_currency_code                          text,
  unofficial_currency_code                   text,
  date                                       date,
  datetime                                   timestamptz,
  authorized_date                            date,
  authorized_datetime                        timestamptz,
  name                                       text,
  original_description                       text,
  merchant_name                              text,
  merchant_entity_id                         text,
  logo_url                                   text,
  website                                    text,
  pending                                    boolean,
  pending_transaction_id                     text,
  account_owner                              text,
  payment_channel                            text,
  transaction_code                           text,
  check_number                               text,
  personal_finance_category_primary          text,
  personal_finance_category_detailed         text,
  personal_finance_category_confidence_level text,
  raw                                        jsonb not null,
  added_at                                   timestamptz not null default now(),
  changed_at                                 timestamptz not null default now(),
  removed_at                                 timestamptz,
  primary key (integration_id, item_id, transaction_id)
) with (fillfactor = 90);
create index transactions_by_account_and_date on plaid.transactions (account_id, date);

create table plaid.institutions (
  integration_id text not null,
  institution_id text not null,
  name           text,
  products       text[],
  country_codes  text[],
  url            text,
  primary_color  text,
  logo           text,
  routing_numbers text[],
  oauth          boolean,
  status         jsonb,
  raw            jsonb not null,
  added_at       timestamptz not null default now(),
  changed_at     timestamptz not null default now(),
  removed_at     timestamptz,
  verified_at    timestamptz,
  primary key (integration_id, institution_id)
);

create view plaid.current_items with (security_barrier) as
  select * from plaid.items where removed_at is null;
create view plaid.current_accounts with (security_barrier) as
  select * from plaid.accounts where removed_at is null;
create view plaid.current_transactions with (security_barrier) as
  select * from plaid.transactions where removed_at is null;
create view plaid.current_institutions with (security_barrier) as
  select * from plaid.institutions where removed_at is null;
