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
  noAccounts: string;
  webhook: string;
}

export const PRODUCT_CASES: ProductCase[] = [
  {
    name: "holdings",
    path: "/investments/holdings/get",
    product: "investments",
    subtype: "brokerage",
    noAccounts: "NO_INVESTMENT_ACCOUNTS",
    webhook: "HOLDINGS/DEFAULT_UPDATE",
  },
  {
    name: "liabilities",
    path: "/liabilities/get",
    product: "liabilities",
    subtype: "mortgage",
    noAccounts: "NO_LIABILITY_ACCOUNTS",
    webhook: "LIABILITIES/DEFAULT_UPDATE",
  },
];
