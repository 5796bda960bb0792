/**
 * Reports on the income that arrives at a user's bank accounts
 * (https://plaid.com/docs/api/products/income/#creditbank_incomeget): for each account its sources of income, month by month.
 * A refresh makes a new report; the sources keep their ids.
 */
import { dayText, momentText, parseDay } from "../days.ts";
import type { Random } from "../random.ts";
import { dollars, employerName, monthBefore, ownerObject, usd, USD, type Person } from "./american.ts";
import type { UserItem } from "./user-items.ts";

type Plain = Record<string, unknown>;

const MONTHS = 3;
const CATEGORIES = ["SALARY", "GIG_ECONOMY", "RENTAL", "BANK_INTEREST"] as const;

/** What stays the same from report to report. */
export interface IncomeSource {
  id: string;
  accountId: string;
  description: string;
  category: (typeof CATEGORIES)[number];
  /** cents */
  monthly: number;
}

export interface IncomeItem {
  item: UserItem;
  accountId: string;
  owners: Plain[];
  sources: IncomeSource[];
}

export const drawIncomeItem = (random: Random, item: UserItem, someone: Person): IncomeItem => {
  const accountId = random.id();
  const sources = random.sample(CATEGORIES, random.between(1, 2)).map((category) => ({
    id: random.uuid(),
    accountId,
    description: `${employerName(random).toUpperCase()} ${category === "SALARY" ? "PAYROLL" : "DEPOSIT"}`,
    category,
    monthly: random.between(300_00, 7_000_00),
  }));
  return { item, accountId, owners: [ownerObject(random, someone)], sources };
};

/** Plaid's CreditBankIncome */
export function bankIncomeObject(random: Random, items: readonly IncomeItem[], now: number, day: number): Plain {
  const shown = items.map((each) => incomeItemObject(random, each, now, day));
  const sources = shown.flatMap(({ bank_income_sources }) => bank_income_sources);
  const total = sources.reduce((sum, source) => sum + Math.round(source.total_amount * 100), 0);
  return {
    bank_income_id: random.uuid(),
    bank_income_summary: {
      end_date: dayText(day),
      historical_summary: Array.from({ length: MONTHS }, (_, back) => ({
        ...monthBefore(day, back),
        total_amounts: [usd(total / MONTHS)],
        transactions: [],
      })),
      income_categories_count: new Set(sources.map((source) => source.income_category)).size,
      income_sources_count: sources.length,
      income_transactions_count: sources.length * MONTHS,
      start_date: monthBefore(day, MONTHS - 1).start_date,
      total_amounts: [usd(total)],
    },
    days_requested: 90,
    generated_time: momentText(now),
    items: shown,
    warnings: [],
  };
}

function incomeItemObject(random: Random, { item, accountId, owners, sources }: IncomeItem, now: number, day: number) {
  return {
    bank_income_accounts: [
      {
        account_id: accountId,
        mask: "0000",
        name: "Plaid Checking",
        official_name: "Plaid Gold Standard 0% Interest Checking",
        owners,
        subtype: "checking",
        type: "depository",
      },
    ],
    bank_income_sources: sources.map((source) => sourceObject(random, source, day)),
    institution_id: item.institutionId,
    institution_name: item.institutionName,
    item_id: item.itemId,
    last_updated_time: momentText(now),
  };
}

function sourceObject(random: Random, source: IncomeSource, day: number) {
  const months = historyOf(random, source, day);
  const total = months.reduce((sum, month) => sum + month.cents, 0);
  return {
    account_id: source.accountId,
    end_date: dayText(day),
    historical_summary: months.map(({ shown }) => shown),
    income_category: source.category,
    income_description: source.description,
    income_source_id: source.id,
    pay_frequency: "MONTHLY",
    start_date: monthBefore(day, MONTHS - 1).start_date,
    total_amount: dollars(total),
    transaction_count: months.length,
  };
}

/** The months of a source, newest first, each with its one deposit. */
function historyOf(random: Random, { description, monthly }: IncomeSource, day: number) {
  return Array.from({ length: MONTHS }, (_, back) => {
    const month = monthBefore(day, back);
    const cents = monthly + random.between(-20_00, 20_00);
    const shown = {
      ...month,
      total_amounts: [usd(cents)],
      transactions: [
        {
          amount: -dollars(cents),
          check_number: null,
          date: dayText((parseDay(month.start_date) ?? day) + 4),
          name: description,
          original_description: description,
          pending: false,
          transaction_id: random.id(),
          ...USD,
        },
      ],
    };
    return { cents, shown };
  });
}
