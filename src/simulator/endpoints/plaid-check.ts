/** POST /cra/…: consumer reports, the insights of a report, and cash-flow updates. */
import { z } from "zod";
import { invalidField, reportExpired, reportNotFound, reportNotReady } from "../plaid-error.ts";
import { announce } from "../records/changes.ts";
import { CASH_FLOW_CODES } from "../records/cash-flow.ts";
import type { CheckReport } from "../records/check-report.ts";
import type { SimRecord } from "../records/record-book.ts";
import { newReport, planReport, subscribed, updateCashFlow, type User } from "../records/user.ts";
import { reportFailed, reportReady, reportTruth, statusOf } from "../records/user-objects.ts";
import { VERIFICATIONS, verificationReport } from "../records/verification-report.ts";
import type { Simulation } from "../simulation.ts";
import type { Answer, Endpoint, Shape } from "./endpoint.ts";
import { webhookUrl } from "./item-webhook-update.ts";
import { userEndpoint } from "./users.ts";

const PURPOSES = [
  "ACCOUNT_REVIEW_CREDIT",
  "ACCOUNT_REVIEW_NON_CREDIT",
  "EXTENSION_OF_CREDIT",
  "LEGITIMATE_BUSINESS_NEED_TENANT_SCREENING",
  "LEGITIMATE_BUSINESS_NEED_OTHER",
  "WRITTEN_INSTRUCTION_PREQUALIFICATION",
  "WRITTEN_INSTRUCTION_OTHER",
  "ELIGIBILITY_FOR_GOVT_BENEFITS",
] as const;
const CHECK_CODES = [
  "CHECK_REPORT_READY",
  "CHECK_REPORT_FAILED",
  "USER_CHECK_REPORT_READY",
  "USER_CHECK_REPORT_FAILED",
] as const;
const anything = z.looseObject({}).nullish();

/** The report, while Plaid shows it. */
function shownReport({ report }: User, sim: Simulation): CheckReport {
  const status = statusOf(report, sim.time.now());
  if (report === null || status === "none") throw reportNotFound();
  if (status === "pending") throw reportNotReady();
  if (status === "expired") throw reportExpired();
  return report;
}

/** The report's part for a resource, while Plaid shows the report. */
function readReport({ state }: SimRecord<User>, sim: Simulation, part: string): Answer {
  shownReport(state, sim);
  return reportTruth(state)[part] ?? {};
}

const reportEndpoint = (path: string, part: string, shape: Shape = {}): Endpoint =>
  userEndpoint(
    `/cra/check_report/${path}/get`,
    { third_party_user_token: z.string().optional(), ...shape },
    (record, _, { sim }) => readReport(record, sim, part),
  );

export const PLAID_CHECK: readonly Endpoint[] = [
  userEndpoint(
    "/cra/check_report/create",
    {
      webhook: webhookUrl,
      days_requested: z.int().min(1).max(731),
      days_required: z.int().optional(),
      client_report_id: z.string().nullish(),
      products: z.array(z.string()).nullish(),
      consumer_report_permissible_purpose: z.enum(PURPOSES),
      base_report: anything,
      cashflow_insights: anything,
      partner_insights: anything,
      lend_score: anything,
      network_insights: anything,
      income_insights: anything,
      include_investments: z.boolean().nullish(),
    },
    (record, body, { sim }): Answer => {
      if (record.state.items.length === 0) throw invalidField("the user has no Items to report on");
      record.webhook = body.webhook;
      newReport(record.state, record.random, sim, {
        daysRequested: body.days_requested,
        clientReportId: body.client_report_id ?? null,
        afterMs: sim.options.extraction.refreshMs,
      });
      planReport(record, sim);
      return {};
    },
  ),
  reportEndpoint("base_report", "cra_base_report", {
    item_ids: z.array(z.string()).nullish(),
    user_tier: z.string().nullish(),
  }),
  reportEndpoint("income_insights", "cra_income_insights", { options: anything }),
  reportEndpoint("partner_insights", "cra_partner_insights", {
    user_tier: z.string().nullish(),
    partner_insights: anything,
    options: anything,
  }),
  reportEndpoint("network_insights", "cra_network_insights", { options: anything }),
  reportEndpoint("cashflow_insights", "cra_cashflow_insights", { options: anything }),
  reportEndpoint("lend_score", "cra_lend_score", { options: anything }),
  userEndpoint(
    "/cra/check_report/verification/get",
    {
      reports_requested: z.array(z.enum(VERIFICATIONS)).min(1),
      employment_refresh_options: z.looseObject({ days_requested: z.int().min(1).max(731) }).nullish(),
    },
    ({ state }, { reports_requested, employment_refresh_options }, { sim }): Answer => {
      const report = shownReport(state, sim);
      const days = employment_refresh_options?.days_requested;
      if (days === undefined && reports_requested.includes("EMPLOYMENT_REFRESH"))
        throw invalidField("employment_refresh_options must be given for an employment refresh");
      return { report: verificationReport(report, reports_requested, days ?? 0), warnings: [] };
    },
  ),
  userEndpoint(
    "/cra/monitoring_insights/subscribe",
    { webhook: webhookUrl, item_id: z.string().optional(), income_categories: z.array(z.string()).nullish() },
    ({ state, random }, { webhook }, { sim }) => {
      if (state.items.length === 0) throw invalidField("the user has no Item to subscribe to");
      state.monitoring = subscribed(state, random, sim, webhook);
      return { subscription_id: state.monitoring.subscriptionId };
    },
  ),
  userEndpoint(
    "/cra/monitoring_insights/get",
    { consumer_report_permissible_purpose: z.enum(["ACCOUNT_REVIEW_CREDIT", "WRITTEN_INSTRUCTION_OTHER"]) },
    ({ state }) => {
      const shown = reportTruth(state)["cra_monitoring_insights"];
      if (!shown) throw reportNotFound();
      return shown;
    },
  ),
  userEndpoint(
    "/sandbox/user/fire_webhook",
    {
      webhook_type: z.literal("CHECK_REPORT"),
      webhook_code: z.enum(CHECK_CODES),
      webhook: webhookUrl,
    },
    (record, { webhook, webhook_code }, { sim }) => {
      const notice = webhook_code.endsWith("READY") ? reportReady(record) : reportFailed(record);
      announce(sim, record, { ...notice, code: webhook_code }, { url: webhook });
      return { webhook_fired: true };
    },
  ),
  userEndpoint(
    "/sandbox/cra/cashflow_updates/update",
    { webhook_codes: z.array(z.enum(CASH_FLOW_CODES)).nullish() },
    (record, { webhook_codes }, { sim }): Answer => {
      if (!record.state.monitoring) throw invalidField("the user has no subscription to cash-flow updates");
      const notices = updateCashFlow(record, sim, webhook_codes ?? CASH_FLOW_CODES);
      announce(sim, record, notices, { url: record.state.monitoring.webhook });
      return {};
    },
  ),
];
