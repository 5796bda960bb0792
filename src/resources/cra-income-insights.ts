/**
 * The income insights of Plaid Check: what a user earns now and is expected to earn, by source and by stream. A new report gives sources
 * new ids; streams keep theirs.
 */
import { REPORT_READY, reportFetch } from "./cra.ts";
import { OWNERS } from "./owners.ts";
import { INCOME_STREAM } from "./report-columns.ts";
import { USER } from "./subjects.ts";
import { date, jsonb, numeric, text, timestamptz, type Resource } from "./types.ts";

export const craIncomeInsights: Resource = {
  name: "cra_income_insights",
  touchedBy: REPORT_READY,
  subject: USER,
  billed: "once",
  fetch: reportFetch("income_insights"),
  tables: [
    {
      name: "cra_income_insights",
      row: "the user's newest income insights",
      rows: [{ at: "report", one: true, optional: true, without: ["items", "income_streams"] }],
      key: ["report_id"],
      columns: [
        timestamptz("generated_time"),
        numeric("days_requested"),
        text("client_report_id"),
        jsonb("user_summary_income_metrics", "user_summary.income_metrics"),
        numeric("bank_income_summary_income_sources_count", "bank_income_summary.income_sources_count"),
        jsonb(
          "bank_income_summary_historical_average_monthly_income",
          "bank_income_summary.historical_average_monthly_income",
        ),
        jsonb(
          "bank_income_summary_forecasted_average_monthly_income",
          "bank_income_summary.forecasted_average_monthly_income",
        ),
        jsonb("bank_income_summary_historical_annual_income", "bank_income_summary.historical_annual_income"),
        jsonb("warnings"),
      ],
    },
    {
      name: "cra_income_accounts",
      row: "an account that income insights are about",
      rows: [
        {
          at: "report.items[].bank_income_accounts",
          with: ["item_id", "institution_id", "institution_name"],
          optional: true,
        },
        // The name in the second version of the insights.
        { at: "report.items[].accounts", with: ["item_id", "institution_id", "institution_name"], optional: true },
      ],
      sensitive: OWNERS,
      key: ["account_id"],
      columns: [
        text("item_id"),
        text("institution_id"),
        text("institution_name"),
        text("name"),
        text("mask"),
        text("type"),
        text("subtype"),
        jsonb("owners"),
      ],
    },
    {
      name: "cra_income_sources",
      row: "a source of income in income insights, with its months",
      rows: [{ at: "report.items[].bank_income_sources", with: ["item_id"], optional: true }],
      key: ["income_source_id"],
      columns: [
        text("item_id"),
        text("account_id"),
        text("income_description"),
        text("income_category"),
        text("employer_name", "employer.name"),
        text("income_provider_name", "income_provider.name"),
        text("pay_frequency"),
        text("status"),
        date("start_date"),
        date("end_date"),
        date("next_payment_date"),
        numeric("total_amount"),
        text("iso_currency_code"),
        numeric("transaction_count"),
        numeric("historical_average_monthly_income"),
        numeric("historical_average_monthly_gross_income"),
        numeric("forecasted_average_monthly_income"),
        jsonb("historical_summary"),
      ],
      event: {
        rows: "sources of income in insights",
        example: {
          income_source_id: "f17efbdd-caab-4278-8ece-963511cd3d51",
          item_id: "eVBnVMp7zdTJLkRNr33Rs6zr7KNJqBFL9DrE6",
          account_id: "1qKRXQjk8xUWDJojNwPXTj8gEmR48piqRNye8",
          income_description: "PLAID_INC_DIRECT_DEP_PPD",
          income_category: "SALARY",
          pay_frequency: "MONTHLY",
          status: "ACTIVE",
          total_amount: 13_000,
          forecasted_average_monthly_income: 4300,
        },
      },
    },
    {
      name: "cra_income_streams",
      row: "a stream of income in income insights",
      rows: [{ at: "report.income_streams", optional: true }],
      key: ["income_stream_id"],
      columns: [
        ...INCOME_STREAM,
        numeric("income_metrics_projected_annual_net_income", "income_metrics.projected.annual.net_income"),
        text("income_metrics_iso_currency_code", "income_metrics.iso_currency_code"),
        jsonb("transactions"),
      ],
      event: {
        rows: "streams of income",
        example: {
          income_stream_id: "8a4f4a4c-5f4e-4a4a-9a1e-3f4a4c5f4e4a",
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
