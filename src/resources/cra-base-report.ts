/** The base report of Plaid Check: a user's accounts with their owners, balances and transactions on the day of the report. */
import { REPORT_READY, reportFetch } from "./cra.ts";
import { OWNERS } from "./owners.ts";
import { REPORT_TRANSACTION } from "./report-columns.ts";
import { USER } from "./subjects.ts";
import { boolean, jsonb, numeric, text, timestamptz, type Resource } from "./types.ts";

const ACCOUNTS = "report.items[].accounts";

export const craBaseReport: Resource = {
  name: "cra_base_report",
  touchedBy: REPORT_READY,
  subject: USER,
  billed: "once",
  fetch: reportFetch("base_report"),
  tables: [
    {
      name: "cra_base_reports",
      row: "the user's newest base report",
      rows: [{ at: "report", one: true, with: ["warnings"], without: ["items"] }],
      key: ["report_id"],
      columns: [
        timestamptz("date_generated"),
        numeric("days_requested"),
        text("client_report_id"),
        numeric("attributes_nsf_overdraft_transactions_count", "attributes.nsf_overdraft_transactions_count"),
        numeric("attributes_total_inflow_amount_amount", "attributes.total_inflow_amount.amount"),
        numeric("attributes_total_outflow_amount_amount", "attributes.total_outflow_amount.amount"),
        jsonb("warnings"),
      ],
      event: {
        rows: "base reports",
        example: {
          report_id: "028e8404-a013-4a45-ac9e-002482f9cafc",
          date_generated: "2026-11-19T18:30:00Z",
          days_requested: 90,
          client_report_id: "client_report_id_1221",
          warnings: [],
        },
      },
    },
    {
      name: "cra_base_report_accounts",
      row: "an account in a base report",
      rows: [
        {
          at: ACCOUNTS,
          with: ["item_id", "institution_id", "institution_name", "date_last_updated"],
          without: ["transactions"],
        },
      ],
      sensitive: OWNERS,
      key: ["account_id"],
      columns: [
        text("item_id"),
        text("institution_id"),
        text("institution_name"),
        timestamptz("date_last_updated"),
        text("name"),
        text("official_name"),
        text("mask"),
        text("type"),
        text("subtype"),
        text("ownership_type"),
        numeric("balances_available", "balances.available"),
        numeric("balances_current", "balances.current"),
        numeric("balances_average_balance", "balances.average_balance"),
        text("balances_iso_currency_code", "balances.iso_currency_code"),
        numeric("days_available"),
        boolean("attributes_is_primary_account", "attributes.is_primary_account"),
        numeric("attributes_nsf_overdraft_transactions_count", "attributes.nsf_overdraft_transactions_count"),
        jsonb("owners"),
        jsonb("historical_balances"),
        jsonb("consumer_disputes"),
      ],
      event: {
        rows: "accounts of base reports",
        example: {
          account_id: "1qKRXQjk8xUWDJojNwPXTj8gEmR48piqRNye8",
          item_id: "eVBnVMp7zdTJLkRNr33Rs6zr7KNJqBFL9DrE6",
          name: "Plaid Checking",
          type: "depository",
          subtype: "checking",
          balances: { current: 110, available: 100, average_balance: 98.2, iso_currency_code: "USD" },
          days_available: 90,
        },
      },
    },
    {
      name: "cra_base_report_transactions",
      row: "a transaction in a base report",
      rows: [{ at: `${ACCOUNTS}[].transactions`, with: ["report.items[].item_id"] }],
      sensitive: { account_owner: "hidden" },
      rarelySensitive: true,
      key: ["transaction_id"],
      columns: [
        ...REPORT_TRANSACTION,
        text("personal_finance_category_primary", "personal_finance_category.primary"),
        text("personal_finance_category_detailed", "personal_finance_category.detailed"),
      ],
    },
  ],
};
