/**
 * The inflow model of an account of `user_custom`: an income each month, or a monthly payment of what is owed on the account or of its
 * interest only.
 */
import type { Account } from "../account.ts";
import { dayText, parseDay } from "../days.ts";
import type { Random } from "../random.ts";
import { newTxn, type Txn } from "../transaction-log.ts";
import type { InflowModel } from "./schema.ts";

/** The transactions of the model between two days; `given` are the account's others. */
export function inflowOf(
  account: Account,
  given: readonly Txn[],
  span: { from: number; today: number },
  ids: Random,
): Txn[] {
  const model = account.override?.inflow_model;
  if (!model || model.type === "none") return [];
  return monthsOf(span).flatMap((month) => {
    const day = dayIn(month, model.payment_day_of_month);
    if (day < span.from || day > span.today) return [];
    const amount = amountOf(model, day, account, given);
    return amount === 0 ? [] : [newInflow(ids.id(), account, day, amount, model.transaction_name)];
  });
}

type Paying = Exclude<InflowModel, { type: "none" }>;

/** money in is negative, in ten-thousandths */
function amountOf(model: Paying, day: number, account: Account, given: readonly Txn[]): number {
  if (model.type === "monthly-income") return -Math.round(model.income_amount * 10_000);
  const statement = statementBefore(day, model.statement_day_of_month);
  const after = given.filter((txn) => txn.account === account && !txn.pending && txn.day > statement);
  const owed = account.current - after.reduce((sum, txn) => sum + txn.amount, 0);
  if (owed <= 0) return 0;
  if (model.type === "monthly-balance-payment") return -owed;
  const { liability } = account.override ?? {};
  const apr = liability?.nominal_apr ?? liability?.purchase_apr ?? 0;
  return -Math.round((owed * apr) / 100 / 12);
}

/** The last statement until this day: of the same month, or of the one before. */
function statementBefore(day: number, statementDay: number | "last"): number {
  const inMonth = dayIn(dayText(day).slice(0, 7), statementDay);
  return inMonth <= day ? inMonth : dayIn(dayText(day - 31).slice(0, 7), statementDay);
}

/** "2026-03", each month that has a day of the span */
function monthsOf({ from, today }: { from: number; today: number }): string[] {
  const days = Array.from({ length: today - from + 1 }, (_, at) => from + at);
  return [...new Set(days.map((day) => dayText(day).slice(0, 7)))];
}

function dayIn(month: string, day: number | "last"): number {
  if (day !== "last") return parseDay(`${month}-${String(day).padStart(2, "0")}`) as number;
  const first = parseDay(`${month}-01`) as number;
  return first + new Date(Date.UTC(Number(month.slice(0, 4)), Number(month.slice(5)), 0)).getUTCDate() - 1;
}

const newInflow = (id: string, account: Account, day: number, amount: number, name: string): Txn =>
  newTxn({
    id,
    account,
    merchant: 0,
    place: 0,
    amount,
    day,
    authorizedDay: day,
    pending: false,
    pendingId: null,
    note: name,
  });
