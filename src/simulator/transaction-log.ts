/**
 * The transaction log of one Item: its transactions and the log of their changes, from which /transactions/sync is
 * answered.
 *
 * The log has one entry for each addition, modification or removal, numbered from 1. A transaction knows the number of its latest
 * entry; older entries of it are ignored. So a reader that begins at `base` and reads up to `head` sees each transaction at most
 * once, ordered by its last change. What it sees depends on where it began (`base`), never on the page: the transaction was
 * added if it came after base, modified if it existed, removed if it existed and is gone. A transaction that came and went is not
 * mentioned.
 */
import type { Account } from "./account.ts";

export interface Txn {
  readonly id: string;
  readonly account: Account;
  /** index into MERCHANTS */
  merchant: number;
  /** index into PLACES */
  place: number;
  /** ten-thousandths of a dollar, positive is money out */
  amount: number;
  /** days since the epoch */
  day: number;
  authorizedDay: number;
  readonly pending: boolean;
  /** the pending transaction that this one is the posted form of */
  readonly pendingId: string | null;
  /** a name of its own, instead of the merchant's */
  note: string | null;
  /** another currency than its account's */
  readonly currency: string | null;
  /** of its account once it was posted; null: pending, or older than the Item, where the bank does not say */
  balance: number | null;
  /** log numbers; 0: not yet */
  added: number;
  changed: number;
  removed: number;
  /** its index in `live` */
  slot: number;
}

export type TxnFacts = Omit<Txn, "added" | "changed" | "removed" | "slot" | "currency" | "balance"> & {
  currency?: string | null;
};

/** Makes a transaction field by field, so that a million of them share one hidden class. */
export const newTxn = (facts: TxnFacts): Txn => ({
  id: facts.id,
  account: facts.account,
  merchant: facts.merchant,
  place: facts.place,
  amount: facts.amount,
  day: facts.day,
  authorizedDay: facts.authorizedDay,
  pending: facts.pending,
  pendingId: facts.pendingId,
  note: facts.note,
  currency: facts.currency ?? null,
  balance: null,
  added: 0,
  changed: 0,
  removed: 0,
  slot: 0,
});

export interface PageRequest {
  base: number;
  position: number;
  head: number;
  count: number;
  /** only this account's */
  account: Account | null;
}

export interface TransactionPage {
  added: Txn[];
  modified: Txn[];
  removed: Txn[];
  position: number;
  hasMore: boolean;
}

export interface TransactionLogState {
  live: Txn[];
  pending: Set<Txn>;
  log: Txn[];
}

export class TransactionLog {
  readonly live: Txn[];
  readonly pending: Set<Txn>;
  #log: Txn[];

  constructor({ live, pending, log }: TransactionLogState = { live: [], pending: new Set(), log: [] }) {
    this.live = live;
    this.pending = pending;
    this.#log = log;
  }

  /** The whole log, to be kept over a restart. The lists are the log's own and share their transactions. */
  save(): TransactionLogState {
    return { live: this.live, pending: this.pending, log: this.#log };
  }

  /** the number of the latest change */
  get head(): number {
    return this.#log.length;
  }

  add(txn: Txn): void {
    txn.added = this.#record(txn);
    txn.slot = this.live.length;
    this.live.push(txn);
    txn.account.transactions += 1;
    if (txn.pending) this.pending.add(txn);
  }

  /** Adds an entry for a transaction that the caller has changed. */
  touch(txn: Txn): void {
    this.#record(txn);
  }

  remove(txn: Txn): void {
    txn.removed = this.#record(txn);
    const last = this.live.pop() as Txn;
    if (last !== txn) {
      this.live[txn.slot] = last;
      last.slot = txn.slot;
    }
    txn.account.transactions -= 1;
    this.pending.delete(txn);
  }

  page(request: PageRequest): TransactionPage {
    const page: TransactionPage = { added: [], modified: [], removed: [], position: request.head, hasMore: false };
    let found = 0;
    for (let number = request.position + 1; number <= request.head; number += 1) {
      const txn = this.#log[number - 1] as Txn;
      const list = listFor(page, txn, number, request);
      if (!list) continue;
      if (found === request.count) {
        page.hasMore = true;
        return page;
      }
      list.push(txn);
      found += 1;
      if (found === request.count) page.position = number;
    }
    page.position = request.head;
    return page;
  }

  #record(txn: Txn): number {
    this.#log.push(txn);
    txn.changed = this.#log.length;
    return txn.changed;
  }
}

function listFor(page: TransactionPage, txn: Txn, number: number, { base, account }: PageRequest): Txn[] | null {
  if (txn.changed !== number || (account && txn.account !== account)) return null;
  const known = txn.added <= base;
  if (txn.removed > 0) return known ? page.removed : null;
  return known ? page.modified : page.added;
}
