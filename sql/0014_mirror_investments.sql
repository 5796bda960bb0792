-- Investment transactions, recurring streams and real-time balances of items.

create table plaid.investment_transactions (
  integration_id            text not null,
  item_id                   text not null,
  investment_transaction_id text not null,
  account_id                text,
  security_id               text,
  date                      date,
  transaction_datetime      timestamptz,
  name                      text,
  quantity                  numeric,
  amount                    numeric,
  price                     numeric,
  fees                      numeric,
  type                      text,
  subtype                   text,
  iso_currency_code         text,
  unofficial_currency_code  text,
  cancel_transaction_id     text,
  raw                       jsonb not null,
  added_at                  timestamptz not null default now(),
  changed_at                timestamptz not null default now(),
  removed_at                timestamptz,
  primary key (integration_id, item_id, investment_transaction_id)
);
create index investment_transactions_by_account_and_date on plaid.investment_transactions (account_id, date);
create index investment_transactions_removed on plaid.investment_transactions (removed_at) where removed_at is not null;

-- Plaid has one row of a security for all items; here each item has its own, as in plaid.securities.
create table plaid.traded_securities (
  integration_id                             text not null,
  item_id                                    text not null,
  security_id                                text not null,
  isin                                       text,
  cusip                                      text,
  sedol                                      text,
  figi                                       text,
  institution_security_id                    text,
  institution_id                             text,
  proxy_security_id                          text,
  name                                       text,
  ticker_symbol                              text,
  is_cash_equivalent                         boolean,
  type                                       text,
  subtype                                    text,
  close_price                                numeric,
  close_price_as_of                          date,
  update_datetime                            timestamptz,
  iso_currency_code                          text,
  unofficial_currency_code                   text,
  market_identifier_code                     text,
  sector                                     text,
  industry                                   text,
  cfi_code                                   text,
  option_contract_contract_type              text,
  option_contract_expiration_date            date,
  option_contract_strike_price               numeric,
  option_contract_underlying_security_ticker text,
  fixed_income_face_value                    numeric,
  fixed_income_issue_date                    date,
  fixed_income_maturity_date                 date,
  fixed_income_yield_rate_percentage         numeric,
  fixed_income_yield_rate_type               text,
  raw                                        jsonb not null,
  added_at                                   timestamptz not null default now(),
  changed_at                                 timestamptz not null default now(),
  removed_at                                 timestamptz,
  primary key (integration_id, item_id, security_id)
);
create index traded_securities_removed on plaid.traded_securities (removed_at) where removed_at is not null;

create table plaid.recurring_streams (
  integration_id                             text not null,
  item_id                                    text not null,
  stream_id                                  text not null,
  account_id                                 text,
  direction                                  text,
  description                                text,
  merchant_name                              text,
  frequency                                  text,
  status                                     text,
  is_active                                  boolean,
  first_date                                 date,
  last_date                                  date,
  predicted_next_date                        date,
  average_amount_amount                      numeric,
  last_amount_amount                         numeric,
  average_amount_iso_currency_code           text,
  average_amount_unofficial_currency_code    text,
  transaction_ids                            text[],
  personal_finance_category_primary          text,
  personal_finance_category_detailed         text,
  personal_finance_category_confidence_level text,
  raw                                        jsonb not null,
  added_at                                   timestamptz not null default now(),
  changed_at                                 timestamptz not null default now(),
  removed_at                                 timestamptz,
  primary key (integration_id, item_id, stream_id)
);
create index recurring_streams_removed on plaid.recurring_streams (removed_at) where removed_at is not null;

-- Plaid bills each reading of these; plaid.accounts has the balances that Plaid has cached.
create table plaid.balances (
  integration_id                    text not null,
  item_id                           text not null,
  account_id                        text not null,
  type                              text,
  subtype                           text,
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
create index balances_removed on plaid.balances (removed_at) where removed_at is not null;

select tartan.protect_mirror();
