-- What Plaid has of users: income, Plaid Check reports; and asset reports and Link sessions.

create table plaid.users (
  integration_id            text not null,
  plaid_user_id             text not null,
  client_user_id            text,
  created_at                timestamptz,
  updated_at                timestamptz,
  identity_name_given_name  text,
  identity_name_family_name text,
  identity_date_of_birth    text,
  identity_emails           jsonb,
  identity_phone_numbers    jsonb,
  identity_addresses        jsonb,
  identity_id_numbers       jsonb,
  raw                       jsonb not null,
  added_at                  timestamptz not null default now(),
  changed_at                timestamptz not null default now(),
  removed_at                timestamptz,
  verified_at               timestamptz,
  primary key (integration_id, plaid_user_id)
);
create index users_removed on plaid.users (removed_at) where removed_at is not null;

create table plaid.user_items (
  integration_id          text not null,
  plaid_user_id           text not null,
  item_id                 text not null,
  institution_id          text,
  institution_name        text,
  error_type              text,
  error_code              text,
  error                   jsonb,
  products                text[],
  billed_products         text[],
  consented_products      text[],
  consent_expiration_time timestamptz,
  update_type             text,
  raw                     jsonb not null,
  added_at                timestamptz not null default now(),
  changed_at              timestamptz not null default now(),
  removed_at              timestamptz,
  primary key (integration_id, plaid_user_id, item_id)
);
create index user_items_removed on plaid.user_items (removed_at) where removed_at is not null;

create table plaid.payroll_items (
  integration_id           text not null,
  plaid_user_id            text not null,
  item_id                  text not null,
  institution_id           text,
  institution_name         text,
  status_processing_status text,
  updated_at               timestamptz,
  raw                      jsonb not null,
  added_at                 timestamptz not null default now(),
  changed_at               timestamptz not null default now(),
  removed_at               timestamptz,
  primary key (integration_id, plaid_user_id, item_id)
);
create index payroll_items_removed on plaid.payroll_items (removed_at) where removed_at is not null;

create table plaid.payroll_accounts (
  integration_id         text not null,
  plaid_user_id          text not null,
  item_id                text not null,
  position               text not null,
  account_id             text,
  rate_of_pay_pay_amount numeric,
  rate_of_pay_pay_rate   text,
  pay_frequency          text,
  raw                    jsonb not null,
  added_at               timestamptz not null default now(),
  changed_at             timestamptz not null default now(),
  removed_at             timestamptz,
  primary key (integration_id, plaid_user_id, item_id, position)
);
create index payroll_accounts_removed on plaid.payroll_accounts (removed_at) where removed_at is not null;

create table plaid.pay_stubs (
  integration_id                    text not null,
  plaid_user_id                     text not null,
  item_id                           text not null,
  position                          text not null,
  account_id                        text,
  document_id                       text,
  document_metadata_name            text,
  document_metadata_status          text,
  employer_name                     text,
  employee_name                     text,
  employee_taxpayer_id_id_mask      text,
  pay_period_details_pay_date       date,
  pay_period_details_start_date     date,
  pay_period_details_end_date       date,
  pay_period_details_pay_frequency  text,
  pay_period_details_gross_earnings numeric,
  earnings_total_current_amount     numeric,
  earnings_total_ytd_amount         numeric,
  earnings_total_hours              numeric,
  deductions_total_current_amount   numeric,
  deductions_total_ytd_amount       numeric,
  net_pay_current_amount            numeric,
  net_pay_ytd_amount                numeric,
  net_pay_iso_currency_code         text,
  earnings_breakdown                jsonb,
  deductions_breakdown              jsonb,
  raw                               jsonb not null,
  added_at                          timestamptz not null default now(),
  changed_at                        timestamptz not null default now(),
  removed_at                        timestamptz,
  primary key (integration_id, plaid_user_id, item_id, position)
);
create index pay_stubs_removed on plaid.pay_stubs (removed_at) where removed_at is not null;

