/**
 * Reports on the income that arrives at a user's bank accounts (https://plaid.com/docs/api/products/income/#creditbank_incomeget). Plaid
 * keeps older reports and gives the newest ones first; the mirror holds as many as are asked for here.
 */
import { OWNERS } from "./owners.ts";
import { USER } from "./subjects.ts";
import { date, jsonb, numeric, text, timestamptz, type Resource } from "./types.ts";

const REPORTS = 5;
const REPORT_ID = "bank_income[].bank_income_id";
const SOURCES = "bank_income[].items[].bank_income_sources";

export const bankIncome: Resource = {
  name: "bank_income",
  touchedBy: [
    { type: "INCOME", codes: ["BANK_INCOME_COMPLETE", "BANK_INCOME_REFRESH_UPDATE", "BANK_INCOME_REFRESH_COMPLETE"] },
    { type: "CRA_INCOME", codes: ["BANK_INCOME_COMPLETE"] },
  ],
  subject: USER,
  fetch: {
    kind: "snapshot",
    endpoint: "/credit/bank_income/get",
    body: () => ({ options: { count: REPORTS } }),
    none: ["INCOME_VERIFICATION_NOT_FOUND"],
  },
  tables: [
    {
      name: "bank_income_reports",
      row: "a report on bank income",
      rows: [{ at: "bank_income", without: ["items"], optional: true }],
      key: ["bank_income_id"],
      columns: [
        timestamptz("generated_time"),
        numeric("days_requested"),
        date("bank_income_summary_start_date", "bank_income_summary.start_date"),
        date("bank_income_summary_end_date", "bank_income_summary.end_date"),
        numeric("bank_income_summary_income_sources_count", "bank_income_summary.income_sources_count"),
        numeric("bank_income_summary_income_transactions_count", "bank_income_summary.income_transactions_count"),
        jsonb("bank_income_summary_total_amounts", "bank_income_summary.total_amounts"),
        jsonb("warnings"),
      ],
    },
    {
      name: "bank_income_accounts",
      row: "an account that a report on bank income is about",
      rows: [
        {
          at: "bank_income[].items[].bank_income_accounts",
          with: [REPORT_ID, "item_id", "institution_id", "institution_name"],
          optional: true,
        },
      ],
      sensitive: OWNERS,
      key: ["bank_income_id", "account_id"],
      columns: [
        text("item_id"),
        text("institution_id"),
        text("institution_name"),
        text("name"),
        text("official_name"),
        text("mask"),
        text("type"),
        text("subtype"),
        jsonb("owners"),
      ],
    },
    {
      name: "bank_income_sources",
      row: "a source of income in a report",
      rows: [{ at: SOURCES, with: [REPORT_ID, "item_id"], without: ["historical_summary"], optional: true }],
      key: ["bank_income_id", "income_source_id"],
      columns: [
        text("item_id"),
        text("account_id"),
        text("income_description"),
        text("income_category"),
        text("pay_frequency"),
        date("start_date"),
        date("end_date"),
        numeric("total_amount"),
        numeric("transaction_count"),
      ],
      event: {
        rows: "sources of bank income",
        example: {
          bank_income_id: "abc123",
          income_source_id: "f17efbdd-caab-4278-8ece-963511cd3d51",
          item_id: "AZMP7JrGXgtPd3AQMeg7hwMKgk5E8qU1V5ME7",
          account_id: "1qKRXQjk8xUWDJojNwPXTj8gEmR48piqRNye8",
          income_description: "PLAID_INC_DIRECT_DEP_PPD",
          income_category: "SALARY",
          pay_frequency: "MONTHLY",
          total_amount: 1000,
          transaction_count: 1,
        },
      },
    },
    {
      name: "bank_income_months",
      row: "what a source of income brought in a month",
      rows: [
        {
          at: `${SOURCES}[].historical_summary`,
          with: [REPORT_ID, "income_source_id"],
          optional: true,
        },
      ],
      key: ["bank_income_id", "income_source_id", "start_date"],
      columns: [date("end_date"), jsonb("total_amounts"), jsonb("transactions")],
    },
  ],
};
