/**
 * The ledger of transfer events (https://plaid.com/docs/api/products/transfer/reading-transfers/#transfereventsync): a client has one,
 * its events are numbered and never change. Its webhook says only that there are more, so the events say which transfers to read again.
 */
import { TRANSFER, TRANSFER_LEDGER } from "./subjects.ts";
import { decimal, text, timestamptz, type Resource } from "./types.ts";

export const transferLedger: Resource = {
  name: "transfer_ledger",
  touchedBy: [{ type: "TRANSFER", codes: ["TRANSFER_EVENTS_UPDATE"] }],
  subject: TRANSFER_LEDGER,
  fetch: {
    kind: "ledger",
    endpoint: "/transfer/event/sync",
    body: () => ({ count: 500 }),
    after: { sentAs: "after_id", idAt: "event_id", moreAt: "has_more" },
  },
  tables: [
    {
      name: "transfer_events",
      row: "a step of a transfer, a sweep or a refund",
      rows: [{ at: "transfer_events" }],
      key: ["event_id"],
      columns: [
        timestamptz("timestamp"),
        text("event_type"),
        text("transfer_id"),
        text("transfer_type"),
        decimal("transfer_amount"),
        decimal("event_amount"),
        text("account_id"),
        text("funding_account_id"),
        text("ledger_id"),
        text("failure_reason_failure_code", "failure_reason.failure_code"),
        text("failure_reason_ach_return_code", "failure_reason.ach_return_code"),
        text("failure_reason_description", "failure_reason.description"),
        text("sweep_id"),
        decimal("sweep_amount"),
        text("refund_id"),
        text("originator_client_id"),
        text("intent_id"),
        decimal("wire_return_fee"),
      ],
      references: [{ column: "transfer_id", subject: TRANSFER, staleHours: "changed" }],
      event: {
        rows: "events of transfers",
        example: {
          event_id: 1,
          timestamp: "2026-11-19T17:27:15Z",
          event_type: "posted",
          transfer_id: "460cbe92-2dcc-8eae-5ad6-b37d0ec90fd9",
          transfer_type: "credit",
          transfer_amount: "12.34",
          account_id: "3gE5gnRzNyfXpBK5wEEKcymJ5albGVUqg77gr",
          failure_reason: null,
          sweep_id: null,
          refund_id: null,
        },
      },
    },
  ],
};
