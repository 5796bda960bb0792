/**
 * The verification report of Plaid Check, which Plaid also calls home lending report: a user's assets (`voa`) and income as mortgage lenders
 * ask for them. Plaid bills it when it is read. Its third part is in cra-employment-refresh.ts.
 */
import { REPORT_READY, reportFetch } from "./cra.ts";
import { OWNERS } from "./owners.ts";
import { INCOME_STREAM, REPORT_TRANSACTION } from "./report-columns.ts";
import { USER } from "./subjects.ts";
import { jsonb, numeric, text, timestamptz, type Resource } from "./types.ts";

const ACCOUNTS = "report.voa.items[].accounts";

export const craVerificationReport: Resource = {
  name: "cra_verification_report",
  touchedBy: REPORT_READY,
  subject: USER,
  billed: "once",
  fetch: reportFetch("verification", { reports_requested: ["VOA", "INCOME"] }),
  tables: [
    {
      name: "cra_verification_reports",
      row: "the user's newest verification report",
      rows: [{ at: "report", one: true, with: ["warnings"], without: ["voa", "employment_refresh", "income"] }],
      // With it, Fannie Mae and Freddie Mac can read the report.
      sensitive: { gse_reference_id: "token" },
      key: ["report_id"],
      columns: [text("client_report_id"), jsonb("warnings")],
      event: {
        rows: "verification reports",
        example: {
          report_id: "028e8404-a013-4a45-ac9e-002482f9cafc",
          client_report_id: "client_report_id_1221",
          warnings: [],
        },
      },
    },
    {
      name: "cra_voa_reports",
      row: "what a verification report says of all assets together",
      rows: [{ at: "report.voa", one: true, optional: true, with: ["report_id"], without: ["items"] }],
      key: ["report_id"],
      columns: [
        timestamptz("generated_time"),
        numeric("days_requested"),
        numeric("attributes_total_inflow_amount_amount", "attributes.total_inflow_amount.amount"),
        numeric("attributes_total_outflow_amount_amount", "attributes.total_outflow_amount.amount"),
      ],
    },
    {
      name: "cra_voa_accounts",
      row: "an account in a verification report",
      rows: [
        {
          at: ACCOUNTS,
          with: ["item_id", "institution_id", "institution_name", "last_update_time"],
          without: ["transactions_insights"],
          optional: true,
        },
      ],
      sensitive: OWNERS,
      key: ["account_id"],
      columns: [
        text("item_id"),
        text("institution_id"),
        text("institution_name"),
        timestamptz("last_update_time"),
        text("name"),
        text("official_name"),
        text("mask"),
        text("type"),
        text("subtype"),
        text("ownership_type"),
        numeric("balances_available", "balances.available"),
        numeric("balances_current", "balances.current"),
        numeric("balances_average_balance_30_days", "balances.average_balance_30_days"),
        numeric("balances_average_balance_60_days", "balances.average_balance_60_days"),
        numeric("balances_nsf_overdraft_transactions_count", "balances.nsf_overdraft_transactions_count"),
        text("balances_iso_currency_code", "balances.iso_currency_code"),
        numeric("days_available"),
        jsonb("owners"),
        jsonb("balances_historical_balances", "balances.historical_balances"),
        jsonb("consumer_disputes"),
        jsonb("investments"),
      ],
      event: {
        rows: "accounts of verification reports",
        example: {
          account_id: "eG7pNLjknrFpWvP7Dkbdf3Pq6GVBPKTaQJK5v",
          item_id: "AZMP7JrGXgtPd3AQMeg7hwMKgk5E8qU1V5ME7",
          name: "Plaid Checking",
          type: "depository",
          subtype: "checking",
          balances: { current: 110, available: 100, average_balance_30_days: 200, iso_currency_code: "USD" },
          days_available: 90,
        },
      },
    },
    {
      name: "cra_voa_transactions",
      row: "a transaction in a verification report",
      rows: [
        {
          at: `${ACCOUNTS}[].transactions_insights.all_transactions`,
          with: ["report.voa.items[].item_id"],
          optional: true,
        },
      ],
      sensitive: { account_owner: "hidden" },
      rarelySensitive: true,
      key: ["transaction_id"],
      columns: [
        ...REPORT_TRANSACTION,
        text("personal_finance_category_primary", "personal_finance_category.primary"),
        text("personal_finance_category_detailed", "personal_finance_category.detailed"),
      ],
    },
    {
      name: "cra_verification_income",
      row: "what a verification report says of all income together",
      rows: [
        {
          at: "report.income",
          one: true,
          optional: true,
          with: ["report_id"],
          without: ["income_streams", "items"],
        },
      ],
      key: ["report_id"],
      columns: [
        timestamptz("generated_time"),
        numeric("days_requested"),
        jsonb("user_summary_income_metrics", "user_summary.income_metrics"),
      ],
    },
    {
      name: "cra_verification_income_accounts",
      row: "an account whose income is in a verification report",
      rows: [
        {
          at: "report.income.items[].accounts",
          with: ["item_id", "institution_id", "institution_name", "last_updated_time"],
          optional: true,
        },
      ],
      key: ["account_id"],
      columns: [
        text("item_id"),
        text("institution_id"),
        text("institution_name"),
        timestamptz("last_updated_time"),
        text("name"),
        text("official_name"),
        text("mask"),
        text("type"),
        text("subtype"),
      ],
    },
    {
      name: "cra_verification_income_streams",
      row: "a stream of income in a verification report",
      rows: [{ at: "report.income.income_streams", optional: true }],
      key: ["income_stream_id"],
      columns: [
        ...INCOME_STREAM,
        text("income_metrics_iso_currency_code", "income_metrics.iso_currency_code"),
        jsonb("transactions"),
      ],
      event: {
        rows: "streams of income in verification reports",
        example: {
          income_stream_id: "f17efbdd-caab-4278-8ece-963511cd3d51",
          description: "PLAID_INC_DIRECT_DEP_PPD",
          start_date: "2026-08-01",
          end_date: "2026-11-01",
          insights: { pay_frequency: "MONTHLY", status: "ACTIVE", next_payment: { date: "2026-12-01" } },
          income_metrics: { current: { monthly: { gross_income: 5400, net_income: 4300 } }, iso_currency_code: "USD" },
        },
      },
    },
  ],
};
