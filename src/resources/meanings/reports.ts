/** Plaid Check, asset reports, and sessions of Link. */
import type { Meanings } from "./types.ts";

const REPORT = {
  report_id: "Plaid's id of the report; a newer report replaces it",
  generated_time: "when the report was made",
  date_generated: "when the report was made",
  days_requested: "how many days of transactions it covers",
  client_report_id: "your identifier of the report",
  warnings: "what the report lacks, and why",
} as const;

const FETCHED = "when Plaid last fetched the account from the bank";

const ACCOUNT = {
  institution_id: "Plaid's id of the bank",
  institution_name: "the bank's name",
  name: "name of the account",
  official_name: "the bank's official name of the account",
  mask: "the last characters of the account number",
  type: "such as depository",
  subtype: "such as checking",
  owners: "the owners",
  date_last_updated: FETCHED,
  last_update_time: FETCHED,
  last_updated_time: FETCHED,
} as const;

const REPORTED_ACCOUNT = {
  ...ACCOUNT,
  ownership_type: "such as individual or joint; null where it is not known",
  balances_available: "what could be spent or withdrawn when the report was made",
  balances_current: "what was in the account, or owed on it, when the report was made",
  balances_iso_currency_code: "currency of the balances",
  days_available: "how many days of history the bank gave",
  historical_balances: "the balance at the end of each day",
} as const;

const TRANSACTION = {
  transaction_id: "Plaid's id of the transaction",
  amount: "positive when money leaves the account",
  date: "when it posted, or occurred while it was pending",
  original_description: "description as the bank gave it",
  merchant_name: "the merchant, as Plaid recognized it",
  pending: "whether it had not posted when the report was made",
  credit_category_primary: "category for underwriting",
  credit_category_detailed: "narrower category for underwriting",
} as const;

const CATEGORIZED = {
  ...TRANSACTION,
  personal_finance_category_primary: "category, such as FOOD_AND_DRINK",
  personal_finance_category_detailed: "narrower category, such as FOOD_AND_DRINK_COFFEE",
} as const;

const INCOME_SOURCE = {
  start_date: "day of its first transaction",
  end_date: "day of its last transaction",
} as const;

const STREAM = {
  income_stream_id: "Plaid's id of the stream in the report",
  description: "what the transactions of the stream say",
  ...INCOME_SOURCE,
  insights_income_category_primary: "category of the income",
  insights_income_category_secondary: "narrower category of the income",
  insights_pay_frequency: "how often it comes",
  insights_income_provider_name: "who pays, where that is known",
  insights_status: "whether it still comes",
  insights_next_payment_date: "when the next payment is expected",
  income_metrics_current_monthly_net_income: "present income a month, after deductions",
  income_metrics_current_monthly_gross_income: "present income a month, before deductions",
  income_metrics_current_annual_net_income: "present income a year, after deductions",
  income_metrics_iso_currency_code: "currency of the income",
  transactions: "the transactions",
} as const;

