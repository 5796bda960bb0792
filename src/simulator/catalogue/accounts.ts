/**
 * The accounts that a user may have. `user_good` and similar users have those of Plaid's Sandbox; items made through
 * the control API have a few of them, chosen by the seed. Balances are in ten-thousandths of a dollar, because Plaid's
 * own examples have four decimals.
 */
export interface AccountKind {
  name: string;
  official_name: string | null;
  type: string;
  subtype: string;
  mask: string | null;
  available: number | null;
  current: number;
  limit: number | null;
  /** it has transactions */
  busy: boolean;
  /** annual percentage yield; absent: the bank gives none */
  apy?: number;
}

const dollars = (amount: number | null): number | null => (amount === null ? null : Math.round(amount * 10_000));

const kind = (
  mask: string | null,
  name: string,
  official_name: string | null,
  [type, subtype]: [string, string],
  [available, current, limit]: [number | null, number, number | null],
  busy = false,
): AccountKind => ({
  mask,
  name,
  official_name,
  type,
  subtype,
  available: dollars(available),
  current: Math.round(current * 10_000),
  limit: dollars(limit),
  busy,
});

/** An account with this yearly interest, in percent. */
const yielding = (apy: number, one: AccountKind): AccountKind => ({ ...one, apy });

export const CHECKING = kind(
  "0000",
  "Plaid Checking",
  "Plaid Gold Standard 0% Interest Checking",
  ["depository", "checking"],
  [100, 110, null],
  true,
);
export const SAVINGS = yielding(
  0.1,
  kind(
    "1111",
    "Plaid Saving",
    "Plaid Silver Standard 0.1% Interest Saving",
    ["depository", "savings"],
    [200, 210, null],
    true,
  ),
);
export const CREDIT_CARD = kind(
  "3333",
  "Plaid Credit Card",
  "Plaid Diamond 12.5% APR Interest Credit Card",
  ["credit", "credit card"],
  [1590, 410, 2000],
  true,
);
const CD = yielding(
  0.2,
  kind("2222", "Plaid CD", "Plaid Bronze Standard 0.2% Interest CD", ["depository", "cd"], [null, 1000, null]),
);
const MONEY_MARKET = yielding(
  1.85,
  kind(
    "4444",
    "Plaid Money Market",
    "Plaid Platinum Standard 1.85% Interest Money Market",
    ["depository", "money market"],
    [43_200, 43_200, null],
  ),
);
const IRA = kind("5555", "Plaid IRA", null, ["investment", "ira"], [null, 320.76, null]);
const RETIREMENT = kind("6666", "Plaid 401k", null, ["investment", "401k"], [null, 23_631.9805, null]);
const STUDENT_LOAN = kind("7777", "Plaid Student Loan", null, ["loan", "student"], [null, 65_262, null]);
const MORTGAGE = kind("8888", "Plaid Mortgage", null, ["loan", "mortgage"], [null, 56_302.06, null]);
const BROKERAGE = kind("4021", "Plaid Brokerage", null, ["investment", "brokerage"], [1204.5, 48_200.03, null]);
const STOCK_PLAN = kind("4022", "Plaid Stock Plan", null, ["investment", "stock plan"], [null, 18_730.25, null]);
const CRYPTO = kind(
  "4092",
  "Plaid Crypto Exchange Account",
  null,
  ["investment", "crypto exchange"],
  [null, 9_412.6, null],
);
const AUTO_LOAN = kind("7001", "Plaid Auto Loan", null, ["loan", "auto"], [null, 14_350.4, null]);
const PAYPAL = kind("7002", "Plaid PayPal Credit", null, ["credit", "paypal"], [700, 300, 1000]);
// Drawn on as needed; the control can open one.
const CREDIT_LINE = kind("7003", "Plaid Line of Credit", null, ["loan", "line of credit"], [null, 4_200, 10_000]);
const HSA = kind("9001", "Plaid HSA", "Plaid Cares Health Savings Account", ["depository", "hsa"], [6009, 6009, null]);
// Some banks give no mask; code that requires one fails here first.
const CASH = kind(
  null,
  "Plaid Cash Management",
  "Plaid Growth Cash Management",
  ["depository", "cash management"],
  [12_060, 12_060, null],
);
const BUSINESS_CARD = kind(
  "9999",
  "Plaid Business Credit Card",
  "Plaid Platinum Small Business Credit Card",
  ["credit", "credit card"],
  [4980, 5020, 10_000],
);

/** what Plaid's `user_good` holds */
export const USER_GOOD: readonly AccountKind[] = [
  CHECKING,
  SAVINGS,
  CD,
  CREDIT_CARD,
  MONEY_MARKET,
  IRA,
  RETIREMENT,
  STUDENT_LOAN,
  MORTGAGE,
  HSA,
  CASH,
  BUSINESS_CARD,
];

/** a user may have one beside a checking account */
export const OTHERS: readonly AccountKind[] = [SAVINGS, CREDIT_CARD, MONEY_MARKET, CASH, RETIREMENT, STUDENT_LOAN];

/** accounts that an Item linked with this product also has: at least one of the first, or the product would have no data */
export const HELD_FOR: Readonly<Record<string, { first: readonly AccountKind[]; others: readonly AccountKind[] }>> = {
  investments: { first: [BROKERAGE, IRA, RETIREMENT], others: [STOCK_PLAN, CRYPTO, BROKERAGE, IRA] },
  liabilities: {
    first: [CREDIT_CARD, MORTGAGE, STUDENT_LOAN],
    others: [PAYPAL, BUSINESS_CARD, MORTGAGE, STUDENT_LOAN, AUTO_LOAN],
  },
};

/** the kinds of account that a user may open later */
export const LATER: readonly AccountKind[] = [SAVINGS, CREDIT_CARD, BUSINESS_CARD, HSA];

const ALL = [
  ...new Set([
    ...USER_GOOD,
    ...OTHERS,
    ...Object.values(HELD_FOR).flatMap(({ first, others }) => [...first, ...others]),
    CREDIT_LINE,
  ]),
];

/** The first kind of this subtype, such as "brokerage" or "mortgage". */
export const kindOfSubtype = (subtype: string): AccountKind | undefined => ALL.find((one) => one.subtype === subtype);

export const SUBTYPES = [...new Set(ALL.map((one) => one.subtype))] as [string, ...string[]];
