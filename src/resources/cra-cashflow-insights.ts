/** The cash-flow insights of a report of Plaid Check. Plaid makes them when they are first asked for. */
import { REPORT_READY, reportFetch } from "./cra.ts";
import { USER } from "./subjects.ts";
import { jsonb, timestamptz, type Resource } from "./types.ts";

export const craCashflowInsights: Resource = {
  name: "cra_cashflow_insights",
  touchedBy: REPORT_READY,
  subject: USER,
  billed: "once",
  fetch: reportFetch("cashflow_insights"),
  tables: [
    {
      name: "cra_cashflow_insights",
      row: "the user's newest cash-flow insights",
      rows: [{ at: "report", one: true }],
      key: ["report_id"],
      columns: [timestamptz("generated_time"), jsonb("attributes")],
      event: {
        rows: "cash-flow insights",
        example: {
          report_id: "ee093cb0-e3f2-42d1-9dbc-8d8408964194",
          generated_time: "2026-11-19T18:30:00Z",
          attributes: { cash_reliance_atm_withdrawal_amt_cv_90d: 1.23 },
        },
      },
    },
  ],
};
