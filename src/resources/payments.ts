/**
 * Payments (https://plaid.com/docs/api/products/payment-initiation/#payment_initiationpaymentget). The webhooks name the new status; the
 * row is what Plaid answers.
 */
import { PAYMENT, PAYMENT_CONSENT } from "./subjects.ts";
import { date, numeric, text, textList, timestamptz, type Resource } from "./types.ts";

export const payments: Resource = {
  name: "payments",
  touchedBy: [{ type: "PAYMENT_INITIATION", codes: ["PAYMENT_STATUS_UPDATE"] }],
  subject: PAYMENT,
  fetch: { kind: "snapshot", endpoint: "/payment_initiation/payment/get" },
  tables: [
    {
      name: "payments",
      row: "a payment and its status",
      rows: [{ at: "" }],
      sensitive: {
        bacs: "last4",
        iban: "last4",
        "refund_details.name": "hidden",
        "refund_details.iban": "last4",
        "refund_details.bacs": "last4",
      },
      key: [],
      columns: [
        text("status"),
        timestamptz("last_status_update"),
        numeric("amount_value", "amount.value"),
        text("amount_currency", "amount.currency"),
        text("reference"),
        text("adjusted_reference"),
        text("recipient_id"),
        text("consent_id"),
        text("wallet_id"),
        text("transaction_id"),
        text("end_to_end_id"),
        text("scheme"),
        text("adjusted_scheme"),
        numeric("amount_refunded_value", "amount_refunded.value"),
        text("amount_refunded_currency", "amount_refunded.currency"),
        textList("refund_ids"),
        text("bacs_account", "bacs.account"),
        text("bacs_sort_code", "bacs.sort_code"),
        text("iban"),
        text("schedule_interval", "schedule.interval"),
        numeric("schedule_interval_execution_day", "schedule.interval_execution_day"),
        date("schedule_start_date", "schedule.start_date"),
        date("schedule_end_date", "schedule.end_date"),
        date("schedule_adjusted_start_date", "schedule.adjusted_start_date"),
        text("error_type", "error.error_type"),
        text("error_code", "error.error_code"),
      ],
      references: [{ column: "consent_id", subject: PAYMENT_CONSENT, staleHours: 24 }],
      event: {
        rows: "payments",
        example: {
          payment_id: "payment-id-sandbox-feca8a7a-5591-4aef-9297-f3062bb735d3",
          status: "PAYMENT_STATUS_INITIATED",
          last_status_update: "2026-11-06T21:10:52Z",
          amount: { currency: "GBP", value: 100 },
          reference: "Account Funding 997",
          recipient_id: "recipient-id-sandbox-9b6b4679-914b-445b-9450-efbdb80296f6",
          bacs: { account: "31926819", sort_code: "601613" },
          iban: null,
        },
      },
    },
  ],
};
