/**
 * Transfers (https://plaid.com/docs/api/products/transfer/reading-transfers/#transferget). No webhook is about one: the ledger's
 * events name the transfers that changed.
 */
import { TRANSFER } from "./subjects.ts";
import { boolean, date, decimal, jsonb, text, timestamptz, type Resource } from "./types.ts";

export const transfers: Resource = {
  name: "transfers",
  touchedBy: [],
  subject: TRANSFER,
  fetch: { kind: "snapshot", endpoint: "/transfer/get" },
  tables: [
    {
      name: "transfers",
      row: "a transfer and how far it is",
      rows: [{ at: "transfer" }],
      sensitive: {
        "user.legal_name": "hidden",
        "user.email_address": "hidden",
        "user.phone_number": "hidden",
        "user.address.street": "hidden",
        "wire_details.message_to_beneficiary": "hidden",
      },
      key: [],
      columns: [
        text("status"),
        text("type"),
        text("network"),
        text("ach_class"),
        decimal("amount"),
        text("iso_currency_code"),
        text("description"),
        timestamptz("created"),
        text("sweep_status"),
        boolean("cancellable"),
        text("account_id"),
        text("funding_account_id"),
        text("ledger_id"),
        text("authorization_id"),
        text("recurring_transfer_id"),
        text("originator_client_id"),
        text("failure_reason_failure_code", "failure_reason.failure_code"),
        text("failure_reason_ach_return_code", "failure_reason.ach_return_code"),
        text("failure_reason_description", "failure_reason.description"),
        text("guarantee_decision"),
        date("standard_return_window"),
        date("unauthorized_return_window"),
        date("expected_settlement_date"),
        date("expected_funds_available_date"),
        decimal("facilitator_fee"),
        text("network_trace_id"),
        text("user_legal_name", "user.legal_name"),
        text("user_email_address", "user.email_address"),
        text("user_phone_number", "user.phone_number"),
        jsonb("metadata"),
        jsonb("refunds"),
      ],
      event: {
        rows: "transfers",
        example: {
          id: "460cbe92-2dcc-8eae-5ad6-b37d0ec90fd9",
          status: "posted",
          type: "credit",
          network: "ach",
          amount: "12.34",
          iso_currency_code: "USD",
          description: "payout",
          created: "2026-11-19T17:27:15Z",
          account_id: "3gE5gnRzNyfXpBK5wEEKcymJ5albGVUqg77gr",
          failure_reason: null,
        },
      },
    },
  ],
};
