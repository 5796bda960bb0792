-- What belongs to no item: transfers, payments, wallets, identity verifications and screenings. Names, numbers of accounts and what
-- else is sensitive are masked before they are written, unless the integration reveals them.

-- A step of a transfer, a sweep or a refund.
create table plaid.transfer_events (
  integration_id                 text not null,
  event_id                       text not null,
  timestamp                      timestamptz,
  event_type                     text,
  transfer_id                    text,
  transfer_type                  text,
  transfer_amount                numeric,
  event_amount                   numeric,
  account_id                     text,
  funding_account_id             text,
  ledger_id                      text,
  failure_reason_failure_code    text,
  failure_reason_ach_return_code text,
  failure_reason_description     text,
  sweep_id                       text,
  sweep_amount                   numeric,
  refund_id                      text,
  originator_client_id           text,
  intent_id                      text,
  wire_return_fee                numeric,
  raw                            jsonb not null,
  added_at                       timestamptz not null default now(),
  changed_at                     timestamptz not null default now(),
  removed_at                     timestamptz,
  primary key (integration_id, event_id)
);
create index transfer_events_transfer on plaid.transfer_events (integration_id, transfer_id);
create index transfer_events_removed on plaid.transfer_events (removed_at) where removed_at is not null;

-- A transfer and how far it is.
create table plaid.transfers (
  integration_id                 text not null,
  transfer_id                    text not null,
  status                         text,
  type                           text,
  network                        text,
  ach_class                      text,
  amount                         numeric,
  iso_currency_code              text,
  description                    text,
  created                        timestamptz,
  sweep_status                   text,
  cancellable                    boolean,
  account_id                     text,
  funding_account_id             text,
  ledger_id                      text,
  authorization_id               text,
  recurring_transfer_id          text,
  originator_client_id           text,
  failure_reason_failure_code    text,
  failure_reason_ach_return_code text,
  failure_reason_description     text,
  guarantee_decision             text,
  standard_return_window         date,
  unauthorized_return_window     date,
  expected_settlement_date       date,
  expected_funds_available_date  date,
  facilitator_fee                numeric,
  network_trace_id               text,
  user_legal_name                text,
  user_email_address             text,
  user_phone_number              text,
  metadata                       jsonb,
  refunds                        jsonb,
  raw                            jsonb not null,
  added_at                       timestamptz not null default now(),
  changed_at                     timestamptz not null default now(),
  removed_at                     timestamptz,
  verified_at                    timestamptz,
  primary key (integration_id, transfer_id)
);
create index transfers_removed on plaid.transfers (removed_at) where removed_at is not null;

-- A recurring transfer, its schedule and the transfers that it made.
create table plaid.recurring_transfers (
  integration_id                  text not null,
  recurring_transfer_id           text not null,
  status                          text,
  type                            text,
  network                         text,
  ach_class                       text,
  amount                          numeric,
  iso_currency_code               text,
  description                     text,
  created                         timestamptz,
  next_origination_date           date,
  account_id                      text,
  funding_account_id              text,
  schedule_interval_unit          text,
  schedule_interval_count         numeric,
  schedule_interval_execution_day numeric,
  schedule_start_date             date,
  schedule_end_date               date,
  transfer_ids                    text[],
  user_legal_name                 text,
  user_email_address              text,
  user_phone_number               text,
  raw                             jsonb not null,
  added_at                        timestamptz not null default now(),
  changed_at                      timestamptz not null default now(),
  removed_at                      timestamptz,
  verified_at                     timestamptz,
  primary key (integration_id, recurring_transfer_id)
);
create index recurring_transfers_removed on plaid.recurring_transfers (removed_at) where removed_at is not null;

-- A business that you make transfers for.
create table plaid.originators (
  integration_id            text not null,
  originator_client_id      text not null,
  company_name              text,
  transfer_diligence_status text,
  outstanding_requirements  jsonb,
  raw                       jsonb not null,
  added_at                  timestamptz not null default now(),
  changed_at                timestamptz not null default now(),
  removed_at                timestamptz,
  verified_at               timestamptz,
  primary key (integration_id, originator_client_id)
);
create index originators_removed on plaid.originators (removed_at) where removed_at is not null;

