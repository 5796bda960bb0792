/**
 * Recurring transfers and their schedules (https://plaid.com/docs/api/products/transfer/recurring-transfers/#transferrecurringget). The
 * transfers that one makes are in the ledger like all others.
 */
import { RECURRING_TRANSFER } from "./subjects.ts";
import { date, decimal, numeric, text, textList, timestamptz, type Resource } from "./types.ts";

export const recurringTransfers: Resource = {
  name: "recurring_transfers",
  touchedBy: [
    { type: "TRANSFER", codes: ["RECURRING_NEW_TRANSFER", "RECURRING_TRANSFER_SKIPPED", "RECURRING_CANCELLED"] },
  ],
  subject: RECURRING_TRANSFER,
  fetch: { kind: "snapshot", endpoint: "/transfer/recurring/get" },
  tables: [
    {
      name: "recurring_transfers",
      row: "a recurring transfer, its schedule and the transfers that it made",
      rows: [{ at: "recurring_transfer" }],
      sensitive: {
        "user.legal_name": "hidden",
        "user.email_address": "hidden",
        "user.phone_number": "hidden",
        "user.address.street": "hidden",
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
        date("next_origination_date"),
        text("account_id"),
        text("funding_account_id"),
        text("schedule_interval_unit", "schedule.interval_unit"),
        numeric("schedule_interval_count", "schedule.interval_count"),
        numeric("schedule_interval_execution_day", "schedule.interval_execution_day"),
        date("schedule_start_date", "schedule.start_date"),
        date("schedule_end_date", "schedule.end_date"),
        textList("transfer_ids"),
        text("user_legal_name", "user.legal_name"),
        text("user_email_address", "user.email_address"),
        text("user_phone_number", "user.phone_number"),
      ],
      event: {
        rows: "recurring transfers",
        example: {
          recurring_transfer_id: "460cbe92-2dcc-8eae-5ad6-b37d0ec90fd9",
          status: "active",
          type: "debit",
          network: "ach",
          amount: "12.34",
          next_origination_date: "2026-11-26",
          transfer_ids: ["271ef220-dbf8-caeb-a7dc-a2b3e8a80963"],
          schedule: { interval_unit: "week", interval_count: 1, interval_execution_day: 5, start_date: "2026-10-01" },
        },
      },
    },
  ],
};
