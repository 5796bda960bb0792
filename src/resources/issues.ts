/**
 * Issues: incidents of institutions (https://plaid.com/docs/api/products/issues/). One is read after the webhook that Plaid sends to
 * those who subscribed to it, and when you name it to Tartan; a change reads its institutions too, whose status it changes.
 */
import { INSTITUTION, ISSUE } from "./subjects.ts";
import { text, textList, timestamptz, type Resource } from "./types.ts";

export const issues: Resource = {
  name: "issues",
  touchedBy: [{ type: "ISSUES" }],
  subject: ISSUE,
  fetch: { kind: "snapshot", endpoint: "/issues/get" },
  tables: [
    {
      name: "issues",
      row: "an incident of institutions",
      rows: [{ at: "issue" }],
      key: [],
      columns: [
        text("status"),
        text("summary"),
        text("detailed_description"),
        textList("institution_ids"),
        textList("institution_names"),
        timestamptz("created_at"),
      ],
      references: [{ column: "institution_ids", subject: INSTITUTION, staleHours: "changed" }],
      event: {
        rows: "incidents of institutions",
        example: {
          issue_id: "KI128437",
          institution_ids: ["ins_4"],
          institution_names: ["Harbour Bank"],
          created_at: "2026-11-19T08:12:44Z",
          summary: "Connections to Harbour Bank fail more often than usual.",
          detailed_description: "Requests end with INSTITUTION_NOT_RESPONDING.",
          status: "RESOLVED",
        },
      },
    },
  ],
};
