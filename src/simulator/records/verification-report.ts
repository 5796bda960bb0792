/**
 * The verification report of a consumer report (https://plaid.com/docs/api/products/check/#cracheck_reportverificationget): assets, latest
 * deposits and income in the form for mortgage lenders. It says what the base report and the income insights say, so it is worked out from
 * them and is no state of its own.
 */
import { dayText, parseDay } from "../days.ts";
import type { CheckReport } from "./check-report.ts";

type Plain = Record<string, unknown>;

export const VERIFICATIONS = ["VOA", "EMPLOYMENT_REFRESH", "INCOME"] as const;
export type Verification = (typeof VERIFICATIONS)[number];

/** What is read of Plaid's BaseReportAccount */
interface BaseAccount extends Plain {
  attributes: { nsf_overdraft_transactions_count: number };
  balances: { average_balance: number; most_recent_thirty_day_average_balance: number } & Plain;
  transactions: ({ amount: number; date: string } & Plain)[];
  metadata: Plain;
}
/** What is read of the Items in Plaid's BaseReport and CraIncomeInsights */
interface ReportItem extends Plain {
  accounts: BaseAccount[];
  bank_income_accounts: Plain[];
  bank_income_sources: { income_source_id: string }[];
}

const itemsOf = (part: Plain): ReportItem[] => part["items"] as ReportItem[];
const only = (from: Plain, ...names: string[]): Plain => Object.fromEntries(names.map((name) => [name, from[name]]));
const ofInstitution = (item: Plain): Plain => only(item, "institution_id", "institution_name", "item_id");

/** Plaid's CraVerificationReport, with the parts that were requested */
export function verificationReport(report: CheckReport, requested: readonly Verification[], days: number): Plain {
  const part = (name: Verification, made: () => Plain) => (requested.includes(name) ? made() : null);
  return {
    client_report_id: report.clientReportId,
    employment_refresh: part("EMPLOYMENT_REFRESH", () => employmentRefresh(report, days)),
    gse_reference_id: `gse-${report.reportId}`,
    income: part("INCOME", () => incomeReport(report)),
    report_id: report.reportId,
    voa: part("VOA", () => assetsReport(report)),
  };
}

/** Plaid's CraVoaReport */
const assetsReport = ({ base }: CheckReport): Plain => ({
  attributes: only(base["attributes"] as Plain, "total_inflow_amount", "total_outflow_amount"),
  days_requested: base["days_requested"],
  generated_time: base["date_generated"],
  items: itemsOf(base).map((item) => ({
    accounts: item.accounts.map(assetsAccount),
    last_update_time: item["date_last_updated"],
    ...ofInstitution(item),
  })),
});

const ACCOUNT = ["account_id", "name", "official_name", "subtype", "type"] as const;

/** Plaid's CraVoaReportAccount */
const assetsAccount = (account: BaseAccount): Plain => ({
  ...only(account, ...ACCOUNT, "consumer_disputes", "days_available", "mask", "owners", "ownership_type"),
  balances: {
    ...only(account.balances, "available", "current", "iso_currency_code", "unofficial_currency_code"),
    average_balance_30_days: account.balances.most_recent_thirty_day_average_balance,
    average_balance_60_days: account.balances.average_balance,
    historical_balances: account["historical_balances"],
    nsf_overdraft_transactions_count: account.attributes.nsf_overdraft_transactions_count,
  },
  transactions_insights: { all_transactions: account.transactions, ...account.metadata },
});

/** Plaid's CraEmploymentRefreshReport: deposits of the last days, without their amounts */
function employmentRefresh({ base }: CheckReport, days: number): Plain {
  const generated = base["date_generated"] as string;
  const from = dayText((parseDay(generated.slice(0, 10)) ?? 0) - days);
  const deposits = ({ transactions }: BaseAccount) =>
    transactions
      .filter(({ amount, date }) => amount < 0 && date >= from)
      .map((one) => only(one, "account_id", "date", "original_description", "pending", "transaction_id"));
  return {
    days_requested: days,
    generated_time: generated,
    items: itemsOf(base).map((item) => ({
      accounts: item.accounts.map((account) => ({ ...only(account, ...ACCOUNT), transactions: deposits(account) })),
      last_update_time: item["date_last_updated"],
      ...ofInstitution(item),
    })),
  };
}

/** Plaid's CraVerificationIncomeReport, whose streams have new ids in each report, as the sources of the income insights do */
function incomeReport({ income }: CheckReport): Plain {
  const sources = itemsOf(income).flatMap((item) => item.bank_income_sources);
  const { income_metrics } = income["user_summary"] as { income_metrics: Plain[] };
  return {
    ...only(income, "days_requested", "generated_time"),
    income_streams: (income["income_streams"] as Plain[]).map((stream, n) => ({
      ...stream,
      income_metrics: presentOnly(stream["income_metrics"] as Plain),
      income_stream_id: sources[n]?.income_source_id,
    })),
    items: itemsOf(income).map((item) => ({
      accounts: item.bank_income_accounts.map((account) => only(account, ...ACCOUNT, "mask", "metadata")),
      last_updated_time: item["last_updated_time"],
      ...ofInstitution(item),
    })),
    user_summary: { income_metrics: income_metrics.map(presentOnly) },
  };
}

const presentOnly = (metrics: Plain): Plain =>
  only(metrics, "current", "iso_currency_code", "unofficial_currency_code");
