/**
 * Cash-flow updates of Plaid Check: what Plaid noticed at a user's items that you subscribed to. Plaid asks why you ask, so the
 * integration has to say it (`consumer_report_permissible_purpose`), and bills the subscription.
 */
import { USER } from "./subjects.ts";
import { jsonb, numeric, text, timestamptz, type Resource } from "./types.ts";

export const craMonitoringInsights: Resource = {
  name: "cra_monitoring_insights",
  touchedBy: [{ type: "CASH_FLOW_UPDATES" }],
  subject: USER,
  billed: "once",
  needs: "consumer_report_permissible_purpose",
  fetch: {
    kind: "snapshot",
    endpoint: "/cra/monitoring_insights/get",
    body: ({ permissiblePurpose }) => ({ consumer_report_permissible_purpose: permissiblePurpose }),
    none: ["CONSUMER_REPORT_NOT_FOUND"],
  },
  tables: [
    {
      name: "cra_monitoring_insights",
      row: "what Plaid noticed at an item of a user",
      // The accounts are those of a base report.
      rows: [{ at: "items", without: ["accounts"] }],
      key: ["item_id"],
      columns: [
        text("institution_id"),
        text("institution_name"),
        timestamptz("date_generated"),
        text("status_code", "status.status_code"),
        text("status_reason", "status.reason"),
        numeric(
          "insights_income_total_monthly_income_current_amount",
          "insights.income.total_monthly_income.current_amount",
        ),
        numeric(
          "insights_income_forecasted_monthly_income_current_amount",
          "insights.income.forecasted_monthly_income.current_amount",
        ),
        numeric(
          "insights_income_historical_annual_income_current_amount",
          "insights.income.historical_annual_income.current_amount",
        ),
        numeric(
          "insights_income_income_sources_counts_current_count",
          "insights.income.income_sources_counts.current_count",
        ),
        jsonb("insights_income_income_sources", "insights.income.income_sources"),
        numeric(
          "insights_loans_loan_payments_counts_current_count",
          "insights.loans.loan_payments_counts.current_count",
        ),
        numeric("insights_loans_loan_disbursements_count", "insights.loans.loan_disbursements_count"),
      ],
      event: {
        rows: "cash-flow updates",
        example: {
          item_id: "eVBnVMp7zdTJLkRNr33Rs6zr7KNJqBFL9DrE6",
          institution_id: "ins_109508",
          date_generated: "2026-11-19T18:30:00Z",
          status: { status_code: "AVAILABLE" },
          insights: {
            income: { total_monthly_income: { current_amount: 20_000 } },
            loans: { loan_disbursements_count: 1 },
          },
        },
      },
    },
  ],
};