-- A payment and its status.
create table plaid.payments (
  integration_id                  text not null,
  payment_id                      text not null,
  status                          text,
  last_status_update              timestamptz,
  amount_value                    numeric,
  amount_currency                 text,
  reference                       text,
  adjusted_reference              text,
  recipient_id                    text,
  consent_id                      text,
  wallet_id                       text,
  transaction_id                  text,
  end_to_end_id                   text,
  scheme                          text,
  adjusted_scheme                 text,
  amount_refunded_value           numeric,
  amount_refunded_currency        text,
  refund_ids                      text[],
  bacs_account                    text,
  bacs_sort_code                  text,
  iban                            text,
  schedule_interval               text,
  schedule_interval_execution_day numeric,
  schedule_start_date             date,
  schedule_end_date               date,
  schedule_adjusted_start_date    date,
  error_type                      text,
  error_code                      text,
  raw                             jsonb not null,
  added_at                        timestamptz not null default now(),
  changed_at                      timestamptz not null default now(),
  removed_at                      timestamptz,
  verified_at                     timestamptz,
  primary key (integration_id, payment_id)
);
create index payments_removed on plaid.payments (removed_at) where removed_at is not null;

-- A payer's consent to payments, and its limits.
create table plaid.payment_consents (
  integration_id                          text not null,
  consent_id                              text not null,
  status                                  text,
  created_at                              timestamptz,
  recipient_id                            text,
  reference                               text,
  type                                    text,
  scopes                                  text[],
  constraints_max_payment_amount_value    numeric,
  constraints_max_payment_amount_currency text,
  constraints_valid_date_time_from        timestamptz,
  constraints_valid_date_time_to          timestamptz,
  constraints_periodic_amounts            jsonb,
  payer_details_name                      text,
  payer_details_iban                      text,
  payer_details_bacs_account              text,
  payer_details_bacs_sort_code            text,
  raw                                     jsonb not null,
  added_at                                timestamptz not null default now(),
  changed_at                              timestamptz not null default now(),
  removed_at                              timestamptz,
  verified_at                             timestamptz,
  primary key (integration_id, consent_id)
);
create index payment_consents_removed on plaid.payment_consents (removed_at) where removed_at is not null;

-- A transaction of an e-wallet and its status.
create table plaid.wallet_transactions (
  integration_id                          text not null,
  transaction_id                          text not null,
  wallet_id                               text,
  status                                  text,
  type                                    text,
  amount_value                            numeric,
  amount_iso_currency_code                text,
  reference                               text,
  scheme                                  text,
  created_at                              timestamptz,
  last_status_update                      timestamptz,
  payment_id                              text,
  failure_reason                          text,
  payee_verification_status               text,
  counterparty_name                       text,
  counterparty_numbers_bacs_account       text,
  counterparty_numbers_bacs_sort_code     text,
  counterparty_numbers_international_iban text,
  related_transactions                    jsonb,
  error_type                              text,
  error_code                              text,
  raw                                     jsonb not null,
  added_at                                timestamptz not null default now(),
  changed_at                              timestamptz not null default now(),
  removed_at                              timestamptz,
  verified_at                             timestamptz,
  primary key (integration_id, transaction_id)
);
create index wallet_transactions_wallet on plaid.wallet_transactions (integration_id, wallet_id);
create index wallet_transactions_removed on plaid.wallet_transactions (removed_at) where removed_at is not null;

-- An e-wallet and its balance.
create table plaid.wallets (
  integration_id             text not null,
  wallet_id                  text not null,
  status                     text,
  balance_current            numeric,
  balance_available          numeric,
  balance_iso_currency_code  text,
  numbers_bacs_account       text,
  numbers_bacs_sort_code     text,
  numbers_international_iban text,
  numbers_international_bic  text,
  recipient_id               text,
  raw                        jsonb not null,
  added_at                   timestamptz not null default now(),
  changed_at                 timestamptz not null default now(),
  removed_at                 timestamptz,
  verified_at                timestamptz,
  primary key (integration_id, wallet_id)
);
create index wallets_removed on plaid.wallets (removed_at) where removed_at is not null;

-- A verification of a person's identity, and the outcome of its steps.
create table plaid.identity_verifications (
  integration_id                  text not null,
  identity_verification_id        text not null,
  client_user_id                  text,
  status                          text,
  created_at                      timestamptz,
  completed_at                    timestamptz,
  previous_attempt_id             text,
  template_id                     text,
  template_version                numeric,
  shareable_url                   text,
  steps_accept_tos                text,
  steps_verify_sms                text,
  steps_kyc_check                 text,
  steps_documentary_verification  text,
  steps_selfie_check              text,
  steps_watchlist_screening       text,
  steps_risk_check                text,
  kyc_check_status                text,
  kyc_check_address_summary       text,
  kyc_check_name_summary          text,
  kyc_check_date_of_birth_summary text,
  kyc_check_id_number_summary     text,
  kyc_check_phone_number_summary  text,
  documentary_verification_status text,
  selfie_check_status             text,
  risk_check_status               text,
  risk_check_trust_index_score    numeric,
  user_email_address              text,
  user_phone_number               text,
  user_name_given_name            text,
  user_name_family_name           text,
  user_date_of_birth              date,
  user_address_city               text,
  user_address_region             text,
  user_address_postal_code        text,
  user_address_country            text,
  user_id_number_value            text,
  user_id_number_type             text,
  watchlist_screening_id          text,
  redacted_at                     timestamptz,
  raw                             jsonb not null,
  added_at                        timestamptz not null default now(),
  changed_at                      timestamptz not null default now(),
  removed_at                      timestamptz,
  verified_at                     timestamptz,
  primary key (integration_id, identity_verification_id)
);
create index identity_verifications_removed on plaid.identity_verifications (removed_at) where removed_at is not null;

