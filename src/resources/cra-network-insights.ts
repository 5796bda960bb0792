/** The network insights of Plaid Check: a user's connections in Plaid's network. Plaid makes them when they are first asked for. */
import { REPORT_READY, reportFetch } from "./cra.ts";
import { USER } from "./subjects.ts";
import { jsonb, timestamptz, type Resource } from "./types.ts";

export const craNetworkInsights: Resource = {
  name: "cra_network_insights",
  touchedBy: REPORT_READY,
  subject: USER,
  billed: "once",
  fetch: reportFetch("network_insights"),
  tables: [
    {
      name: "cra_network_insights",
      row: "the user's newest network insights",
      rows: [{ at: "report", one: true }],
      key: ["report_id"],
      columns: [timestamptz("generated_time"), jsonb("network_attributes"), jsonb("items")],
      event: {
        rows: "network insights",
        example: {
          report_id: "ee093cb0-e3f2-42d1-9dbc-8d8408964194",
          generated_time: "2026-11-19T18:30:00Z",
          network_attributes: { plaid_conn_user_lifetime_personal_lending_flag: 1 },
          items: [{ item_id: "eVBnVMp7zdTJLkRNr33Rs6zr7KNJqBFL9DrE6", institution_id: "ins_0" }],
        },
      },
    },
  ],
};
