/** A user in Plaid's answers and webhooks. */
import { momentText } from "../days.ts";
import { itemObject } from "../item.ts";
import type { Simulation } from "../simulation.ts";
import type { WebhookNotice } from "../webhooks/notices.ts";
import type { Monitoring } from "./cash-flow.ts";
import { REPORT_LIFE_MS, type CheckReport } from "./check-report.ts";
import { payrollItemObject, riskItemObject } from "./payroll-income.ts";
import type { SimRecord } from "./record-book.ts";
import { userItemObject } from "./user-items.ts";
import type { User } from "./user.ts";
import { verificationReport } from "./verification-report.ts";

type Plain = Record<string, unknown>;

/** As many days of deposits as Tartan asks for. */
const REFRESHED_DAYS = 180;

/** Whether the report may be read now. */
export function statusOf(report: CheckReport | null, now: number): "none" | "pending" | "ready" | "expired" {
  if (report === null) return "none";
  if (report.readyAt > now) return "pending";
  return now >= report.readyAt + REPORT_LIFE_MS ? "expired" : "ready";
}

/** Plaid's UserGetResponse */
export const userObject = ({ id, createdAt, state }: SimRecord<User>): Plain =>
  state.token === null
    ? {
        client_user_id: state.clientUserId,
        created_at: momentText(createdAt),
        identity: state.identity,
        updated_at: momentText(state.updatedAt),
        user_id: id,
      }
    : {};

/** The Items that reports read, and those that the user linked. */
export const userItems = ({ id, clientId, state }: SimRecord<User>, { world }: Simulation): Plain[] => [
  ...state.items.map(({ item }) => userItemObject(item)),
  ...[...world.items.values()]
    .filter((item) => item.userId === id && item.clientId === clientId && !item.removed)
    .map(itemObject),
];

export const incomeTruth = ({ payroll, bankIncome }: User): Record<string, Plain> => ({
  payroll_income: { items: payroll.map(payrollItemObject) },
  payroll_risk_signals: { items: payroll.map(riskItemObject) },
  bank_income: { bank_income: bankIncome },
});

/** What each endpoint of the report answers; without a report nothing. */
export function reportTruth({ report, monitoring }: User): Record<string, Plain> {
  if (report === null) return monitoring ? { cra_monitoring_insights: monitoringObject(monitoring) } : {};
  const of = (part: Plain) => ({ report: part, warnings: [] });
  return {
    cra_base_report: of(report.base),
    cra_income_insights: of(report.income),
    cra_partner_insights: of(report.partner),
    cra_network_insights: of(report.network),
    cra_cashflow_insights: of(report.cashflow),
    cra_lend_score: of(report.lendScore),
    cra_verification_report: of(verificationReport(report, ["VOA", "INCOME"], REFRESHED_DAYS)),
    cra_employment_refresh: of(verificationReport(report, ["EMPLOYMENT_REFRESH"], REFRESHED_DAYS)),
    ...(monitoring ? { cra_monitoring_insights: monitoringObject(monitoring) } : {}),
  };
}

const monitoringObject = ({ insightsId, items }: Monitoring): Plain => ({ items, user_insights_id: insightsId });

export const incomeVerification = ({ id, state }: SimRecord<User>): WebhookNotice => ({
  type: "INCOME",
  code: state.token === null ? "USER_INCOME_VERIFICATION" : "INCOME_VERIFICATION",
  fields: {
    item_id: state.payroll[0]?.itemId,
    user_id: id,
    verification_status: "VERIFICATION_STATUS_PROCESSING_COMPLETE",
  },
});

export const bankIncomeNotice = (
  { id }: Pick<SimRecord<User>, "id">,
  code: string,
  result = "SUCCESS",
): WebhookNotice => ({
  type: "INCOME",
  code,
  fields: { user_id: id, ...(code === "BANK_INCOME_REFRESH_UPDATE" ? {} : { result }) },
});

export const reportReady = ({ id, state }: SimRecord<User>): WebhookNotice => ({
  type: "CHECK_REPORT",
  code: state.token === null ? "USER_CHECK_REPORT_READY" : "CHECK_REPORT_READY",
  fields: {
    failed_products: [],
    item_ids: state.items.map(({ item }) => item.itemId),
    successful_products: ["cra_base_report", "cra_income_insights"],
    user_id: id,
  },
});

export const reportFailed = ({ id, state }: SimRecord<User>): WebhookNotice => ({
  type: "CHECK_REPORT",
  code: state.token === null ? "USER_CHECK_REPORT_FAILED" : "CHECK_REPORT_FAILED",
  fields: { item_ids: state.items.map(({ item }) => item.itemId), user_id: id },
});