create table plaid.w2s (
  integration_id               text not null,
  plaid_user_id                text not null,
  item_id                      text not null,
  position                     text not null,
  account_id                   text,
  document_id                  text,
  tax_year                     text,
  employer_name                text,
  employer_id_number           text,
  employee_name                text,
  employee_taxpayer_id_id_mask text,
  wages_tips_other_comp        text,
  federal_income_tax_withheld  text,
  social_security_wages        text,
  social_security_tax_withheld text,
  medicare_wages_and_tips      text,
  medicare_tax_withheld        text,
  box_12                       jsonb,
  state_and_local_wages        jsonb,
  raw                          jsonb not null,
  added_at                     timestamptz not null default now(),
  changed_at                   timestamptz not null default now(),
  removed_at                   timestamptz,
  primary key (integration_id, plaid_user_id, item_id, position)
);
create index w2s_removed on plaid.w2s (removed_at) where removed_at is not null;

create table plaid.form_1099s (
  integration_id              text not null,
  plaid_user_id               text not null,
  item_id                     text not null,
  position                    text not null,
  account_id                  text,
  document_id                 text,
  form_1099_type              text,
  tax_year                    text,
  payer_name                  text,
  payer_tin                   text,
  filer_name                  text,
  recipient_name              text,
  recipient_tin               text,
  nonemployee_compensation    numeric,
  other_income                numeric,
  rents                       numeric,
  royalties                   numeric,
  gross_amount                numeric,
  federal_income_tax_withheld numeric,
  raw                         jsonb not null,
  added_at                    timestamptz not null default now(),
  changed_at                  timestamptz not null default now(),
  removed_at                  timestamptz,
  primary key (integration_id, plaid_user_id, item_id, position)
);
create index form_1099s_removed on plaid.form_1099s (removed_at) where removed_at is not null;

create table plaid.payroll_risk_signals (
  integration_id                   text not null,
  plaid_user_id                    text not null,
  item_id                          text not null,
  position                         text not null,
  account_id                       text,
  document_reference_document_id   text,
  document_reference_document_name text,
  document_reference_document_type text,
  document_reference_status        text,
  risk_summary_risk_score          numeric,
  risk_signals                     jsonb,
  raw                              jsonb not null,
  added_at                         timestamptz not null default now(),
  changed_at                       timestamptz not null default now(),
  removed_at                       timestamptz,
  primary key (integration_id, plaid_user_id, item_id, position)
);
create index payroll_risk_signals_removed on plaid.payroll_risk_signals (removed_at) where removed_at is not null;

create table plaid.payroll_risk_signals_across (
  integration_id      text not null,
  plaid_user_id       text not null,
  item_id             text not null,
  position            text not null,
  account_id          text,
  document_references jsonb,
  risk_signals        jsonb,
  raw                 jsonb not null,
  added_at            timestamptz not null default now(),
  changed_at          timestamptz not null default now(),
  removed_at          timestamptz,
  primary key (integration_id, plaid_user_id, item_id, position)
);
create index payroll_risk_signals_across_removed on plaid.payroll_risk_signals_across (removed_at) where removed_at is not null;

create table plaid.bank_income_reports (
  integration_id                                text not null,
  plaid_user_id                                 text not null,
  bank_income_id                                text not null,
  generated_time                                timestamptz,
  days_requested                                numeric,
  bank_income_summary_start_date                date,
  bank_income_summary_end_date                  date,
  bank_income_summary_income_sources_count      numeric,
  bank_income_summary_income_transactions_count numeric,
  bank_income_summary_total_amounts             jsonb,
  warnings                                      jsonb,
  raw                                           jsonb not null,
  added_at                                      timestamptz not null default now(),
  changed_at                                    timestamptz not null default now(),
  removed_at                                    timestamptz,
  primary key (integration_id, plaid_user_id, bank_income_id)
);
create index bank_income_reports_removed on plaid.bank_income_reports (removed_at) where removed_at is not null;

create table plaid.bank_income_accounts (
  integration_id   text not null,
  plaid_user_id    text not null,
  bank_income_id   text not null,
  account_id       text not null,
  item_id          text,
  institution_id   text,
  institution_name text,
  name             text,
  official_name    text,
  mask             text,
  type             text,
  subtype          text,
  owners           jsonb,
  raw              jsonb not null,
  added_at         timestamptz not null default now(),
  changed_at       timestamptz not null default now(),
  removed_at       timestamptz,
  primary key (integration_id, plaid_user_id, bank_income_id, account_id)
);
create index bank_income_accounts_removed on plaid.bank_income_accounts (removed_at) where removed_at is not null;

