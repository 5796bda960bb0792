/**
 * A consumer report of Plaid Check (https://plaid.com/docs/api/products/check/): the base report with the user's accounts, the income
 * insights, and four insights that are made when they are first asked for. A report is ready some time after it was created, is
 * shown for 24 hours, and is replaced by the next one.
 */
import { dayText, momentText } from "../days.ts";
import type { Random } from "../random.ts";
import { dollars, employerName, monthBefore, usd, USD } from "./american.ts";
import { baseReportAccount, type ReportedAccount } from "./check-accounts.ts";
import type { UserItem } from "./user-items.ts";

type Plain = Record<string, unknown>;

export interface CheckReport {
  reportId: string;
  clientReportId: string | null;
  daysRequested: number;
  readyAt: number;
  base: Plain;
  income: Plain;
  partner: Plain;
  network: Plain;
  cashflow: Plain;
  lendScore: Plain;
}

export const REPORT_LIFE_MS = 24 * 3_600_000;

export interface CheckItem {
  item: UserItem;
  accounts: ReportedAccount[];
  stream: IncomeStream;
}

/** A source of income that stays the same from report to report. */
export interface IncomeStream {
  id: string;
  description: string;
  monthly: number;
}

export const drawStream = (random: Random): IncomeStream => ({
  id: random.uuid(),
  description: `${employerName(random).toUpperCase()} PAYROLL`,
  monthly: random.between(1_500_00, 7_500_00),
});

export interface NewReport {
  daysRequested: number;
  clientReportId: string | null;
  now: number;
  readyAt: number;
  day: number;
}

export function drawReport(random: Random, items: readonly CheckItem[], asked: NewReport): CheckReport {
  const reportId = random.uuid();
  const generated = { generated_time: momentText(asked.readyAt), report_id: reportId };
  const { clientReportId, daysRequested, readyAt } = asked;
  return {
    reportId,
    clientReportId,
    daysRequested,
    readyAt,
    base: baseOf(random, reportId, items, asked),
    income: { ...generated, ...incomeOf(random, items, asked) },
    partner: { ...generated, ...partnerOf(random, items, asked) },
    network: {
      ...generated,
      items: items.map(({ item }) => ofInstitution(item)),
      network_attributes: { plaid_conn_user_lifetime_personal_lending_flag: random.below(2) },
    },
    cashflow: {
      ...generated,
      attributes: {
        cash_reliance_atm_withdrawal_amt_cv_90d: random.below(1000) / 100,
        days_with_neg_bal_90d: random.below(9),
      },
    },
    lendScore: {
      ...generated,
      lend_score: { error_reason: null, reason_codes: ["PLAID_1001", "PLAID_1004"], score: random.between(1, 99) },
    },
  };
}

const ofInstitution = ({ itemId, institutionId, institutionName }: UserItem) => ({
  institution_id: institutionId,
  institution_name: institutionName,
  item_id: itemId,
});

/** Plaid's BaseReport */
const baseOf = (random: Random, reportId: string, items: readonly CheckItem[], asked: NewReport): Plain => ({
  attributes: {
    nsf_overdraft_transactions_count: 0,
    total_inflow_amount: usd(random.between(3000_00, 20_000_00)),
    total_outflow_amount: usd(random.between(2000_00, 15_000_00)),
  },
  client_report_id: asked.clientReportId,
  date_generated: momentText(asked.readyAt),
  days_requested: asked.daysRequested,
  items: items.map(({ item, accounts }) => ({
    accounts: accounts.map((one) => baseReportAccount(random, one, asked.daysRequested, asked.day, asked.now)),
    date_last_updated: momentText(asked.now),
    ...ofInstitution(item),
  })),
  report_id: reportId,
});

