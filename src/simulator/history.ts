/**
 * Makes the transactions that an Item has when it is linked, and single new ones later: merchant, place, amount and day, drawn
 * from the Item's own random stream.
 */
import type { Account } from "./account.ts";
import { MERCHANT_LOTS, MERCHANTS, PLACES, type Merchant } from "./catalogue/merchants.ts";
import { newTxn, type Txn } from "./transaction-log.ts";
import type { Random } from "./random.ts";

/** what the user's login decides */
export type Username = "user_good" | "user_transactions_dynamic" | "user_custom" | "controlled";

export interface Plan {
  username: Username;
  /** transactions in the whole history */
  transactions: number;
  /** how far back the history goes */
  days: number;
}

const DYNAMIC_TRANSACTIONS = 50;
const TRANSACTIONS_PER_MONTH = 16;

/** What a Sandbox user has. */
export function planFor(username: Username, days: number): Plan {
  const transactions =
    username === "user_transactions_dynamic" ? DYNAMIC_TRANSACTIONS : Math.ceil((days * TRANSACTIONS_PER_MONTH) / 30);
  return { username, transactions, days };
}

/** Banks show a few pending transactions, however long the history is. */
const MOST_PENDING = 5;

/** accounts, weighted by their activity: half of it is on the first active one (checking) */
export function accountLots(accounts: readonly Account[]): readonly Account[] {
  const busy = accounts.filter((account) => account.kind.busy);
  const [first] = busy;
  return first ? [...busy, ...Array<Account>(busy.length).fill(first)] : accounts;
}

/** A transaction that is not in the log yet. */
export function makeTxn(random: Random, lots: readonly Account[], day: number, pending: boolean): Txn {
  const merchant = random.pick(MERCHANT_LOTS);
  const { cents } = MERCHANTS[merchant] as Merchant;
  return newTxn({
    id: random.id(),
    account: random.pick(lots),
    merchant,
    place: random.below(PLACES.length),
    amount: random.between(cents[0], cents[1]) * 100,
    day,
    authorizedDay: pending ? day : day - random.below(3),
    pending,
    pendingId: null,
    note: null,
  });
}

/** The history, oldest first: spread over the plan's days, the newest few pending. Without accounts there is none. */
export function makeHistory(plan: Plan, accounts: readonly Account[], today: number, random: Random): Txn[] {
  const history: Txn[] = [];
  if (accounts.length === 0) return history;
  const lots = accountLots(accounts);
  const pendingOnes = Math.min(MOST_PENDING, Math.ceil(plan.transactions / 10));
  for (let left = plan.transactions; left > 0; left -= 1) {
    const pending = left <= pendingOnes;
    const back = pending ? random.below(2) : Math.floor(((left - 1) * plan.days) / plan.transactions);
    history.push(makeTxn(random, lots, today - back, pending));
  }
  return history;
}