create table plaid.bank_income_sources (
  integration_id     text not null,
  plaid_user_id      text not null,
  bank_income_id     text not null,
  income_source_id   text not null,
  item_id            text,
  account_id         text,
  income_description text,
  income_category    text,
  pay_frequency      text,
  start_date         date,
  end_date           date,
  total_amount       numeric,
  transaction_count  numeric,
  raw                jsonb not null,
  added_at           timestamptz not null default now(),
  changed_at         timestamptz not null default now(),
  removed_at         timestamptz,
  primary key (integration_id, plaid_user_id, bank_income_id, income_source_id)
);
create index bank_income_sources_removed on plaid.bank_income_sources (removed_at) where removed_at is not null;

create table plaid.bank_income_months (
  integration_id   text not null,
  plaid_user_id    text not null,
  bank_income_id   text not null,
  income_source_id text not null,
  start_date       text not null,
  end_date         date,
  total_amounts    jsonb,
  transactions     jsonb,
  raw              jsonb not null,
  added_at         timestamptz not null default now(),
  changed_at       timestamptz not null default now(),
  removed_at       timestamptz,
  primary key (integration_id, plaid_user_id, bank_income_id, income_source_id, start_date)
);
create index bank_income_months_removed on plaid.bank_income_months (removed_at) where removed_at is not null;

create table plaid.cra_base_reports (
  integration_id                              text not null,
  plaid_user_id                               text not null,
  report_id                                   text not null,
  date_generated                              timestamptz,
  days_requested                              numeric,
  client_report_id                            text,
  attributes_nsf_overdraft_transactions_count numeric,
  attributes_total_inflow_amount_amount       numeric,
  attributes_total_outflow_amount_amount      numeric,
  warnings                                    jsonb,
  raw                                         jsonb not null,
  added_at                                    timestamptz not null default now(),
  changed_at                                  timestamptz not null default now(),
  removed_at                                  timestamptz,
  primary key (integration_id, plaid_user_id, report_id)
);
create index cra_base_reports_removed on plaid.cra_base_reports (removed_at) where removed_at is not null;

create table plaid.cra_base_report_accounts (
  integration_id                              text not null,
  plaid_user_id                               text not null,
  account_id                                  text not null,
  item_id                                     text,
  institution_id                              text,
  institution_name                            text,
  date_last_updated                           timestamptz,
  name                                        text,
  official_name                               text,
  mask                                        text,
  type                                        text,
  subtype                                     text,
  ownership_type                              text,
  balances_available                          numeric,
  balances_current                            numeric,
  balances_average_balance                    numeric,
  balances_iso_currency_code                  text,
  days_available                              numeric,
  attributes_is_primary_account               boolean,
  attributes_nsf_overdraft_transactions_count numeric,
  owners                                      jsonb,
  historical_balances                         jsonb,
  consumer_disputes                           jsonb,
  raw                                         jsonb not null,
  added_at                                    timestamptz not null default now(),
  changed_at                                  timestamptz not null default now(),
  removed_at                                  timestamptz,
  primary key (integration_id, plaid_user_id, account_id)
);
create index cra_base_report_accounts_removed on plaid.cra_base_report_accounts (removed_at) where removed_at is not null;

create table plaid.cra_base_report_transactions (
  integration_id                     text not null,
  plaid_user_id                      text not null,
  transaction_id                     text not null,
  item_id                            text,
  account_id                         text,
  amount                             numeric,
  iso_currency_code                  text,
  date                               date,
  original_description               text,
  merchant_name                      text,
  pending                            boolean,
  credit_category_primary            text,
  credit_category_detailed           text,
  personal_finance_category_primary  text,
  personal_finance_category_detailed text,
  raw                                jsonb not null,
  added_at                           timestamptz not null default now(),
  changed_at                         timestamptz not null default now(),
  removed_at                         timestamptz,
  primary key (integration_id, plaid_user_id, transaction_id)
);
create index cra_base_report_transactions_removed on plaid.cra_base_report_transactions (removed_at) where removed_at is not null;

create table plaid.cra_income_insights (
  integration_id                                        text not null,
  plaid_user_id                                         text not null,
  report_id                                             text not null,
  generated_time                                        timestamptz,
  days_requested                                        numeric,
  client_report_id                                      text,
  user_summary_income_metrics                           jsonb,
  bank_income_summary_income_sources_count              numeric,
  bank_income_summary_historical_average_monthly_income jsonb,
  bank_income_summary_forecasted_average_monthly_income jsonb,
  bank_income_summary_historical_annual_income          jsonb,
  warnings                                              jsonb,
  raw                                                   jsonb not null,
  added_at                                              timestamptz not null default now(),
  changed_at                                            timestamptz not null default now(),
  removed_at                                            timestamptz,
  primary key (integration_id, plaid_user_id, report_id)
);
create index cra_income_insights_removed on plaid.cra_income_insights (removed_at) where removed_at is not null;

