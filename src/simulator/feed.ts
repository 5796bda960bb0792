/**
 * The feed of one Item: its transactions and the log of what happened to them, from which /transactions/sync is
 * answered.
 *
 * The log has one entry an add, modification or removal, numbered from 1; a transaction knows the number of its latest
 * entry, and an older entry of it counts for nothing. So a reader that stands at `base` and asks for everything up to
 * `head` meets each transaction at most once, ordered by its last change, and what it is told depends on where it stood
 * when it began (`base`), never on the page it has reached: added if it came after base, modified if it was there,
 * removed if it was there and is gone, and nothing if it came and went.
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
  /** log numbers; 0: not yet */
  added: number;
  changed: number;
  removed: number;
  /** its place among the live ones */
  slot: number;
}

export type TxnFacts = Omit<Txn, "added" | "changed" | "removed" | "slot">;

/** All are made here, field by field: a million of them should share one hidden class and hold nothing more. */
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

export interface Page {
  added: Txn[];
  modified: Txn[];
  removed: Txn[];
  position: number;
  hasMore: boolean;
}

export interface FeedState {
  live: Txn[];
  pending: Set<Txn>;
  log: Txn[];
}

export class Feed {
  readonly live: Txn[];
  readonly pending: Set<Txn>;
  #log: Txn[];

  constructor({ live, pending, log }: FeedState = { live: [], pending: new Set(), log: [] }) {
    this.live = live;
    this.pending = pending;
    this.#log = log;
  }

  /** All of it, to be kept over a restart. The lists are the feed's own and share their transactions. */
  save(): FeedState {
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

  /** The caller has changed the transaction; this makes it known. */
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

  page(request: PageRequest): Page {
    const page: Page = { added: [], modified: [], removed: [], position: request.head, hasMore: false };
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

function listFor(page: Page, txn: Txn, number: number, { base, account }: PageRequest): Txn[] | null {
  if (txn.changed !== number || (account && txn.account !== account)) return null;
  const known = txn.added <= base;
  if (txn.removed > 0) return known ? page.removed : null;
  return known ? page.modified : page.added;
}