/** Plaid's CraIncomeInsights, without its id and time */
function incomeOf(
  random: Random,
  items: readonly CheckItem[],
  { clientReportId, daysRequested, day, now }: NewReport,
): Plain {
  const total = items.reduce((sum, { stream }) => sum + stream.monthly, 0);
  return {
    bank_income_summary: {
      end_date: dayText(day),
      forecasted_average_monthly_income: [usd(total)],
      historical_annual_income: [usd(total * 12)],
      historical_average_monthly_income: [usd(total)],
      historical_summary: [{ ...monthBefore(day, 1), total_amounts: [usd(total)], transactions: [] }],
      income_categories_count: 1,
      income_sources_count: items.length,
      income_transactions_count: items.length,
      start_date: monthBefore(day, 1).start_date,
      total_amounts: [usd(total)],
    },
    client_report_id: clientReportId,
    days_requested: daysRequested,
    income_streams: items.map((each) => streamObject(random, each, day)),
    items: items.map((each) => ({
      bank_income_accounts: each.accounts.map((account) => incomeAccount(account, day, daysRequested)),
      bank_income_sources: [sourceObject(random, each, day)],
      last_updated_time: momentText(now),
      ...ofInstitution(each.item),
    })),
    user_summary: { income_metrics: [metricsOf(total)] },
    warnings: [],
  };
}

/** Plaid's CraBankIncomeAccount, of the partner insights too */
const incomeAccount = (account: ReportedAccount, day: number, days: number): Plain => ({
  account_id: account.accountId,
  mask: account.mask,
  metadata: { end_date: dayText(day), start_date: dayText(day - days) },
  name: account.name,
  official_name: null,
  owners: account.owners,
  subtype: account.subtype,
  type: "depository",
});

const provider = (name: string): Plain => ({ is_normalized: true, name });

function sourceObject(random: Random, { accounts, stream }: CheckItem, day: number): Plain {
  const { monthly, description } = stream;
  return {
    account_id: accounts[0]?.accountId,
    employer: { name: description },
    end_date: dayText(day),
    forecasted_average_monthly_income: dollars(monthly),
    forecasted_average_monthly_income_prediction_intervals: [
      { lower_bound: dollars(monthly * 0.8), probability: 0.9, upper_bound: dollars(monthly * 1.2) },
    ],
    historical_average_monthly_gross_income: dollars(monthly * 1.25),
    historical_average_monthly_income: dollars(monthly),
    historical_summary: [{ ...monthBefore(day, 1), total_amounts: [usd(monthly)], transactions: [] }],
    income_category: "SALARY",
    income_description: description,
    income_provider: provider(description),
    // A new report has new ids of sources.
    income_source_id: random.uuid(),
    next_payment_date: dayText(day + 14),
    pay_frequency: "MONTHLY",
    start_date: monthBefore(day, 1).start_date,
    status: "ACTIVE",
    total_amount: dollars(monthly),
    transaction_count: 1,
    ...USD,
  };
}

/** Plaid's CraIncomeStream */
function streamObject(random: Random, { item, accounts, stream }: CheckItem, day: number): Plain {
  const { id, description, monthly } = stream;
  return {
    description,
    end_date: dayText(day),
    income_metrics: metricsOf(monthly),
    income_stream_id: id,
    insights: {
      income_category: { primary: "EARNED_INCOME", secondary: "SALARY" },
      income_provider: provider(description),
      next_payment: { date: dayText(day + 14) },
      pay_frequency: "MONTHLY",
      status: "ACTIVE",
    },
    start_date: monthBefore(day, 1).start_date,
    transactions: [
      {
        account_id: accounts[0]?.accountId,
        amount: -dollars(monthly),
        date: monthBefore(day, 1).end_date,
        item_id: item.itemId,
        original_description: description,
        outlier: { is_outlier: false },
        transaction_id: random.id(),
        ...USD,
      },
    ],
  };
}

function metricsOf(monthly: number): Plain {
  const values = (cents: number) => ({ gross_income: dollars(cents * 1.25), net_income: dollars(cents) });
  const modeled = { annual: values(monthly * 12), monthly: values(monthly) };
  return { current: modeled, projected: modeled, ...USD };
}

/** Plaid's CraPartnerInsights, without its id and time */
function partnerOf(
  random: Random,
  items: readonly CheckItem[],
  { clientReportId, day, daysRequested }: NewReport,
): Plain {
  const score = (version: string) => ({
    model_version: version,
    reason_codes: ["CS03038"],
    score: random.between(200, 900),
    version: 3,
  });
  return {
    client_report_id: clientReportId,
    items: items.map(({ item, accounts }) => ({
      accounts: accounts.map((account) => incomeAccount(account, day, daysRequested)),
      ...ofInstitution(item),
    })),
    prism: {
      cash_score: score("3"),
      detect: null,
      extend: null,
      first_detect: score("3"),
      insights: { model_version: "3", result: { l6m_cumbal_acc: random.below(900) }, version: 3 },
      status: "SUCCESS",
    },
  };
}