create table plaid.cra_income_accounts (
  integration_id   text not null,
  plaid_user_id    text not null,
  account_id       text not null,
  item_id          text,
  institution_id   text,
  institution_name text,
  name             text,
  mask             text,
  type             text,
  subtype          text,
  owners           jsonb,
  raw              jsonb not null,
  added_at         timestamptz not null default now(),
  changed_at       timestamptz not null default now(),
  removed_at       timestamptz,
  primary key (integration_id, plaid_user_id, account_id)
);
create index cra_income_accounts_removed on plaid.cra_income_accounts (removed_at) where removed_at is not null;

create table plaid.cra_income_sources (
  integration_id                          text not null,
  plaid_user_id                           text not null,
  income_source_id                        text not null,
  item_id                                 text,
  account_id                              text,
  income_description                      text,
  income_category                         text,
  employer_name                           text,
  income_provider_name                    text,
  pay_frequency                           text,
  status                                  text,
  start_date                              date,
  end_date                                date,
  next_payment_date                       date,
  total_amount                            numeric,
  iso_currency_code                       text,
  transaction_count                       numeric,
  historical_average_monthly_income       numeric,
  historical_average_monthly_gross_income numeric,
  forecasted_average_monthly_income       numeric,
  historical_summary                      jsonb,
  raw                                     jsonb not null,
  added_at                                timestamptz not null default now(),
  changed_at                              timestamptz not null default now(),
  removed_at                              timestamptz,
  primary key (integration_id, plaid_user_id, income_source_id)
);
create index cra_income_sources_removed on plaid.cra_income_sources (removed_at) where removed_at is not null;

create table plaid.cra_income_streams (
  integration_id                              text not null,
  plaid_user_id                               text not null,
  income_stream_id                            text not null,
  description                                 text,
  start_date                                  date,
  end_date                                    date,
  insights_income_category_primary            text,
  insights_income_category_secondary          text,
  insights_pay_frequency                      text,
  insights_income_provider_name               text,
  insights_status                             text,
  insights_next_payment_date                  date,
  income_metrics_current_monthly_net_income   numeric,
  income_metrics_current_monthly_gross_income numeric,
  income_metrics_current_annual_net_income    numeric,
  income_metrics_projected_annual_net_income  numeric,
  income_metrics_iso_currency_code            text,
  transactions                                jsonb,
  raw                                         jsonb not null,
  added_at                                    timestamptz not null default now(),
  changed_at                                  timestamptz not null default now(),
  removed_at                                  timestamptz,
  primary key (integration_id, plaid_user_id, income_stream_id)
);
create index cra_income_streams_removed on plaid.cra_income_streams (removed_at) where removed_at is not null;

create table plaid.cra_partner_insights (
  integration_id               text not null,
  plaid_user_id                text not null,
  report_id                    text not null,
  generated_time               timestamptz,
  client_report_id             text,
  prism_status                 text,
  prism_cash_score_score       numeric,
  prism_extend_score           numeric,
  prism_first_detect_score     numeric,
  prism_detect_score           numeric,
  prism_insights_result        jsonb,
  fico_ultrafico_score_results jsonb,
  raw                          jsonb not null,
  added_at                     timestamptz not null default now(),
  changed_at                   timestamptz not null default now(),
  removed_at                   timestamptz,
  primary key (integration_id, plaid_user_id, report_id)
);
create index cra_partner_insights_removed on plaid.cra_partner_insights (removed_at) where removed_at is not null;

create table plaid.cra_network_insights (
  integration_id     text not null,
  plaid_user_id      text not null,
  report_id          text not null,
  generated_time     timestamptz,
  network_attributes jsonb,
  items              jsonb,
  raw                jsonb not null,
  added_at           timestamptz not null default now(),
  changed_at         timestamptz not null default now(),
  removed_at         timestamptz,
  primary key (integration_id, plaid_user_id, report_id)
);
create index cra_network_insights_removed on plaid.cra_network_insights (removed_at) where removed_at is not null;

