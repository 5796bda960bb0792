/** POST /credit/…: the payroll income of a user, how sure Plaid is of uploaded documents, and reports on bank income. */
import { z } from "zod";
import { incomeNotFound, userNotFound } from "../plaid-error.ts";
import { announce, recordOf } from "../records/changes.ts";
import { payrollItemObject, riskItemObject, type PayrollItem } from "../records/payroll-income.ts";
import { user } from "../records/user.ts";
import { bankIncomeNotice } from "../records/user-objects.ts";
import { endpoint, type Endpoint } from "./endpoint.ts";
import { webhookUrl } from "./item-webhook-update.ts";
import { userEndpoint } from "./users.ts";

const STATUSES = ["PROCESSING_COMPLETE", "PROCESSING_FAILED", "PENDING_APPROVAL"] as const;

const some = (items: PayrollItem[], requested: readonly string[] | undefined): PayrollItem[] => {
  if (items.length === 0) throw incomeNotFound();
  return requested ? items.filter(({ itemId }) => requested.includes(itemId)) : items;
};

export const CREDIT_INCOME: readonly Endpoint[] = [
  userEndpoint(
    "/credit/payroll_income/get",
    { options: z.strictObject({ item_ids: z.array(z.string()).optional() }).optional() },
    ({ state }, { options }) => ({ items: some(state.payroll, options?.item_ids).map(payrollItemObject) }),
  ),
  userEndpoint("/credit/payroll_income/risk_signals/get", {}, ({ state }) => ({
    items: some(state.payroll, undefined).map(riskItemObject),
  })),
  userEndpoint(
    "/credit/bank_income/get",
    { options: z.strictObject({ count: z.int().min(1).optional() }).optional() },
    ({ state }, { options }) => {
      if (state.bankIncome.length === 0) throw incomeNotFound();
      return { bank_income: state.bankIncome.slice(0, options?.count ?? 1) };
    },
  ),
  endpoint(
    "/sandbox/income/fire_webhook",
    {
      item_id: z.string().min(1),
      user_id: z.string().optional(),
      webhook: webhookUrl,
      verification_status: z.enum(STATUSES.map((one) => `VERIFICATION_STATUS_${one}` as const)).optional(),
      webhook_code: z.enum([
        "INCOME_VERIFICATION",
        "INCOME_VERIFICATION_RISK_SIGNALS",
        "USER_INCOME_VERIFICATION",
        "USER_INCOME_VERIFICATION_RISK_SIGNALS",
      ]),
    },
    ({ webhook, webhook_code: code, verification_status, item_id, user_id }, { sim, client }) => {
      const status = code.endsWith("INCOME_VERIFICATION")
        ? { verification_status: verification_status ?? "VERIFICATION_STATUS_PROCESSING_COMPLETE" }
        : { risk_signals_status: "RISK_SIGNALS_PROCESSING_COMPLETE" };
      const fields = { item_id, ...(user_id === undefined ? {} : { user_id }), ...status };
      sim.notifyClient(client.clientId, { type: "INCOME", code, fields }, webhook);
      return {};
    },
  ),
  endpoint(
    "/sandbox/bank_income/fire_webhook",
    {
      webhook_override: webhookUrl.optional(),
      webhook_code: z.enum(["BANK_INCOME_REFRESH_UPDATE", "BANK_INCOME_REFRESH_COMPLETE"]),
      webhook_fields: z.strictObject({
        user_id: z.string().min(1),
        bank_income_refresh_complete_result: z.enum(["SUCCESS", "FAILURE"]).optional(),
      }),
    },
    ({ webhook_override: url, webhook_code, webhook_fields: fields }, { sim, client }) => {
      const record = recordOf(sim, user, client.clientId, fields.user_id);
      if (record.state.removed) throw userNotFound();
      const notice = bankIncomeNotice(record, webhook_code, fields.bank_income_refresh_complete_result);
      announce(sim, record, notice, { url });
      return {};
    },
  ),
];
