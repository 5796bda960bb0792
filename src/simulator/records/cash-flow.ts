/** Cash-flow updates (https://plaid.com/docs/api/products/check/): what Plaid noticed at a user's item since it was subscribed to. */
import { dayText, momentText } from "../days.ts";
import type { Random } from "../random.ts";
import type { WebhookNotice } from "../webhooks/notices.ts";
import { dollars } from "./american.ts";
import type { CheckItem } from "./check-report.ts";

export const CASH_FLOW_CODES = [
  "LARGE_DEPOSIT_DETECTED",
  "LOW_BALANCE_DETECTED",
  "NEW_LOAN_PAYMENT_DETECTED",
  "NSF_OVERDRAFT_DETECTED",
] as const;
/** what only older subscriptions were told of */
export const OLDER_CODES = ["INSIGHTS_UPDATED", "NEW_INCOME_STREAM_DETECTED", "EXPECTED_DEPOSIT_MISSED"] as const;
export type CashFlowCode = (typeof CASH_FLOW_CODES)[number] | (typeof OLDER_CODES)[number];

export interface Monitoring {
  subscriptionId: string;
  insightsId: string;
  webhook: string | null;
  items: Record<string, unknown>[];
}

/** Plaid's CraMonitoringInsightsItem, without accounts */
export const monitoredItem = (
  random: Random,
  { item, stream }: CheckItem,
  now: number,
  day: number,
): Record<string, unknown> => ({
  date_generated: momentText(now),
  insights: {
    income: {
      forecasted_monthly_income: { baseline_amount: null, current_amount: dollars(stream.monthly) },
      historical_annual_income: { baseline_amount: null, current_amount: dollars(stream.monthly * 12) },
      income_sources: [
        {
          income_category: "SALARY",
          income_description: stream.description,
          income_source_id: stream.id,
          last_transaction_date: dayText(day - random.below(20)),
        },
      ],
      income_sources_counts: { baseline_count: null, current_count: 1 },
      total_monthly_income: { baseline_amount: null, current_amount: dollars(stream.monthly + random.below(300_00)) },
    },
    loans: {
      loan_disbursements_count: random.below(3),
      loan_payment_merchants_counts: { baseline_count: null, current_count: random.below(3) },
      loan_payments_counts: { baseline_count: null, current_count: random.below(6) },
    },
  },
  institution_id: item.institutionId,
  institution_name: item.institutionName,
  item_id: item.itemId,
  status: { status_code: item.broken ? "FAILED" : "AVAILABLE" },
});

/** @param older one webhook for each finding, as before CASH_FLOW_INSIGHTS_UPDATED */
export const cashFlowNotices = (userId: string, codes: readonly CashFlowCode[], older: boolean): WebhookNotice[] =>
  older
    ? codes.map((code) => ({ type: "CASH_FLOW_UPDATES", code, fields: { status: "AVAILABLE", user_id: userId } }))
    : [
        {
          type: "CASH_FLOW_UPDATES",
          code: "CASH_FLOW_INSIGHTS_UPDATED",
          fields: { insights: codes, status: "AVAILABLE", user_id: userId },
        },
      ];
