/** The LendScore of Plaid Check: how likely a user is to default, from 1 to 99. Plaid makes it when it is first asked for. */
import { REPORT_READY, reportFetch } from "./cra.ts";
import { USER } from "./subjects.ts";
import { numeric, text, textList, timestamptz, type Resource } from "./types.ts";

export const craLendScore: Resource = {
  name: "cra_lend_score",
  touchedBy: REPORT_READY,
  subject: USER,
  billed: "once",
  fetch: reportFetch("lend_score"),
  tables: [
    {
      name: "cra_lend_scores",
      row: "the user's newest LendScore",
      rows: [{ at: "report", one: true }],
      key: ["report_id"],
      columns: [
        timestamptz("generated_time"),
        numeric("lend_score_score", "lend_score.score"),
        textList("lend_score_reason_codes", "lend_score.reason_codes"),
        text("lend_score_error_reason", "lend_score.error_reason"),
      ],
      event: {
        rows: "LendScores",
        example: {
          report_id: "ee093cb0-e3f2-42d1-9dbc-8d8408964194",
          generated_time: "2026-11-19T18:30:00Z",
          lend_score: { score: 80, reason_codes: ["PLAID_1001"], error_reason: null },
        },
      },
    },
  ],
};