create table plaid.cra_cashflow_insights (
  integration_id text not null,
  plaid_user_id  text not null,
  report_id      text not null,
  generated_time timestamptz,
  attributes     jsonb,
  raw            jsonb not null,
  added_at       timestamptz not null default now(),
  changed_at     timestamptz not null default now(),
  removed_at     timestamptz,
  primary key (integration_id, plaid_user_id, report_id)
);
create index cra_cashflow_insights_removed on plaid.cra_cashflow_insights (removed_at) where removed_at is not null;

create table plaid.cra_lend_scores (
  integration_id          text not null,
  plaid_user_id           text not null,
  report_id               text not null,
  generated_time          timestamptz,
  lend_score_score        numeric,
  lend_score_reason_codes text[],
  lend_score_error_reason text,
  raw                     jsonb not null,
  added_at                timestamptz not null default now(),
  changed_at              timestamptz not null default now(),
  removed_at              timestamptz,
  primary key (integration_id, plaid_user_id, report_id)
);
create index cra_lend_scores_removed on plaid.cra_lend_scores (removed_at) where removed_at is not null;

create table plaid.cra_verification_reports (
  integration_id   text not null,
  plaid_user_id    text not null,
  report_id        text not null,
  client_report_id text,
  warnings         jsonb,
  raw              jsonb not null,
  added_at         timestamptz not null default now(),
  changed_at       timestamptz not null default now(),
  removed_at       timestamptz,
  primary key (integration_id, plaid_user_id, report_id)
);
create index cra_verification_reports_removed on plaid.cra_verification_reports (removed_at) where removed_at is not null;

create table plaid.cra_voa_reports (
  integration_id                         text not null,
  plaid_user_id                          text not null,
  report_id                              text not null,
  generated_time                         timestamptz,
  days_requested                         numeric,
  attributes_total_inflow_amount_amount  numeric,
  attributes_total_outflow_amount_amount numeric,
  raw                                    jsonb not null,
  added_at                               timestamptz not null default now(),
  changed_at                             timestamptz not null default now(),
  removed_at                             timestamptz,
  primary key (integration_id, plaid_user_id, report_id)
);
create index cra_voa_reports_removed on plaid.cra_voa_reports (removed_at) where removed_at is not null;

create table plaid.cra_voa_accounts (
  integration_id                            text not null,
  plaid_user_id                             text not null,
  account_id                                text not null,
  item_id                                   text,
  institution_id                            text,
  institution_name                          text,
  last_update_time                          timestamptz,
  name                                      text,
  official_name                             text,
  mask                                      text,
  type                                      text,
  subtype                                   text,
  ownership_type                            text,
  balances_available                        numeric,
  balances_current                          numeric,
  balances_average_balance_30_days          numeric,
  balances_average_balance_60_days          numeric,
  balances_nsf_overdraft_transactions_count numeric,
  balances_iso_currency_code                text,
  days_available                            numeric,
  owners                                    jsonb,
  balances_historical_balances              jsonb,
  consumer_disputes                         jsonb,
  investments                               jsonb,
  raw                                       jsonb not null,
  added_at                                  timestamptz not null default now(),
  changed_at                                timestamptz not null default now(),
  removed_at                                timestamptz,
  primary key (integration_id, plaid_user_id, account_id)
);
create index cra_voa_accounts_removed on plaid.cra_voa_accounts (removed_at) where removed_at is not null;

create table plaid.cra_voa_transactions (
  integration_id                     text not null,
  plaid_user_id                      text not null,
  transaction_id                     text not null,
  item_id                            text,
  account_id                         text,
  amount                             numeric,
  iso_currency_code                  text,
  date                               date,
  original_description               text,
  merchant_name                      text,
  pending                            boolean,
  credit_category_primary            text,
  credit_category_detailed           text,
  personal_finance_category_primary  text,
  personal_finance_category_detailed text,
  raw                                jsonb not null,
  added_at                           timestamptz not null default now(),
  changed_at                         timestamptz not null default now(),
  removed_at                         timestamptz,
  primary key (integration_id, plaid_user_id, transaction_id)
);
create index cra_voa_transactions_removed on plaid.cra_voa_transactions (removed_at) where removed_at is not null;

