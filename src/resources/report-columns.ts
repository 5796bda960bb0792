/** Columns that the reports of several products have in common. */
import { boolean, date, numeric, text, type Column } from "./types.ts";

/** Of a transaction in a report. */
export const REPORT_TRANSACTION: readonly Column[] = [
  text("item_id"),
  text("account_id"),
  numeric("amount"),
  text("iso_currency_code"),
  date("date"),
  text("original_description"),
  text("merchant_name"),
  boolean("pending"),
  text("credit_category_primary", "credit_category.primary"),
  text("credit_category_detailed", "credit_category.detailed"),
];

/** Of a stream of income in Plaid Check. */
export const INCOME_STREAM: readonly Column[] = [
  text("description"),
  date("start_date"),
  date("end_date"),
  text("insights_income_category_primary", "insights.income_category.primary"),
  text("insights_income_category_secondary", "insights.income_category.secondary"),
  text("insights_pay_frequency", "insights.pay_frequency"),
  text("insights_income_provider_name", "insights.income_provider.name"),
  text("insights_status", "insights.status"),
  date("insights_next_payment_date", "insights.next_payment.date"),
  numeric("income_metrics_current_monthly_net_income", "income_metrics.current.monthly.net_income"),
  numeric("income_metrics_current_monthly_gross_income", "income_metrics.current.monthly.gross_income"),
  numeric("income_metrics_current_annual_net_income", "income_metrics.current.annual.net_income"),
];
