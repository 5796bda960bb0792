/** The product books, for tests of what they have in common. */
import { frozenClock, type SimulatorOptions } from "../../../src/simulator/index.ts";
import type { BookName } from "../../../src/simulator/products/index.ts";

export const OPTIONS: SimulatorOptions = {
  seed: "products",
  clock: frozenClock("2026-03-07T12:00:00Z"),
  rateLimits: false,
  extraction: { initialMs: 10_000, historicalMs: 20_000 },
};

interface ProductCase {
  name: BookName;
  path: string;
  product: string;
  /** the fields that every request has */
  asks?: object;
  /** an account of this subtype has what the product is about */
  subtype: string;
  /** Plaid's error where no account is of such a subtype, and an account that is not; null: every item has accounts for it */
  noAccounts: { code: string; unless: readonly string[]; other: string } | null;
  /** its answers can be limited to some accounts: by the option, or by a field of the request itself */
  byAccount: "option" | "field" | false;
  /** /sandbox/item/fire_webhook sends its webhook */
  fired: boolean;
  webhook: string;
  /** the webhook of the first pull, where it is another one */
  first?: string;
}

export const PRODUCT_CASES: ProductCase[] = [
  {
    name: "holdings",
    path: "/investments/holdings/get",
    product: "investments",
    subtype: "brokerage",
    noAccounts: { code: "NO_INVESTMENT_ACCOUNTS", unless: ["investment"], other: "savings" },
    byAccount: "option",
    fired: true,
    webhook: "HOLDINGS/DEFAULT_UPDATE",
  },
  {
    name: "liabilities",
    path: "/liabilities/get",
    product: "liabilities",
    subtype: "mortgage",
    noAccounts: { code: "NO_LIABILITY_ACCOUNTS", unless: ["credit", "loan"], other: "savings" },
    byAccount: "option",
    fired: true,
    webhook: "LIABILITIES/DEFAULT_UPDATE",
  },
  {
    name: "auth",
    path: "/auth/get",
    product: "auth",
    subtype: "savings",
    noAccounts: { code: "NO_AUTH_ACCOUNTS", unless: ["depository"], other: "mortgage" },
    byAccount: "option",
    fired: true,
    webhook: "AUTH/DEFAULT_UPDATE",
  },
  {
    name: "identity",
    path: "/identity/get",
    product: "identity",
    subtype: "savings",
    noAccounts: null,
    byAccount: "option",
    fired: false,
    webhook: "IDENTITY/DEFAULT_UPDATE",
  },
  {
    name: "statements",
    path: "/statements/list",
    product: "statements",
    subtype: "savings",
    noAccounts: null,
    byAccount: false,
    fired: false,
    webhook: "STATEMENTS/STATEMENTS_REFRESH_COMPLETE",
  },
  {
    name: "investment_transactions",
    path: "/investments/transactions/get",
    product: "investments",
    asks: { start_date: "2024-03-07", end_date: "2026-03-08" },
    subtype: "brokerage",
    noAccounts: { code: "NO_INVESTMENT_ACCOUNTS", unless: ["investment"], other: "checking" },
    byAccount: "option",
    fired: true,
    webhook: "INVESTMENTS_TRANSACTIONS/DEFAULT_UPDATE",
    first: "INVESTMENTS_TRANSACTIONS/HISTORICAL_UPDATE",
  },
  {
    name: "recurring_transactions",
    path: "/transactions/recurring/get",
    product: "recurring_transactions",
    subtype: "checking",
    noAccounts: null,
    byAccount: "field",
    // The Sandbox fires it for any item with Transactions.
    fired: false,
    webhook: "TRANSACTIONS/RECURRING_TRANSACTIONS_UPDATE",
  },
];
