/**
 * Money that comes and goes regularly, as Plaid groups the transactions of an Item
 * (https://plaid.com/docs/api/products/transactions/#transactionsrecurringget): an add-on to Transactions, which Plaid bills for each
 * Item that was ever asked about it. So it is asked for where the Item lists the product, where somebody asks for it by
 * name, and when its webhook comes. Plaid computes the streams some time after new transactions and says nowhere when it last did.
 */
import { ITEM } from "./subjects.ts";
import { boolean, date, numeric, text, textList, type Resource } from "./types.ts";

export const recurringTransactions: Resource = {
  name: "recurring_transactions",
  touchedBy: [
    { type: "TRANSACTIONS", codes: ["RECURRING_TRANSACTIONS_UPDATE"] },
    { type: "ITEM", codes: ["CREATED", "UPDATED", "NEW_ACCOUNTS_AVAILABLE", "USER_ACCOUNT_REVOKED", "LOGIN_REPAIRED"] },
  ],
  subject: ITEM,
  products: ["recurring_transactions"],
  fetch: { kind: "snapshot", endpoint: "/transactions/recurring/get" },
  updatedWith: "unknown",
  tables: [
    {
      name: "recurring_streams",
      row: "a stream of money that comes or goes regularly",
      rows: [
        { at: "inflow_streams", fixed: { direction: "inflow" } },
        { at: "outflow_streams", fixed: { direction: "outflow" } },
      ],
      key: ["stream_id"],
      columns: [
        text("account_id"),
        text("direction"),
        text("description"),
        text("merchant_name"),
        text("frequency"),
        text("status"),
        boolean("is_active"),
        date("first_date"),
        date("last_date"),
        date("predicted_next_date"),
        numeric("average_amount_amount", "average_amount.amount"),
        numeric("last_amount_amount", "last_amount.amount"),
        text("average_amount_iso_currency_code", "average_amount.iso_currency_code"),
        text("average_amount_unofficial_currency_code", "average_amount.unofficial_currency_code"),
        textList("transaction_ids"),
        text("personal_finance_category_primary", "personal_finance_category.primary"),
        text("personal_finance_category_detailed", "personal_finance_category.detailed"),
        text("personal_finance_category_confidence_level", "personal_finance_category.confidence_level"),
      ],
      event: {
        rows: "recurring streams",
        example: {
          stream_id: "no86Eox18VHMvaOVL7gPUM9ap3aR1LsAVZ5nc",
          account_id: "BxBXxLj1m4HMXBm9WZZmCWVbPjX16EHwv99vp",
          direction: "outflow",
          description: "Geico Insurance",
          merchant_name: "Geico",
          frequency: "MONTHLY",
          status: "MATURE",
          is_active: true,
          first_date: "2026-01-04",
          last_date: "2026-11-04",
          predicted_next_date: "2026-12-04",
          average_amount: { amount: 89.4, iso_currency_code: "USD", unofficial_currency_code: null },
          last_amount: { amount: 91.2, iso_currency_code: "USD", unofficial_currency_code: null },
          transaction_ids: ["lPNjeW1nR6CDn5okmGQ6hEpMo4lLNoSrzqDje"],
        },
      },
    },
  ],
};
