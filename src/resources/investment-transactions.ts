/**
 * What was bought, sold, paid and charged in the investment accounts of an Item, and the securities that it names
 * (https://plaid.com/docs/api/products/investments/#investmentstransactionsget). Plaid has 24 months of it, without a cursor: the days
 * are read anew each time, what they lack was cancelled, and rows that have grown older than them stay. `async_update` lets Plaid answer
 * at once where it has not fetched them yet, instead of holding the request for a minute or two; a webhook says when it has them.
 */
import { holdings } from "./holdings.ts";
import { ITEM } from "./subjects.ts";
import { date, numeric, text, timestamptz, type Resource, type Table } from "./types.ts";

const [, securities] = holdings.tables as readonly [Table, Table];

export const investmentTransactions: Resource = {
  name: "investment_transactions",
  touchedBy: [
    { type: "INVESTMENTS_TRANSACTIONS" },
    { type: "ITEM", codes: ["CREATED", "UPDATED", "NEW_ACCOUNTS_AVAILABLE", "USER_ACCOUNT_REVOKED", "LOGIN_REPAIRED"] },
  ],
  subject: ITEM,
  products: ["investments"],
  fetch: {
    kind: "window",
    endpoint: "/investments/transactions/get",
    body: () => ({ options: { async_update: true } }),
    none: ["NO_INVESTMENT_ACCOUNTS"],
    window: {
      days: 730,
      fromAs: "start_date",
      toAs: "end_date",
      offsetAs: "options.offset",
      countAs: "options.count",
      count: 500,
      totalAt: "total_investment_transactions",
      column: "date",
    },
  },
  updatedWith: ["investments"],
  tables: [
    {
      name: "investment_transactions",
      row: "a transaction of an investment account",
      rows: [{ at: "investment_transactions" }],
      key: ["investment_transaction_id"],
      columns: [
        text("account_id"),
        text("security_id"),
        date("date"),
        timestamptz("transaction_datetime"),
        text("name"),
        numeric("quantity"),
        numeric("amount"),
        numeric("price"),
        numeric("fees"),
        text("type"),
        text("subtype"),
        text("iso_currency_code"),
        text("unofficial_currency_code"),
        text("cancel_transaction_id"),
      ],
      event: {
        rows: "investment transactions",
        example: {
          investment_transaction_id: "oq99Pz97joHQem4BNjXECev1E4B6L6sRzwANW",
          account_id: "k67E4xKvMlhmleEa4pg9hlwGGNnnEeixPolGm",
          security_id: "KDwjlXj1Rqt58dVvmzRguxJybmyQL8FgeWWAy",
          date: "2026-11-19",
          name: "BUY DoubleLine Total Return Bond Fund",
          quantity: 13,
          amount: 135.46,
          price: 10.42,
          fees: 0,
          type: "buy",
          subtype: "buy",
          iso_currency_code: "USD",
          unofficial_currency_code: null,
        },
      },
    },
    { ...securities, name: "traded_securities", row: "a security that an item's investment transactions name" },
  ],
};
