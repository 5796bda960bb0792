/**
 * Changes the truth at the bank: adds, modifies and removes transactions, and posts pending ones. Each function changes the
 * book and returns what it did; the callers send the webhooks.
 */
import { applyToBalance, type Account } from "./account.ts";
import { MERCHANT_LOTS } from "./catalogue/merchants.ts";
import { newTxn, type Txn } from "./transaction-log.ts";
import { accountLots, makeTxn } from "./history.ts";
import type { Book } from "./item.ts";

export interface Summary {
  added: Txn[];
  modified: Txn[];
  removed: Txn[];
}

/** how many of each */
export interface ChangeCounts {
  add: number;
  addPending: number;
  modify: number;
  remove: number;
  postPending: number;
  account?: Account | undefined;
}

/** A count that exceeds the existing rows applies to all of them. New rows come last, so the other counts apply to older ones. */
export function change(book: Book, requested: ChangeCounts, today: number): Summary {
  const { random, log } = book;
  const removed = random.sample(log.live, requested.remove);
  for (const txn of removed) take(book, txn);
  const modified = random.sample(log.live, requested.modify);
  for (const txn of modified) modify(book, txn);
  const posting = random.sample([...log.pending], requested.postPending);
  const posted = posting.map((txn) => post(book, txn, today));
  const fresh = [
    ...addSome(book, requested.add, today, false, requested.account),
    ...addSome(book, requested.addPending, today, true, requested.account),
  ];
  const gone = new Set(posting);
  return {
    added: [...posted, ...fresh],
    modified: modified.filter((txn) => !gone.has(txn)),
    removed: [...removed, ...posting],
  };
}

function addSome(book: Book, count: number, day: number, pending: boolean, account: Account | undefined): Txn[] {
  const lots = account ? [account] : accountLots(book.accounts);
  return Array.from({ length: count }, () => put(book, makeTxn(book.random, lots, day, pending)));
}

/** Adds a transaction. */
export function put(book: Book, txn: Txn): Txn {
  book.log.add(txn);
  applyToBalance(txn.account, txn.amount, txn.pending, 1);
  if (!txn.pending) txn.balance = txn.account.current;
  return txn;
}

export function take(book: Book, txn: Txn): void {
  book.log.remove(txn);
  applyToBalance(txn.account, txn.amount, txn.pending, -1);
}

/** A tip, a corrected merchant or a corrected day. */
function modify(book: Book, txn: Txn): void {
  const kind = book.random.below(10);
  if (kind < 6) raise(book, txn, Math.max(100, Math.round(Math.abs(txn.amount) / 1000) * 100));
  else if (kind < 8) txn.merchant = book.random.pick(MERCHANT_LOTS);
  else txn.day -= 1;
  if (kind >= 6) book.log.touch(txn);
}

/** Adds to the amount of a transaction (ten-thousandths of a dollar). */
export function raise(book: Book, txn: Txn, by: number): void {
  applyToBalance(txn.account, by, txn.pending, 1);
  txn.amount += by;
  book.log.touch(txn);
}

/** Replaces a pending row by a posted one that names it; one in five with another amount, like tips and holds. */
export function post(book: Book, pending: Txn, today: number): Txn {
  take(book, pending);
  const amount = book.random.chance(0.2) ? pending.amount + book.random.between(1, 500) * 100 : pending.amount;
  return putPosted(book, pending, amount, today);
}

/** The same for the same amount, on the day that its user has planned. */
export function postAsPlanned(book: Book, pending: Txn, day: number): Txn {
  take(book, pending);
  return putPosted(book, pending, pending.amount, day);
}

function putPosted(book: Book, pending: Txn, amount: number, today: number): Txn {
  return put(
    book,
    newTxn({
      id: book.random.id(),
      account: pending.account,
      merchant: pending.merchant,
      place: pending.place,
      amount,
      day: Math.max(today, pending.day),
      authorizedDay: pending.authorizedDay,
      pending: false,
      pendingId: pending.id,
      note: pending.note,
      currency: pending.currency,
    }),
  );
}
