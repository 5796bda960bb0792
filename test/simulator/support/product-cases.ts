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
  /** an account of this subtype has what the product is about */
  subtype: string;
  /** Plaid's error where no account is of such a subtype, and an account that is not; null: every item has accounts for it */
  noAccounts: { code: string; unless: readonly string[]; other: string } | null;
  /** its answers can be limited to some accounts */
  byAccount: boolean;
  /** /sandbox/item/fire_webhook sends its webhook */
  fired: boolean;
  webhook: string;
}

export const PRODUCT_CASES: ProductCase[] = [
  {
    name: "holdings",
    path: "/investments/holdings/get",
    product: "investments",
    subtype: "brokerage",
    noAccounts: { code: "NO_INVESTMENT_ACCOUNTS", unless: ["investment"], other: "savings" },
    byAccount: true,
    fired: true,
    webhook: "HOLDINGS/DEFAULT_UPDATE",
  },
  {
    name: "liabilities",
    path: "/liabilities/get",
    product: "liabilities",
    subtype: "mortgage",
    noAccounts: { code: "NO_LIABILITY_ACCOUNTS", unless: ["credit", "loan"], other: "savings" },
    byAccount: true,
    fired: true,
    webhook: "LIABILITIES/DEFAULT_UPDATE",
  },
  {
    name: "auth",
    path: "/auth/get",
    product: "auth",
    subtype: "savings",
    noAccounts: { code: "NO_AUTH_ACCOUNTS", unless: ["depository"], other: "mortgage" },
    byAccount: true,
    fired: true,
    webhook: "AUTH/DEFAULT_UPDATE",
  },
  {
    name: "identity",
    path: "/identity/get",
    product: "identity",
    subtype: "savings",
    noAccounts: null,
    byAccount: true,
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
];
