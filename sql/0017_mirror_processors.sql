-- What a processor reads of one account with a processor token: the item's resources, without the item. Sensitive fields are masked before
-- they are written, unless the integration reveals them.

-- An account, which stands for what is read with its processor token.
create table plaid.processor_accounts (
  integration_id                    text not null,
  account_id                        text not null,
  institution_id                    text,
  persistent_account_id             text,
  name                              text,
  official_name                     text,
  mask                              text,
  type                              text,
  subtype                           text,
  holder_category                   text,
  verification_status               text,
  verification_name                 text,
  verification_insights             jsonb,
  apy                               numeric,
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
  verified_at                       timestamptz,
  primary key (integration_id, account_id)
);
create index processor_accounts_removed on plaid.processor_accounts (removed_at) where removed_at is not null;

create table plaid.processor_transactions (
  integration_id                             text not null,
  account_id                                 text not null,
  transaction_id                             text not null,
  amount                                     numeric,
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
  personal_finance_category_version          text,
  merchant_category_code                     text,
  running_balance                            numeric,
  location_city                              text,
  location_region                            text,
  location_postal_code                       text,
  location_country                           text,
  payment_meta_payee                         text,
  payment_meta_payer                         text,
  payment_meta_reference_number              text,
  counterparties                             jsonb,
  raw                                        jsonb not null,
  added_at                                   timestamptz not null default now(),
  changed_at                                 timestamptz not null default now(),
  removed_at                                 timestamptz,
  primary key (integration_id, account_id, transaction_id)
) with (fillfactor = 90);
alter table plaid.processor_transactions set (toast_tuple_target = 4080); -- as plaid.transactions
create index processor_transactions_by_account_and_date on plaid.processor_transactions (account_id, date);
create index processor_transactions_removed on plaid.processor_transactions (removed_at) where removed_at is not null;

-- Of each network an account has its numbers once: network says which, as the name of the table does.
create table plaid.processor_auth_ach (
  integration_id              text not null,
  account_id                  text not null,
  network                     text not null,
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
  primary key (integration_id, account_id, network)
);
create index processor_auth_ach_removed on plaid.processor_auth_ach (removed_at) where removed_at is not null;

create table plaid.processor_auth_eft (
  integration_id text not null,
  account_id     text not null,
  network        text not null,
  account        text,
  institution    text,
  branch         text,
  raw            jsonb not null,
  added_at       timestamptz not null default now(),
  changed_at     timestamptz not null default now(),
  removed_at     timestamptz,
  primary key (integration_id, account_id, network)
);
create index processor_auth_eft_removed on plaid.processor_auth_eft (removed_at) where removed_at is not null;

create table plaid.processor_auth_international (
  integration_id text not null,
  account_id     text not null,
  network        text not null,
  iban           text,
  bic            text,
  raw            jsonb not null,
  added_at       timestamptz not null default now(),
  changed_at     timestamptz not null default now(),
  removed_at     timestamptz,
  primary key (integration_id, account_id, network)
);
create index processor_auth_international_removed on plaid.processor_auth_international (removed_at) where removed_at is not null;

create table plaid.processor_auth_bacs (
  integration_id text not null,
  account_id     text not null,
  network        text not null,
  account        text,
  sort_code      text,
  raw            jsonb not null,
  added_at       timestamptz not null default now(),
  changed_at     timestamptz not null default now(),
  removed_at     timestamptz,
  primary key (integration_id, account_id, network)
);
create index processor_auth_bacs_removed on plaid.processor_auth_bacs (removed_at) where removed_at is not null;

create table plaid.processor_identity_owners (
  integration_id text not null,
  account_id     text not null,
  position       text not null,
  names          text[],
  emails         jsonb,
  phone_numbers  jsonb,
  addresses      jsonb,
  raw            jsonb not null,
  added_at       timestamptz not null default now(),
  changed_at     timestamptz not null default now(),
  removed_at     timestamptz,
  primary key (integration_id, account_id, position)
);
create index processor_identity_owners_removed on plaid.processor_identity_owners (removed_at) where removed_at is not null;

