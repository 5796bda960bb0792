/**
 * The end customers of a reseller partner, and how far each is registered at institutions with OAuth
 * (https://plaid.com/docs/api/partner/#partnercustomeroauth_institutionsget).
 */
import { INSTITUTION, PARTNER_CUSTOMER } from "./subjects.ts";
import { jsonb, text, type Resource } from "./types.ts";

export const partnerCustomers: Resource = {
  name: "partner_customers",
  touchedBy: [{ type: "PARTNER" }],
  subject: PARTNER_CUSTOMER,
  fetch: { kind: "snapshot", endpoint: "/partner/customer/oauth_institutions/get" },
  tables: [
    {
      name: "partner_customers",
      row: "an end customer of a partner",
      rows: [{ at: "", without: ["institutions"] }],
      key: [],
      columns: [text("flowdown_status"), text("questionnaire_status")],
      event: {
        rows: "end customers of a partner",
        example: { flowdown_status: "COMPLETE", questionnaire_status: "RECEIVED" },
      },
    },
    {
      name: "partner_oauth_institutions",
      row: "the registration of an end customer at an institution with OAuth",
      rows: [{ at: "institutions", optional: true }],
      key: ["institution_id"],
      columns: [
        text("name"),
        text("environments_production", "environments.production"),
        text("environments_development", "environments.development"),
        // Plaid writes an empty text where there is no date.
        text("production_enablement_date"),
        text("classic_disablement_date"),
        jsonb("errors"),
      ],
      references: [{ column: "institution_id", subject: INSTITUTION, staleHours: 24 }],
      event: {
        rows: "registrations of an end customer at institutions",
        example: {
          institution_id: "ins_127989",
          name: "Bank of America",
          environments: { production: "PROCESSING", development: "NOT_STARTED" },
          production_enablement_date: "",
          classic_disablement_date: "2027-06-30",
          errors: [],
        },
      },
    },
  ],
};
