/**
 * The employment refresh of Plaid Check: a user's latest deposits without their amounts, by which a lender sees shortly before closing that
 * pay still arrives. It is a part of the verification report with a request of its own: Plaid demands `employment_refresh_options` from clients
 * that were created before July 2026 and refuses it from later ones, and both must be able to read assets and income.
 */
import { REPORT_READY, reportFetch } from "./cra.ts";
import { USER } from "./subjects.ts";
import { boolean, date, numeric, text, timestamptz, type Resource } from "./types.ts";

/** Every report covers at least as many. */
const DAYS = 180;
const ACCOUNTS = "report.employment_refresh.items[].accounts";

export const craEmploymentRefresh: Resource = {
  name: "cra_employment_refresh",
  touchedBy: REPORT_READY,
  subject: USER,
  billed: "once",
  fetch: reportFetch("verification", {
    reports_requested: ["EMPLOYMENT_REFRESH"],
    employment_refresh_options: { days_requested: DAYS },
  }),
  tables: [
    {
      name: "cra_employment_refreshes",
      row: "the user's newest employment refresh",
      rows: [
        {
          at: "report.employment_refresh",
          one: true,
          optional: true,
          with: ["report_id", "client_report_id"],
          without: ["items"],
        },
      ],
      key: ["report_id"],
      columns: [timestamptz("generated_time"), numeric("days_requested"), text("client_report_id")],
      event: {
        rows: "employment refreshes",
        example: {
          report_id: "028e8404-a013-4a45-ac9e-002482f9cafc",
          generated_time: "2026-11-19T18:30:00Z",
          days_requested: 180,
          client_report_id: "client_report_id_1221",
        },
      },
    },
    {
      name: "cra_employment_refresh_accounts",
      row: "an account in an employment refresh",
      rows: [
        {
          at: ACCOUNTS,
          with: ["item_id", "institution_id", "institution_name", "last_update_time"],
          without: ["transactions"],
          optional: true,
        },
      ],
      key: ["account_id"],
      columns: [
        text("item_id"),
        text("institution_id"),
        text("institution_name"),
        timestamptz("last_update_time"),
        text("name"),
        text("official_name"),
        text("type"),
        text("subtype"),
      ],
    },
    {
      name: "cra_employment_refresh_transactions",
      row: "a deposit in an employment refresh, without its amount",
      rows: [{ at: `${ACCOUNTS}[].transactions`, with: ["report.employment_refresh.items[].item_id"], optional: true }],
      key: ["transaction_id"],
      columns: [text("item_id"), text("account_id"), date("date"), text("original_description"), boolean("pending")],
    },
  ],
};