create table plaid.processor_holdings (
  integration_id             text not null,
  account_id                 text not null,
  security_id                text not null,
  quantity                   numeric,
  institution_price          numeric,
  institution_price_as_of    date,
  institution_price_datetime timestamptz,
  institution_value          numeric,
  cost_basis                 numeric,
  vested_quantity            numeric,
  vested_value               numeric,
  iso_currency_code          text,
  unofficial_currency_code   text,
  tax_lots                   jsonb,
  raw                        jsonb not null,
  added_at                   timestamptz not null default now(),
  changed_at                 timestamptz not null default now(),
  removed_at                 timestamptz,
  primary key (integration_id, account_id, security_id)
);
create index processor_holdings_removed on plaid.processor_holdings (removed_at) where removed_at is not null;

create table plaid.processor_securities (
  integration_id                             text not null,
  account_id                                 text not null,
  security_id                                text not null,
  isin                                       text,
  cusip                                      text,
  sedol                                      text,
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
  figi                                       text,
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
  primary key (integration_id, account_id, security_id)
);
create index processor_securities_removed on plaid.processor_securities (removed_at) where removed_at is not null;

-- The one account leaves no id to tell terms apart, so their position does.
create table plaid.processor_liabilities_credit (
  integration_id            text not null,
  account_id                text not null,
  position                  text not null,
  aprs                      jsonb,
  is_overdue                boolean,
  last_payment_amount       numeric,
  last_payment_date         date,
  last_statement_issue_date date,
  last_statement_balance    numeric,
  minimum_payment_amount    numeric,
  next_payment_due_date     date,
  raw                       jsonb not null,
  added_at                  timestamptz not null default now(),
  changed_at                timestamptz not null default now(),
  removed_at                timestamptz,
  primary key (integration_id, account_id, position)
);
create index processor_liabilities_credit_removed on plaid.processor_liabilities_credit (removed_at) where removed_at is not null;

create table plaid.processor_liabilities_mortgage (
  integration_id               text not null,
  account_id                   text not null,
  position                     text not null,
  account_number               text,
  current_late_fee             numeric,
  escrow_balance               numeric,
  has_pmi                      boolean,
  has_prepayment_penalty       boolean,
  interest_rate_percentage     numeric,
  interest_rate_type           text,
  last_payment_amount          numeric,
  last_payment_date            date,
  loan_type_description        text,
  loan_term                    text,
  maturity_date                date,
  next_monthly_payment         numeric,
  next_payment_due_date        date,
  origination_date             date,
  origination_principal_amount numeric,
  past_due_amount              numeric,
  property_address_street      text,
  property_address_city        text,
  property_address_region      text,
  property_address_postal_code text,
  property_address_country     text,
  ytd_interest_paid            numeric,
  ytd_principal_paid           numeric,
  raw                          jsonb not null,
  added_at                     timestamptz not null default now(),
  changed_at                   timestamptz not null default now(),
  removed_at                   timestamptz,
  primary key (integration_id, account_id, position)
);
create index processor_liabilities_mortgage_removed on plaid.processor_liabilities_mortgage (removed_at) where removed_at is not null;

create table plaid.processor_liabilities_student (
  integration_id                         text not null,
  account_id                             text not null,
  position                               text not null,
  account_number                         text,
  disbursement_dates                     text[],
  expected_payoff_date                   date,
  guarantor                              text,
  interest_rate_percentage               numeric,
  is_overdue                             boolean,
  last_payment_amount                    numeric,
  last_payment_date                      date,
  last_statement_balance                 numeric,
  last_statement_issue_date              date,
  loan_name                              text,
  loan_status_end_date                   date,
  loan_status_type                       text,
  minimum_payment_amount                 numeric,
  next_payment_due_date                  date,
  origination_date                       date,
  origination_principal_amount           numeric,
  outstanding_interest_amount            numeric,
  payment_reference_number               text,
  pslf_status_estimated_eligibility_date date,
  pslf_status_payments_made              numeric,
  pslf_status_payments_remaining         numeric,
  repayment_plan_description             text,
  repayment_plan_type                    text,
  sequence_number                        text,
  servicer_address_street                text,
  servicer_address_city                  text,
  servicer_address_region                text,
  servicer_address_postal_code           text,
  servicer_address_country               text,
  ytd_interest_paid                      numeric,
  ytd_principal_paid                     numeric,
  raw                                    jsonb not null,
  added_at                               timestamptz not null default now(),
  changed_at                             timestamptz not null default now(),
  removed_at                             timestamptz,
  primary key (integration_id, account_id, position)
);
create index processor_liabilities_student_removed on plaid.processor_liabilities_student (removed_at) where removed_at is not null;

