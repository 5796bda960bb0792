/**
 * Institutions, as far as Items of the integration are linked there
 * (https://plaid.com/docs/api/institutions/#institutionsget_by_id). One is fetched when an Item first shows it, again
 * when an Item is synced and the copy is older than a day, and when Plaid sends word of it or an issue that names it changes.
 */
import { INSTITUTION } from "./subjects.ts";
import { boolean, jsonb, text, textList, timestamptz, type Resource } from "./types.ts";

export const institutions: Resource = {
  name: "institutions",
  touchedBy: [{ type: "DASHBOARD_CONFIGURED_ALERT" }],
  subject: INSTITUTION,
  fetch: {
    kind: "snapshot",
    endpoint: "/institutions/get_by_id",
    body: ({ countryCodes }) => ({
      country_codes: countryCodes,
      options: { include_optional_metadata: true, include_status: true },
    }),
  },
  tables: [
    {
      name: "institutions",
      row: "an institution of your items",
      rows: [{ at: "institution" }],
      key: [],
      columns: [
        text("name"),
        textList("products"),
        textList("country_codes"),
        text("url"),
        text("primary_color"),
        text("logo"),
        textList("routing_numbers"),
        textList("dtc_numbers"),
        boolean("oauth"),
        jsonb("status"),
      ],
    },
    {
      name: "institution_incidents",
      row: "an incident of an institution, as its status shows it",
      rows: [{ at: "institution.status.health_incidents", nullable: true, optional: true }],
      key: ["start_date", "title"],
      columns: [timestamptz("end_date"), jsonb("incident_updates")],
    },
  ],
};