export const REPORTS: Meanings = {
  cra_base_reports: {
    ...REPORT,
    attributes_nsf_overdraft_transactions_count: "how many transactions were fees for overdrafts or lacking funds",
    attributes_total_inflow_amount_amount: "what came in, in all accounts together",
    attributes_total_outflow_amount_amount: "what went out, in all accounts together",
  },
  cra_base_report_accounts: {
    ...REPORTED_ACCOUNT,
    balances_average_balance: "average balance over the days of the report",
    attributes_is_primary_account: "whether Plaid takes it for the user's main account",
    attributes_nsf_overdraft_transactions_count: "how many transactions were fees for overdrafts or lacking funds",
    consumer_disputes: "what the user disputes in the report",
  },
  cra_base_report_transactions: { ...CATEGORIZED },
  cra_income_insights: {
    ...REPORT,
    user_summary_income_metrics: "income of the user in all, by period",
    bank_income_summary_income_sources_count: "how many sources of income the report found",
    bank_income_summary_historical_average_monthly_income: "average income a month, by currency",
    bank_income_summary_forecasted_average_monthly_income: "expected income a month, by currency",
    bank_income_summary_historical_annual_income: "income of the last year, by currency",
  },
  cra_income_accounts: { ...ACCOUNT },
  cra_income_sources: {
    income_source_id: "Plaid's id of the source in the report",
    income_description: "what the transactions of the source say",
    income_category: "such as SALARY, GIG_ECONOMY or RENTAL",
    employer_name: "the employer, where it is known",
    income_provider_name: "who pays, where that is known",
    pay_frequency: "how often it comes",
    status: "whether it still comes",
    ...INCOME_SOURCE,
    next_payment_date: "when the next payment is expected",
    total_amount: "what it brought in all",
    transaction_count: "how many transactions those are",
    historical_average_monthly_income: "average a month",
    historical_average_monthly_gross_income: "average a month before deductions, estimated",
    forecasted_average_monthly_income: "expected a month",
    historical_summary: "what it brought in each month",
  },
  cra_income_streams: {
    ...STREAM,
    income_metrics_projected_annual_net_income: "expected income a year, after deductions",
  },
  cra_partner_insights: {
    ...REPORT,
    prism_status: "whether Prism Data could judge the user",
    prism_cash_score_score: "Prism Data's CashScore",
    prism_extend_score: "Prism Data's Extend score",
    prism_first_detect_score: "Prism Data's FirstDetect score",
    prism_detect_score: "Prism Data's Detect score",
    prism_insights_result: "Prism Data's attributes",
    fico_ultrafico_score_results: "FICO's UltraFICO scores",
  },
  cra_network_insights: {
    ...REPORT,
    network_attributes: "what other companies' connections show of the user",
    items: "the items that the report is about",
  },
  cra_cashflow_insights: { ...REPORT, attributes: "figures about income, spending and balances" },
  cra_monitoring_insights: {
    institution_id: "Plaid's id of the institution",
    institution_name: "the institution's name",
    date_generated: "when Plaid made the insights",
    status_code: "AVAILABLE, PENDING or FAILED",
    status_reason: "why there are no insights",
    insights_income_total_monthly_income_current_amount: "income of the last month",
    insights_income_forecasted_monthly_income_current_amount: "expected income of a month",
    insights_income_historical_annual_income_current_amount: "income of the last year",
    insights_income_income_sources_counts_current_count: "sources of income",
    insights_income_income_sources: "the sources of income, each with its category and last deposit",
    insights_loans_loan_payments_counts_current_count: "payments to loans",
    insights_loans_loan_disbursements_count: "loans that were paid out to the user",
  },
  cra_lend_scores: {
    ...REPORT,
    lend_score_score: "1 to 99: the higher, the likelier it is that a loan is paid back",
    lend_score_reason_codes: "what influenced the score most",
    lend_score_error_reason: "why there is no score",
  },
  cra_verification_reports: { ...REPORT },
  cra_voa_reports: {
    ...REPORT,
    attributes_total_inflow_amount_amount: "what came in, in all accounts together",
    attributes_total_outflow_amount_amount: "what went out, in all accounts together",
  },
  cra_voa_accounts: {
    ...REPORTED_ACCOUNT,
    balances_average_balance_30_days: "average balance of the last 30 days",
    balances_average_balance_60_days: "average balance of the last 60 days",
    balances_nsf_overdraft_transactions_count: "how many transactions were fees for overdrafts or lacking funds",
    balances_historical_balances: "the balance at the end of each day",
    consumer_disputes: "what the user disputes in the report",
    investments: "holdings, securities and transactions of an investment account",
  },
  cra_voa_transactions: { ...CATEGORIZED },
  cra_verification_income: { ...REPORT, user_summary_income_metrics: "present income of the user in all, by currency" },
  cra_verification_income_accounts: { ...ACCOUNT },
  cra_verification_income_streams: { ...STREAM },
  cra_employment_refreshes: { ...REPORT },
  cra_employment_refresh_accounts: { ...ACCOUNT },
  cra_employment_refresh_transactions: { ...TRANSACTION },
  asset_reports: {
    ...REPORT,
    user_client_user_id: "your identifier of the user",
    user_first_name: "first name",
    user_last_name: "last name",
    user_ssn: "social security number",
  },
  asset_report_accounts: {
    ...REPORTED_ACCOUNT,
    balances_limit: "credit limit, or overdraft limit",
    investments: "holdings, securities and transactions of an investment account",
  },
  asset_report_transactions: { ...TRANSACTION },
  link_sessions: {
    started_at: "when the user opened Link",
    finished_at: "when the session ended; null while it goes on",
    exit_error_error_type: "group of the error with which the user left; null without an error",
    exit_error_error_code: "the error with which the user left; null without an error",
    exit_metadata_status: "where in the session the user left",
    exit_metadata_institution_institution_id: "the institution that the user had chosen",
    results_item_add_results: "the items that the user added",
    results_cra_item_add_results: "the items that the user added for Plaid Check",
    results_bank_income_results: "results of verifying income in bank accounts",
    results_payroll_income_results: "results of verifying income by payroll",
  },
  link_events: {
    event_id: "Plaid's id of the event",
    event_name: "such as OPEN, SELECT_INSTITUTION, HANDOFF or EXIT",
    timestamp: "when it happened",
    event_metadata_view_name: "the pane of Link that was shown",
    event_metadata_institution_id: "the institution that it is about",
    event_metadata_institution_name: "the institution's name",
    event_metadata_error_type: "group of the error; null without an error",
    event_metadata_error_code: "the error; null without an error",
    event_metadata_exit_status: "where in the session the user left",
    event_metadata: "all that Plaid says of the event",
  },
};
