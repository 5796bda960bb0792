/** The accounts in reports of Plaid Check and in asset reports: balances, days, transactions and owners, as the reports show them. */
import { dayText, momentText } from "../days.ts";
import type { Random } from "../random.ts";
import { dollars, monthBefore, ownerObject, usd, USD, type Person } from "./american.ts";

type Plain = Record<string, unknown>;

/** What stays the same from report to report. */
export interface ReportedAccount {
  accountId: string;
  mask: string;
  name: string;
  type: string;
  subtype: string;
  owners: Plain[];
}

export const drawReported = (random: Random, someone: Person): ReportedAccount => {
  const subtype = random.pick(["checking", "savings"] as const);
  return {
    accountId: random.id(),
    mask: String(random.between(1000, 9999)),
    name: subtype === "checking" ? "Plaid Checking" : "Plaid Saving",
    type: "depository",
    subtype,
    owners: [ownerObject(random, someone)],
  };
};

const HISTORY_DAYS = 10;
const MERCHANTS = ["Uber", "Starbucks", "Costco", "Payroll", "Rent"] as const;

/** The last days, newest first, with cents that a report of a later day continues nowhere: reports are snapshots. */
export const historyOf = (random: Random, cents: number, day: number): Plain[] =>
  Array.from({ length: HISTORY_DAYS }, (_, back) => ({
    current: dollars(cents + random.between(-400_00, 400_00)),
    date: dayText(day - back),
    ...USD,
  }));

export const transactionsOf = (random: Random, accountId: string, day: number): Plain[] =>
  Array.from({ length: random.between(2, 5) }, () => {
    const merchant = random.pick(MERCHANTS);
    const date = dayText(day - random.between(0, 80));
    return {
      account_id: accountId,
      account_owner: null,
      amount: dollars(random.between(-3000_00, 400_00)),
      check_number: null,
      credit_category: { detailed: "EXPENDITURE_OTHER", primary: "EXPENDITURE" },
      date,
      date_transacted: date,
      location: {
        address: null,
        city: null,
        country: null,
        lat: null,
        lon: null,
        postal_code: null,
        region: null,
        store_number: null,
      },
      merchant_name: merchant,
      original_description: `${merchant.toUpperCase()} ${random.between(100, 999)}`,
      pending: false,
      transaction_id: random.id(),
      ...USD,
    };
  });

/** Plaid's BaseReportAccount */
export function baseReportAccount(
  random: Random,
  account: ReportedAccount,
  days: number,
  day: number,
  now: number,
): Plain {
  const cents = random.between(50_00, 20_000_00);
  const start = dayText(day - days);
  return {
    account_id: account.accountId,
    attributes: {
      is_primary_account: account.subtype === "checking",
      nsf_overdraft_transactions_count: random.below(3),
      nsf_overdraft_transactions_count_30d: 0,
      nsf_overdraft_transactions_count_60d: 0,
      nsf_overdraft_transactions_count_90d: 0,
      primary_account_score: account.subtype === "checking" ? 0.9 : 0.2,
      total_inflow_amount: usd(random.between(3000_00, 20_000_00)),
      total_outflow_amount: usd(random.between(2000_00, 15_000_00)),
    },
    balances: {
      available: dollars(cents - 10_00),
      average_balance: dollars(cents + 12_34),
      average_monthly_balances: [{ ...monthBefore(day, 1), average_balance: usd(cents + 5_00) }],
      current: dollars(cents),
      last_updated_datetime: momentText(now),
      limit: null,
      most_recent_thirty_day_average_balance: dollars(cents + 3_00),
      ...USD,
    },
    consumer_disputes: [],
    days_available: days,
    historical_balances: historyOf(random, cents, day),
    mask: account.mask,
    metadata: { end_date: dayText(day), start_date: start },
    name: account.name,
    official_name: null,
    owners: account.owners,
    ownership_type: "individual",
    subtype: account.subtype,
    transactions: transactionsOf(random, account.accountId, day),
    type: account.type,
  };
}

/** Plaid's AccountAssets */
export function assetAccount(random: Random, account: ReportedAccount, days: number, day: number): Plain {
  const cents = random.between(50_00, 20_000_00);
  return {
    account_id: account.accountId,
    balances: {
      available: dollars(cents - 10_00),
      current: dollars(cents),
      limit: null,
      margin_loan_amount: null,
      ...USD,
    },
    days_available: days,
    historical_balances: historyOf(random, cents, day),
    mask: account.mask,
    name: account.name,
    official_name: null,
    owners: account.owners,
    ownership_type: null,
    subtype: account.subtype,
    transactions: transactionsOf(random, account.accountId, day),
    type: account.type,
  };
}