-- A screening of a person against watchlists.
create table plaid.watchlist_screenings (
  integration_id                    text not null,
  watchlist_screening_id            text not null,
  status                            text,
  client_user_id                    text,
  assignee                          text,
  search_terms_watchlist_program_id text,
  search_terms_legal_name           text,
  search_terms_date_of_birth        date,
  search_terms_document_number      text,
  search_terms_country              text,
  search_terms_version              numeric,
  audit_trail_source                text,
  audit_trail_dashboard_user_id     text,
  audit_trail_timestamp             timestamptz,
  raw                               jsonb not null,
  added_at                          timestamptz not null default now(),
  changed_at                        timestamptz not null default now(),
  removed_at                        timestamptz,
  verified_at                       timestamptz,
  primary key (integration_id, watchlist_screening_id)
);
create index watchlist_screenings_removed on plaid.watchlist_screenings (removed_at) where removed_at is not null;

-- A person on a watchlist who may be the one that is screened.
create table plaid.watchlist_screening_hits (
  integration_id                text not null,
  watchlist_screening_id        text not null,
  id                            text not null,
  review_status                 text,
  list_code                     text,
  first_active                  timestamptz,
  inactive_since                timestamptz,
  historical_since              timestamptz,
  plaid_uid                     text,
  source_uid                    text,
  sub_programs                  text[],
  analysis_names                text,
  analysis_documents            text,
  analysis_locations            text,
  analysis_search_terms_version numeric,
  analysis_dates_of_birth       text,
  raw                           jsonb not null,
  added_at                      timestamptz not null default now(),
  changed_at                    timestamptz not null default now(),
  removed_at                    timestamptz,
  primary key (integration_id, watchlist_screening_id, id)
);
create index watchlist_screening_hits_removed on plaid.watchlist_screening_hits (removed_at) where removed_at is not null;

-- A screening of a firm against watchlists.
create table plaid.entity_watchlist_screenings (
  integration_id                           text not null,
  entity_watchlist_screening_id            text not null,
  status                                   text,
  client_user_id                           text,
  assignee                                 text,
  search_terms_entity_watchlist_program_id text,
  search_terms_legal_name                  text,
  search_terms_document_number             text,
  search_terms_email_address               text,
  search_terms_phone_number                text,
  search_terms_country                     text,
  search_terms_url                         text,
  search_terms_version                     numeric,
  audit_trail_source                       text,
  audit_trail_dashboard_user_id            text,
  audit_trail_timestamp                    timestamptz,
  raw                                      jsonb not null,
  added_at                                 timestamptz not null default now(),
  changed_at                               timestamptz not null default now(),
  removed_at                               timestamptz,
  verified_at                              timestamptz,
  primary key (integration_id, entity_watchlist_screening_id)
);
create index entity_watchlist_screenings_removed on plaid.entity_watchlist_screenings (removed_at) where removed_at is not null;

-- A firm on a watchlist that may be the one that is screened.
create table plaid.entity_watchlist_screening_hits (
  integration_id                text not null,
  entity_watchlist_screening_id text not null,
  id                            text not null,
  review_status                 text,
  list_code                     text,
  first_active                  timestamptz,
  inactive_since                timestamptz,
  historical_since              timestamptz,
  plaid_uid                     text,
  source_uid                    text,
  sub_programs                  text[],
  analysis_names                text,
  analysis_documents            text,
  analysis_locations            text,
  analysis_search_terms_version numeric,
  analysis_email_addresses      text,
  analysis_phone_numbers        text,
  analysis_urls                 text,
  raw                           jsonb not null,
  added_at                      timestamptz not null default now(),
  changed_at                    timestamptz not null default now(),
  removed_at                    timestamptz,
  primary key (integration_id, entity_watchlist_screening_id, id)
);
create index entity_watchlist_screening_hits_removed on plaid.entity_watchlist_screening_hits (removed_at) where removed_at is not null;

select tartan.protect_mirror();
