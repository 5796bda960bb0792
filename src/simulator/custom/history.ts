/**
 * The transactions of `user_custom`: those of each account's override, else made-up ones, and besides those of its inflow model. A
 * transaction that posts on a later day is pending until then.
 */
import type { Account } from "../account.ts";
import { parseDay } from "../days.ts";
import { makeHistory, type Plan } from "../history.ts";
import type { Random } from "../random.ts";
import { newTxn, type Txn } from "../transaction-log.ts";
import { inflowOf } from "./inflow.ts";
import type { CustomUser, TransactionOverride } from "./schema.ts";

/** A pending transaction and the day on which it posts. */
export interface DueTxn {
  txn: Txn;
  day: number;
}

export interface CustomHistory {
  /** oldest first */
  history: Txn[];
  due: DueTxn[];
}

interface Ground {
  user: CustomUser;
  plan: Plan;
  accounts: readonly Account[];
  /** the day when the Item is linked */
  today: number;
  /** what is made up; Items with the same seed share it */
  data: Random;
  /** for ids, which no two Items share */
  ids: Random;
}

export function customHistory(ground: Ground): CustomHistory {
  const { user, plan, accounts, today, data, ids } = ground;
  const silent = accounts.filter((one) => one.kind.busy && !one.override?.transactions);
  const share = { ...plan, transactions: Math.ceil(plan.transactions / Math.max(1, silent.length)) };
  const shift = user.roll_dates_forward ? Math.max(0, today - newestDay(user)) : 0;
  const due: DueTxn[] = [];
  const history = accounts.flatMap((account, at) => {
    const random = data.fork(`transactions/${at}`);
    const drawn = silent.includes(account) ? makeHistory(share, [account], today, random) : [];
    const requested = (account.override?.transactions ?? []).map((one) =>
      txnOf(one, account, { today, shift, ids, due }),
    );
    const given = [...drawn.map((txn) => ({ ...txn, id: ids.id() })), ...requested];
    return [...given, ...inflowOf(account, given, { from: today - plan.days, today }, ids)];
  });
  const kept = history.filter((txn) => txn.day >= today - plan.days);
  return { history: kept.toSorted((a, b) => a.day - b.day), due: due.filter(({ txn }) => kept.includes(txn)) };
}

/** the newest day on which anything was transacted */
const newestDay = (user: CustomUser): number =>
  Math.max(
    ...(user.override_accounts ?? [])
      .flatMap((one) => one.transactions ?? [])
      .map((one) => parseDay(one.date_transacted) as number),
  );

function txnOf(
  one: TransactionOverride,
  account: Account,
  { today, shift, ids, due }: { today: number; shift: number; ids: Random; due: DueTxn[] },
): Txn {
  const transacted = (parseDay(one.date_transacted) as number) + shift;
  const posted = (parseDay(one.date_posted) as number) + shift;
  const txn = newTxn({
    id: ids.id(),
    account,
    merchant: 0,
    place: 0,
    amount: Math.round(one.amount * 10_000),
    day: posted > today ? transacted : posted,
    authorizedDay: transacted,
    pending: posted > today,
    pendingId: null,
    note: one.description,
    currency: one.currency === account.currency ? null : (one.currency ?? null),
  });
  if (posted > today) due.push({ txn, day: posted });
  return txn;
}
