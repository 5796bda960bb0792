/** Consents to payments, with their limits (https://plaid.com/docs/api/products/payment-initiation/#payment_initiationconsentget). */
import { PAYMENT_CONSENT } from "./subjects.ts";
import { jsonb, numeric, text, textList, timestamptz, type Resource } from "./types.ts";

export const paymentConsents: Resource = {
  name: "payment_consents",
  touchedBy: [{ type: "PAYMENT_INITIATION", codes: ["CONSENT_STATUS_UPDATE"] }],
  subject: PAYMENT_CONSENT,
  fetch: { kind: "snapshot", endpoint: "/payment_initiation/consent/get" },
  tables: [
    {
      name: "payment_consents",
      row: "a payer's consent to payments, and its limits",
      rows: [{ at: "" }],
      sensitive: {
        "payer_details.name": "hidden",
        "payer_details.iban": "last4",
        "payer_details.bacs": "last4",
        "payer_details.numbers": "last4",
        "payer_details.address.street": "hidden",
        "payer_details.date_of_birth": "hidden",
        "payer_details.phone_numbers": "hidden",
        "payer_details.emails": "hidden",
      },
      key: [],
      columns: [
        text("status"),
        timestamptz("created_at"),
        text("recipient_id"),
        text("reference"),
        text("type"),
        textList("scopes"),
        numeric("constraints_max_payment_amount_value", "constraints.max_payment_amount.value"),
        text("constraints_max_payment_amount_currency", "constraints.max_payment_amount.currency"),
        timestamptz("constraints_valid_date_time_from", "constraints.valid_date_time.from"),
        timestamptz("constraints_valid_date_time_to", "constraints.valid_date_time.to"),
        jsonb("constraints_periodic_amounts", "constraints.periodic_amounts"),
        text("payer_details_name", "payer_details.name"),
        text("payer_details_iban", "payer_details.iban"),
        text("payer_details_bacs_account", "payer_details.bacs.account"),
        text("payer_details_bacs_sort_code", "payer_details.bacs.sort_code"),
      ],
      event: {
        rows: "consents to payments",
        example: {
          consent_id: "consent-id-production-feca8a7a-5491-4444-9999-f3062bb735d3",
          status: "AUTHORISED",
          created_at: "2026-10-30T15:26:48Z",
          reference: "ref-00001",
          scopes: ["ME_TO_ME"],
          constraints: {
            max_payment_amount: { currency: "GBP", value: 15 },
            periodic_amounts: [{ alignment: "CALENDAR", amount: { currency: "GBP", value: 40 }, interval: "MONTH" }],
          },
        },
      },
    },
  ],
};
