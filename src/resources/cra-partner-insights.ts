/** The partner insights of Plaid Check: scores of Plaid's partners, who are asked for them when nobody has before, and are billed. */
import { REPORT_READY, reportFetch } from "./cra.ts";
import { USER } from "./subjects.ts";
import { jsonb, numeric, text, timestamptz, type Resource } from "./types.ts";

export const craPartnerInsights: Resource = {
  name: "cra_partner_insights",
  touchedBy: [...REPORT_READY, { type: "CRA_INSIGHTS", codes: ["PARTNER_INSIGHTS_COMPLETE"] }],
  subject: USER,
  billed: "once",
  fetch: reportFetch("partner_insights"),
  tables: [
    {
      name: "cra_partner_insights",
      row: "the user's newest partner insights",
      // The accounts are those of the base report.
      rows: [{ at: "report", one: true, optional: true, without: ["items"] }],
      key: ["report_id"],
      columns: [
        timestamptz("generated_time"),
        text("client_report_id"),
        text("prism_status", "prism.status"),
        numeric("prism_cash_score_score", "prism.cash_score.score"),
        numeric("prism_extend_score", "prism.extend.score"),
        numeric("prism_first_detect_score", "prism.first_detect.score"),
        numeric("prism_detect_score", "prism.detect.score"),
        jsonb("prism_insights_result", "prism.insights.result"),
        jsonb("fico_ultrafico_score_results", "fico.ultrafico_score_results"),
      ],
      event: {
        rows: "partner insights",
        example: {
          report_id: "bbfb0f4c-4f9b-4f6b-8e4f-9a4f4c5f4e4a",
          generated_time: "2026-11-19T18:30:00Z",
          prism: { cash_score: { score: 900, reason_codes: ["CS03038"] }, status: "SUCCESS" },
        },
      },
    },
  ],
};
