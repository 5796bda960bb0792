/**
 * Sessions of Link (https://plaid.com/docs/api/link/#linktokenget). Plaid answers all sessions of a Link token, which each webhook about
 * a session names. What the user did is whole for Hosted Link only, unless Plaid has enabled the account for more.
 */
import { LINK_SESSION } from "./subjects.ts";
import { jsonb, text, timestamptz, type Resource } from "./types.ts";

export const linkSessions: Resource = {
  name: "link_sessions",
  touchedBy: [{ type: "LINK" }, { type: "LAYER" }],
  subject: LINK_SESSION,
  fetch: { kind: "snapshot", endpoint: "/link/token/get" },
  tables: [
    {
      name: "link_sessions",
      row: "a session of Link: when it was, how it ended, and what the user added",
      rows: [{ at: "link_sessions", whose: "link_session_id", without: ["events", "link_session_id"], optional: true }],
      sensitive: {
        "results.item_add_results.public_token": "token",
        "on_success.public_token": "token",
      },
      key: [],
      columns: [
        timestamptz("started_at"),
        timestamptz("finished_at"),
        text("exit_error_error_type", "exit.error.error_type"),
        text("exit_error_error_code", "exit.error.error_code"),
        text("exit_metadata_status", "exit.metadata.status"),
        text("exit_metadata_institution_institution_id", "exit.metadata.institution.institution_id"),
        jsonb("results_item_add_results", "results.item_add_results"),
        jsonb("results_cra_item_add_results", "results.cra_item_add_results"),
        jsonb("results_bank_income_results", "results.bank_income_results"),
        jsonb("results_payroll_income_results", "results.payroll_income_results"),
      ],
    },
    {
      name: "link_events",
      row: "something that a user did in a session of Link",
      rows: [{ at: "link_sessions[].events", whose: "link_sessions[].link_session_id", optional: true }],
      sensitive: { "event_metadata.routing_number": "last4" },
      key: ["event_id"],
      columns: [
        text("event_name"),
        timestamptz("timestamp"),
        text("event_metadata_view_name", "event_metadata.view_name"),
        text("event_metadata_institution_id", "event_metadata.institution_id"),
        text("event_metadata_institution_name", "event_metadata.institution_name"),
        text("event_metadata_error_type", "event_metadata.error_type"),
        text("event_metadata_error_code", "event_metadata.error_code"),
        text("event_metadata_exit_status", "event_metadata.exit_status"),
        jsonb("event_metadata"),
      ],
      event: {
        rows: "events of Link sessions",
        example: {
          event_id: "9469937a-6fac-40be-9322-f86e8c0b94ed",
          event_name: "TRANSITION_VIEW",
          event_metadata: { view_name: "CREDENTIAL", request_id: "ClqZyuhovgkaQ3j" },
          timestamp: "2026-11-19T00:17:54Z",
        },
      },
    },
  ],
};
