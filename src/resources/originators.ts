/**
 * Originators of a platform, and how far Plaid's review of each is
 * (https://plaid.com/docs/api/products/transfer/platform-payments/#transferoriginatorget).
 */
import { ORIGINATOR } from "./subjects.ts";
import { jsonb, text, type Resource } from "./types.ts";

export const originators: Resource = {
  name: "originators",
  touchedBy: [{ type: "TRANSFER", codes: ["PLATFORM_ONBOARDING_UPDATE"] }],
  subject: ORIGINATOR,
  fetch: { kind: "snapshot", endpoint: "/transfer/originator/get" },
  tables: [
    {
      name: "originators",
      row: "a business that you make transfers for",
      rows: [{ at: "originator" }],
      key: [],
      columns: [text("company_name"), text("transfer_diligence_status"), jsonb("outstanding_requirements")],
      event: {
        rows: "originators",
        example: {
          client_id: "6a65dh3d1h0d1027121ak184",
          company_name: "Plaid",
          transfer_diligence_status: "approved",
          outstanding_requirements: [],
        },
      },
    },
  ],
};