create table plaid.cra_verification_income (
  integration_id              text not null,
  plaid_user_id               text not null,
  report_id                   text not null,
  generated_time              timestamptz,
  days_requested              numeric,
  user_summary_income_metrics jsonb,
  raw                         jsonb not null,
  added_at                    timestamptz not null default now(),
  changed_at                  timestamptz not null default now(),
  removed_at                  timestamptz,
  primary key (integration_id, plaid_user_id, report_id)
);
create index cra_verification_income_removed on plaid.cra_verification_income (removed_at) where removed_at is not null;

create table plaid.cra_verification_income_accounts (
  integration_id    text not null,
  plaid_user_id     text not null,
  account_id        text not null,
  item_id           text,
  institution_id    text,
  institution_name  text,
  last_updated_time timestamptz,
  name              text,
  official_name     text,
  mask              text,
  type              text,
  subtype           text,
  raw               jsonb not null,
  added_at          timestamptz not null default now(),
  changed_at        timestamptz not null default now(),
  removed_at        timestamptz,
  primary key (integration_id, plaid_user_id, account_id)
);
create index cra_verification_income_accounts_removed on plaid.cra_verification_income_accounts (removed_at) where removed_at is not null;

create table plaid.cra_verification_income_streams (
  integration_id                              text not null,
  plaid_user_id                               text not null,
  income_stream_id                            text not null,
  description                                 text,
  start_date                                  date,
  end_date                                    date,
  insights_income_category_primary            text,
  insights_income_category_secondary          text,
  insights_pay_frequency                      text,
  insights_income_provider_name               text,
  insights_status                             text,
  insights_next_payment_date                  date,
  income_metrics_current_monthly_net_income   numeric,
  income_metrics_current_monthly_gross_income numeric,
  income_metrics_current_annual_net_income    numeric,
  income_metrics_iso_currency_code            text,
  transactions                                jsonb,
  raw                                         jsonb not null,
  added_at                                    timestamptz not null default now(),
  changed_at                                  timestamptz not null default now(),
  removed_at                                  timestamptz,
  primary key (integration_id, plaid_user_id, income_stream_id)
);
create index cra_verification_income_streams_removed on plaid.cra_verification_income_streams (removed_at) where removed_at is not null;

create table plaid.cra_employment_refreshes (
  integration_id   text not null,
  plaid_user_id    text not null,
  report_id        text not null,
  generated_time   timestamptz,
  days_requested   numeric,
  client_report_id text,
  raw              jsonb not null,
  added_at         timestamptz not null default now(),
  changed_at       timestamptz not null default now(),
  removed_at       timestamptz,
  primary key (integration_id, plaid_user_id, report_id)
);
create index cra_employment_refreshes_removed on plaid.cra_employment_refreshes (removed_at) where removed_at is not null;

create table plaid.cra_employment_refresh_accounts (
  integration_id   text not null,
  plaid_user_id    text not null,
  account_id       text not null,
  item_id          text,
  institution_id   text,
  institution_name text,
  last_update_time timestamptz,
  name             text,
  official_name    text,
  type             text,
  subtype          text,
  raw              jsonb not null,
  added_at         timestamptz not null default now(),
  changed_at       timestamptz not null default now(),
  removed_at       timestamptz,
  primary key (integration_id, plaid_user_id, account_id)
);
create index cra_employment_refresh_accounts_removed on plaid.cra_employment_refresh_accounts (removed_at) where removed_at is not null;

create table plaid.cra_employment_refresh_transactions (
  integration_id       text not null,
  plaid_user_id        text not null,
  transaction_id       text not null,
  item_id              text,
  account_id           text,
  date                 date,
  original_description text,
  pending              boolean,
  raw                  jsonb not null,
  added_at             timestamptz not null default now(),
  changed_at           timestamptz not null default now(),
  removed_at           timestamptz,
  primary key (integration_id, plaid_user_id, transaction_id)
);
create index cra_employment_refresh_transactions_removed on plaid.cra_employment_refresh_transactions (removed_at) where removed_at is not null;

