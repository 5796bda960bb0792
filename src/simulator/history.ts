/**
 * The transactions that an Item has when it is linked, and single new ones later: who, where, how much and when, drawn
 * from the Item's own stream.
 */
import type { Account } from "./account.ts";
import { MERCHANT_LOTS, MERCHANTS, PLACES, type Merchant } from "./catalogue/merchants.ts";
import type { Txn } from "./feed.ts";
import type { Random } from "./random.ts";

/** what the user's login decides */
export type Username = "user_good" | "user_transactions_dynamic" | "controlled";

export interface Plan {
  username: Username;
  /** transactions in the whole history */
  transactions: number;
  /** how far back the history goes */
  days: number;
}

/** a transaction before it has an id and a place in the feed */
export type Draft = Omit<Txn, "id" | "added" | "changed" | "removed" | "slot">;

const PENDING_FOR_DAYS = 3;

export interface Wish {
  day: number;
  pending: boolean;
  account?: Account | undefined;
}

export function makeDraft(random: Random, accounts: readonly Account[], wish: Wish): Draft {
  const merchant = random.pick(MERCHANT_LOTS);
  const { cents } = MERCHANTS[merchant] as Merchant;
  return {
    account: wish.account ?? pickAccount(random, accounts),
    merchant,
    place: random.below(PLACES.length),
    amount: random.between(cents[0], cents[1]) * 100,
    day: wish.day,
    authorizedDay: wish.pending ? wish.day : wish.day - random.below(3),
    pending: wish.pending,
    pendingId: null,
    note: null,
  };
}

/** Most happens on the first account (checking) that transactions happen on. */
function pickAccount(random: Random, accounts: readonly Account[]): Account {
  const busy = accounts.filter((account) => account.kind.busy);
  const [first] = busy;
  return first && random.chance(0.5) ? first : random.pick(busy.length > 0 ? busy : accounts);
}

/** The history, oldest first: spread over the plan's days, the newest ones partly pending. */
export function makeHistory(plan: Plan, accounts: readonly Account[], today: number, random: Random): Draft[] {
  const drafts: Draft[] = [];
  for (let i = 0; i < plan.transactions; i += 1) {
    const day = today - Math.floor(((plan.transactions - 1 - i) * plan.days) / Math.max(1, plan.transactions));
    const pending = today - day < PENDING_FOR_DAYS && random.chance(0.4);
    drafts.push(makeDraft(random, accounts, { day, pending }));
  }
  return drafts;
}