create table plaid.processor_liabilities_loan (
  integration_id               text not null,
  account_id                   text not null,
  position                     text not null,
  account_number               text,
  interest_rate_percentage     numeric,
  interest_rate_type           text,
  principal_balance            numeric,
  origination_principal_amount numeric,
  origination_date             date,
  loan_term_months             numeric,
  maturity_date                date,
  payment_count                numeric,
  payment_frequency            text,
  next_payment_amount          numeric,
  next_payment_due_date        date,
  last_payment_amount          numeric,
  last_payment_date            date,
  payoff_amount                numeric,
  ytd_interest_paid            numeric,
  compounding_period           text,
  raw                          jsonb not null,
  added_at                     timestamptz not null default now(),
  changed_at                   timestamptz not null default now(),
  removed_at                   timestamptz,
  primary key (integration_id, account_id, position)
);
create index processor_liabilities_loan_removed on plaid.processor_liabilities_loan (removed_at) where removed_at is not null;

create table plaid.processor_liabilities_line_of_credit (
  integration_id            text not null,
  account_id                text not null,
  position                  text not null,
  aprs                      jsonb,
  interest_rate_percentage  numeric,
  interest_rate_type        text,
  credit_limit              numeric,
  available_credit          numeric,
  principal_balance         numeric,
  minimum_payment_amount    numeric,
  next_payment_amount       numeric,
  next_payment_due_date     date,
  last_payment_amount       numeric,
  last_payment_date         date,
  last_statement_balance    numeric,
  last_statement_issue_date date,
  past_due_amount           numeric,
  finance_charges           numeric,
  draw_period_end_date      date,
  raw                       jsonb not null,
  added_at                  timestamptz not null default now(),
  changed_at                timestamptz not null default now(),
  removed_at                timestamptz,
  primary key (integration_id, account_id, position)
);
create index processor_liabilities_line_of_credit_removed on plaid.processor_liabilities_line_of_credit (removed_at) where removed_at is not null;

create table plaid.processor_investment_transactions (
  integration_id            text not null,
  account_id                text not null,
  investment_transaction_id text not null,
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
  primary key (integration_id, account_id, investment_transaction_id)
);
create index processor_investment_transactions_by_account_and_date on plaid.processor_investment_transactions (account_id, date);
create index processor_investment_transactions_removed on plaid.processor_investment_transactions (removed_at) where removed_at is not null;

create table plaid.processor_traded_securities (
  integration_id                             text not null,
  account_id                                 text not null,
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
  primary key (integration_id, account_id, security_id)
);
create index processor_traded_securities_removed on plaid.processor_traded_securities (removed_at) where removed_at is not null;

create table plaid.processor_recurring_streams (
  integration_id                             text not null,
  account_id                                 text not null,
  stream_id                                  text not null,
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
  primary key (integration_id, account_id, stream_id)
);
create index processor_recurring_streams_removed on plaid.processor_recurring_streams (removed_at) where removed_at is not null;

-- One row, which the type of the account tells apart, since a key needs a field. Plaid bills each reading of it.
create table plaid.processor_balances (
  integration_id                    text not null,
  account_id                        text not null,
  type                              text not null,
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
  primary key (integration_id, account_id, type)
);
create index processor_balances_removed on plaid.processor_balances (removed_at) where removed_at is not null;

select tartan.protect_mirror();
