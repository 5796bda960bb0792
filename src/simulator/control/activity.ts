/**
 * Activity: at an interval, changes a few Items and a few records, as on a calm day. It runs in real time until it is stopped. The seed decides
 * the changes, but not their times.
 */
import { z } from "zod";
import { change } from "../changes.ts";
import { breakItem, repairItem } from "../health.ts";
import { bookOf, type Item } from "../item.ts";
import { ALL_BOOKS } from "../products/index.ts";
import { changeBook } from "../products/shelf.ts";
import { PlaidApiError } from "../plaid-error.ts";
import type { Random } from "../random.ts";
import { changeRecord } from "../records/changes.ts";
import { ALL_RECORDS } from "../records/index.ts";
import type { AnyRecordBook, SimRecord } from "../records/record-book.ts";
import type { Simulation } from "../simulation.ts";

const BREAKS = 0.02;
/** how often a product book changes when its Item does */
const BOOK_NEWS = 0.25;

export class Activity {
  readonly #sim: Simulation;
  readonly #random: Random;
  readonly #recordsRandom: Random;
  #timer: NodeJS.Timeout | undefined;

  constructor(sim: Simulation) {
    this.#sim = sim;
    this.#random = sim.world.random.fork("activity");
    this.#recordsRandom = sim.world.random.fork("activity of records");
  }

  start(everyMs: number, counts: { items: number; records: number }): void {
    this.stop();
    this.#timer = setInterval(() => this.#round(counts), everyMs);
  }

  stop(): boolean {
    const ran = this.#timer !== undefined;
    clearInterval(this.#timer);
    this.#timer = undefined;
    return ran;
  }

  #round(counts: { items: number; records: number }): void {
    this.#itemsRound(counts.items);
    for (const book of ALL_RECORDS) {
      const some = this.#recordsRandom.sample(this.#sim.world.records.all(book.kind), counts.records);
      for (const record of some) this.#nudge(book, record);
    }
  }

  #nudge(book: AnyRecordBook, record: SimRecord): void {
    const requested = book.calm(record, this.#recordsRandom);
    if (requested === null) return;
    try {
      changeRecord(this.#sim, book, record, z.strictObject(book.changing).parse(requested));
    } catch (error) {
      // What Plaid refuses for the record's present state does not happen.
      if (!(error instanceof PlaidApiError)) throw error;
    }
  }

  #itemsRound(count: number): void {
    const ready = [...this.#sim.world.items.values()].filter(
      (item) => !item.removed && !item.revoked && item.stage === "HISTORICAL",
    );
    for (const item of this.#random.sample(ready, count)) this.#live(item);
  }

  #live(item: Item): void {
    if (item.error) return repairItem(this.#sim, item);
    if (this.#random.chance(BREAKS)) return breakItem(this.#sim, item, "ITEM_LOGIN_REQUIRED");
    const book = bookOf(item);
    if (book.accounts.length === 0) return;
    const requested = {
      add: this.#random.below(2),
      addPending: this.#random.between(1, 2),
      modify: this.#random.below(2),
      remove: this.#random.chance(0.1) ? 1 : 0,
      postPending: this.#random.below(3),
    };
    item.lastSuccess = this.#sim.time.now();
    this.#sim.announce(item, change(book, requested, this.#sim.today()));
    for (const book of ALL_BOOKS) {
      if (this.#random.chance(BOOK_NEWS)) changeBook(this.#sim, item, book, book.calm(this.#random));
    }
  }
}
