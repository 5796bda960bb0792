/**
 * Asset reports (https://plaid.com/docs/api/products/assets/#asset_reportget). Plaid asks for a report's token, which only
 * /asset_report/create answers: register it. A report never changes; a refresh makes another one, with a token of its own.
 */
import { OWNERS, PARTIES } from "./owners.ts";
import { REPORT_TRANSACTION } from "./report-columns.ts";
import { ASSET_REPORT } from "./subjects.ts";
import { jsonb, numeric, text, timestamptz, type Resource } from "./types.ts";

const ACCOUNTS = "report.items[].accounts";

export const assetReports: Resource = {
  name: "asset_reports",
  touchedBy: [{ type: "ASSETS", codes: ["PRODUCT_READY"] }],
  subject: ASSET_REPORT,
  fetch: { kind: "snapshot", endpoint: "/asset_report/get" },
  tables: [
    {
      name: "asset_reports",
      row: "an asset report",
      rows: [{ at: "report", with: ["warnings"], without: ["items", "asset_report_id"] }],
      sensitive: {
        "user.first_name": "hidden",
        "user.middle_name": "hidden",
        "user.last_name": "hidden",
        "user.ssn": "last4",
        "user.phone_number": "hidden",
        "user.email": "hidden",
      },
      key: [],
      columns: [
        text("client_report_id"),
        timestamptz("date_generated"),
        numeric("days_requested"),
        text("user_client_user_id", "user.client_user_id"),
        text("user_first_name", "user.first_name"),
        text("user_last_name", "user.last_name"),
        text("user_ssn", "user.ssn"),
        jsonb("warnings"),
      ],
    },
    {
      name: "asset_report_accounts",
      row: "an account in an asset report",
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
        numeric("balances_limit", "balances.limit"),
        text("balances_iso_currency_code", "balances.iso_currency_code"),
        numeric("days_available"),
        jsonb("owners"),
        jsonb("historical_balances"),
        jsonb("investments"),
      ],
      event: {
        rows: "accounts of asset reports",
        example: {
          account_id: "1qKRXQjk8xUWDJojNwPXTj8gEmR48piqRNye8",
          item_id: "eVBnVMp7zdTJLkRNr33Rs6zr7KNJqBFL9DrE6",
          name: "Plaid Checking",
          type: "depository",
          subtype: "checking",
          balances: { current: 110, available: 100, limit: null, iso_currency_code: "USD" },
          days_available: 30,
        },
      },
    },
    {
      name: "asset_report_transactions",
      row: "a transaction in an asset report",
      rows: [{ at: `${ACCOUNTS}[].transactions`, with: ["report.items[].item_id"] }],
      sensitive: PARTIES,
      rarelySensitive: true,
      key: ["transaction_id"],
      columns: [...REPORT_TRANSACTION],
    },
  ],
};
