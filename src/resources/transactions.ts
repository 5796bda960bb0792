/**
 * Transactions of an Item (https://plaid.com/docs/api/products/transactions/#transactionssync). Pages of 500, the most
 * Plaid gives, since a longer loop is likelier to be interrupted by a mutation. Plaid sends no SYNC_UPDATES_AVAILABLE
 * before the first call, which is made right after linking. A revoked account takes its transactions along without a
 * removal of each, so everything is read again. The last month comes first and what is older minutes or hours later; until
 * Plaid says that this was all, what comes is history.
 */
import { PARTIES } from "./owners.ts";
import { ITEM } from "./subjects.ts";
import { boolean, date, jsonb, numeric, text, timestamptz, type Resource } from "./types.ts";

export const transactions: Resource = {
  name: "transactions",
  touchedBy: [
    { type: "TRANSACTIONS", except: ["RECURRING_TRANSACTIONS_UPDATE"] },
    { type: "ITEM", codes: ["CREATED", "UPDATED", "NEW_ACCOUNTS_AVAILABLE", "USER_ACCOUNT_REVOKED", "LOGIN_REPAIRED"] },
  ],
  rereadAfter: [{ type: "ITEM", codes: ["USER_ACCOUNT_REVOKED"] }],
  subject: ITEM,
  products: ["transactions"],
  fetch: {
    kind: "cursor",
    endpoint: "/transactions/sync",
    body: ({ daysRequested, includeOriginalDescription }) => ({
      count: 500,
      options: {
        include_original_description: includeOriginalDescription,
        // Counts at the call that initialises Transactions for the item, and has no effect at any later one.
        ...(daysRequested === null ? {} : { days_requested: daysRequested }),
      },
    }),
    readWith: ({ includeOriginalDescription }) => (includeOriginalDescription ? "include_original_description" : ""),
    cursor: { sentAs: "cursor", nextAt: "next_cursor", moreAt: "has_more" },
    history: { at: "transactions_update_status", complete: "HISTORICAL_UPDATE_COMPLETE", none: "NOT_READY" },
  },
  updatedWith: ["transactions"],
  tables: [
    {
      name: "transactions",
      row: "a transaction, pending or posted",
      rows: [{ at: "added" }, { at: "modified" }],
      removals: "removed",
      // Banks name the people of a few transactions, and those of a few European countries the account of the other side.
      sensitive: { ...PARTIES, "counterparties.account_numbers": "last4" },
      rarelySensitive: true,
      key: ["transaction_id"],
      columns: [
        text("account_id"),
        numeric("amount"),
        text("iso_currency_code"),
        text("unofficial_currency_code"),
        date("date"),
        timestamptz("datetime"),
        date("authorized_date"),
        timestamptz("authorized_datetime"),
        text("name"),
        text("original_description"),
        text("merchant_name"),
        text("merchant_entity_id"),
        text("logo_url"),
        text("website"),
        boolean("pending"),
        text("pending_transaction_id"),
        text("account_owner"),
        text("payment_channel"),
        text("transaction_code"),
        text("check_number"),
        text("personal_finance_category_primary", "personal_finance_category.primary"),
        text("personal_finance_category_detailed", "personal_finance_category.detailed"),
        text("personal_finance_category_confidence_level", "personal_finance_category.confidence_level"),
        text("personal_finance_category_version", "personal_finance_category.version"),
        text("merchant_category_code"),
        numeric("running_balance"),
        text("location_city", "location.city"),
        text("location_region", "location.region"),
        text("location_postal_code", "location.postal_code"),
        text("location_country", "location.country"),
        text("payment_meta_payee", "payment_meta.payee"),
        text("payment_meta_payer", "payment_meta.payer"),
        text("payment_meta_reference_number", "payment_meta.reference_number"),
        jsonb("counterparties"),
      ],
      summary: { total_transactions: { count: true } },
      countShown: true,
      event: {
        rows: "transactions",
        example: {
          transaction_id: "lPNjeW1nR6CDn5okmGQ6hEpMo4lLNoSrzqDje",
          account_id: "BxBXxLj1m4HMXBm9WZZmCWVbPjX16EHwv99vp",
          amount: 72.1,
          iso_currency_code: "USD",
          date: "2026-11-19",
          name: "PURCHASE WM SUPERCENTER #1700",
          merchant_name: "Walmart",
          pending: false,
          pending_transaction_id: "kNPjeW1nR6CDn5okmGQ6hEpMo4lLNoSrzqDaa",
        },
      },
    },
  ],
};