create table plaid.cra_monitoring_insights (
  integration_id                                           text not null,
  plaid_user_id                                            text not null,
  item_id                                                  text not null,
  institution_id                                           text,
  institution_name                                         text,
  date_generated                                           timestamptz,
  status_code                                              text,
  status_reason                                            text,
  insights_income_total_monthly_income_current_amount      numeric,
  insights_income_forecasted_monthly_income_current_amount numeric,
  insights_income_historical_annual_income_current_amount  numeric,
  insights_income_income_sources_counts_current_count      numeric,
  insights_income_income_sources                           jsonb,
  insights_loans_loan_payments_counts_current_count        numeric,
  insights_loans_loan_disbursements_count                  numeric,
  raw                                                      jsonb not null,
  added_at                                                 timestamptz not null default now(),
  changed_at                                               timestamptz not null default now(),
  removed_at                                               timestamptz,
  primary key (integration_id, plaid_user_id, item_id)
);
create index cra_monitoring_insights_removed on plaid.cra_monitoring_insights (removed_at) where removed_at is not null;

create table plaid.asset_reports (
  integration_id      text not null,
  asset_report_id     text not null,
  client_report_id    text,
  date_generated      timestamptz,
  days_requested      numeric,
  user_client_user_id text,
  user_first_name     text,
  user_last_name      text,
  user_ssn            text,
  warnings            jsonb,
  raw                 jsonb not null,
  added_at            timestamptz not null default now(),
  changed_at          timestamptz not null default now(),
  removed_at          timestamptz,
  verified_at         timestamptz,
  primary key (integration_id, asset_report_id)
);
create index asset_reports_removed on plaid.asset_reports (removed_at) where removed_at is not null;

create table plaid.asset_report_accounts (
  integration_id             text not null,
  asset_report_id            text not null,
  account_id                 text not null,
  item_id                    text,
  institution_id             text,
  institution_name           text,
  date_last_updated          timestamptz,
  name                       text,
  official_name              text,
  mask                       text,
  type                       text,
  subtype                    text,
  ownership_type             text,
  balances_available         numeric,
  balances_current           numeric,
  balances_limit             numeric,
  balances_iso_currency_code text,
  days_available             numeric,
  owners                     jsonb,
  historical_balances        jsonb,
  investments                jsonb,
  raw                        jsonb not null,
  added_at                   timestamptz not null default now(),
  changed_at                 timestamptz not null default now(),
  removed_at                 timestamptz,
  primary key (integration_id, asset_report_id, account_id)
);
create index asset_report_accounts_removed on plaid.asset_report_accounts (removed_at) where removed_at is not null;

create table plaid.asset_report_transactions (
  integration_id           text not null,
  asset_report_id          text not null,
  transaction_id           text not null,
  item_id                  text,
  account_id               text,
  amount                   numeric,
  iso_currency_code        text,
  date                     date,
  original_description     text,
  merchant_name            text,
  pending                  boolean,
  credit_category_primary  text,
  credit_category_detailed text,
  raw                      jsonb not null,
  added_at                 timestamptz not null default now(),
  changed_at               timestamptz not null default now(),
  removed_at               timestamptz,
  primary key (integration_id, asset_report_id, transaction_id)
);
create index asset_report_transactions_removed on plaid.asset_report_transactions (removed_at) where removed_at is not null;

create table plaid.link_sessions (
  integration_id                           text not null,
  link_session_id                          text not null,
  started_at                               timestamptz,
  finished_at                              timestamptz,
  exit_error_error_type                    text,
  exit_error_error_code                    text,
  exit_metadata_status                     text,
  exit_metadata_institution_institution_id text,
  results_item_add_results                 jsonb,
  results_cra_item_add_results             jsonb,
  results_bank_income_results              jsonb,
  results_payroll_income_results           jsonb,
  raw                                      jsonb not null,
  added_at                                 timestamptz not null default now(),
  changed_at                               timestamptz not null default now(),
  removed_at                               timestamptz,
  verified_at                              timestamptz,
  primary key (integration_id, link_session_id)
);
create index link_sessions_removed on plaid.link_sessions (removed_at) where removed_at is not null;

create table plaid.link_events (
  integration_id                  text not null,
  link_session_id                 text not null,
  event_id                        text not null,
  event_name                      text,
  timestamp                       timestamptz,
  event_metadata_view_name        text,
  event_metadata_institution_id   text,
  event_metadata_institution_name text,
  event_metadata_error_type       text,
  event_metadata_error_code       text,
  event_metadata_exit_status      text,
  event_metadata                  jsonb,
  raw                             jsonb not null,
  added_at                        timestamptz not null default now(),
  changed_at                      timestamptz not null default now(),
  removed_at                      timestamptz,
  primary key (integration_id, link_session_id, event_id)
);
create index link_events_removed on plaid.link_events (removed_at) where removed_at is not null;

select tartan.protect_mirror();
