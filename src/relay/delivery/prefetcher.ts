/**
 * Fetches deliveries of one destination ahead of their sending, and hands them out in the order in which they have to be sent.
 * Deliveries without an ordering key may be sent side by side. Of an ordering key one delivery is sent at a time, and the next
 * only when that one is recorded, so that a crash cannot swap them.
 *
 * An ordering key: absent ──fetched──▶ its first is ready ──next()──▶ under way ──delivered or dead──▶ its next is ready … ──▶ absent
 *                                                                       └──to be retried──▶ absent until it is due
 */
import type { Queryable } from "../../database/types.ts";
import type { EventSource, Form } from "../model/types.ts";
import type { PayloadMemory } from "./payloads.ts";
import { FETCH_DUE, FETCH_DUE_KEYS, FETCH_OF_KEYS, KEYS_AT_ONCE, SETTLE_KEYS } from "./prefetch-queries.ts";

/** A delivery with all that sending it needs. */
export interface PrefetchedDelivery extends Omit<EventSource, "id" | "type" | "bytes"> {
  id: string;
  eventId: string;
  eventType: string;
  orderingKey: string | null;
  form: Form;
  attempts: number;
  tries: number;
  jobId: string | null;
  /** the bytes to send, if they were made before */
  body: Buffer | null;
  bodySha256: Buffer | null;
  /** the expression that makes the body */
  transform: string | null;
  /** of the event; null where a body was made before */
  bytes: Buffer | null;
  /**
   * bytes of the payload, which is `body` or else `bytes`. Both are null until the payload is loaded, where it is large or was
   * fetched with many others. null: the payload is no longer kept
   */
  size: number | null;
}

type DueRow = PrefetchedDelivery & { due: boolean };
/** An ordering key that was due by relay.ordering_keys, with one of its deliveries if it has one. */
type KeyRow = { ofKey: string } & (DueRow | { id: null });

/** Deliveries of an ordering key that one fetch brings. */
const OF_A_KEY = 8;
/** Deliveries that could not be sent within this time are fetched anew: they may have been cancelled meanwhile. */
const STALE_MS = 5000;

/** An ordering key that has a delivery ready or under way. */
interface KeyQueue {
  /** the deliveries that come next */
  queue: PrefetchedDelivery[];
  /** the table may have more behind them */
  more: boolean;
}

/** A destination whose ordering was changed has deliveries with and without an ordering key: each keeps what it was created with. */
export class DeliveryPrefetcher {
  readonly #q: Queryable;
  readonly #destinationId: string;
  readonly #payloads: PayloadMemory;
  #ready: PrefetchedDelivery[] = [];
  #fetchedAt = 0;
  /** deliveries that are ready or under way */
  readonly #known = new Set<string>();
  readonly #keys = new Map<string, KeyQueue>();
  /** ordering keys that may have more deliveries than were fetched */
  readonly #revisit = new Set<string>();
  /** whether all due deliveries without an ordering key were fetched, except those that became due in the last seconds */
  #fetchedOlder = false;
  /** whether the table may have due deliveries without an ordering key, and with one, that were not fetched */
  #mayHaveUnkeyed = true;
  #mayHaveKeyed = true;
  #turns = 0;

  constructor(q: Queryable, destinationId: string, payloads: PayloadMemory) {
    this.#q = q;
    this.#destinationId = destinationId;
    this.#payloads = payloads;
  }

  /** Makes the next call of `next` look for any delivery that is due. */
  wake(): void {
    this.#mayHaveUnkeyed = true;
    this.#fetchedOlder = false;
    this.#mayHaveKeyed = true;
    for (const key of this.#keys.values()) key.more = true;
  }

  /** Deliveries were created with these ordering keys; null: without one. */
  onCreated(keys: Iterable<string | null>): void {
    for (const name of keys) {
      const key = name === null ? undefined : this.#keys.get(name);
      if (name === null) this.#mayHaveUnkeyed = true;
      else if (key) key.more = true;
      else this.#revisit.add(name);
    }
  }

  /** Discards the deliveries that are ready; those under way stay known. */
  discard(): void {
    for (const { id, orderingKey } of this.#ready) {
      this.#known.delete(id);
      this.#payloads.release(id);
      if (orderingKey !== null) this.#forgetKey(orderingKey);
    }
    for (const key of this.#keys.values()) this.#emptyQueue(key);
    this.#ready = [];
    this.#revisit.clear();
    this.wake();
  }

  /** The next delivery to send; fetches about `count` when none is ready. null: nothing is due. */
  async next(count: number): Promise<PrefetchedDelivery | null> {
    if (this.#ready.length > 0 && performance.now() - this.#fetchedAt > STALE_MS) this.discard();
    while (this.#ready.length === 0 && (this.#revisit.size > 0 || this.#mayHaveKeyed || this.#mayHaveUnkeyed)) {
      // The three kinds take turns, so that ordering keys which never run dry do not starve the others.
      this.#turns += 1;
      if (this.#turns % 3 === 0 && this.#revisit.size > 0) await this.#fetchOfKeys();
      if (this.#turns % 3 === 1 && this.#mayHaveKeyed) await this.#fetchDueKeys(Math.min(count, KEYS_AT_ONCE));
      if (this.#turns % 3 === 2 && this.#mayHaveUnkeyed) await this.#fetchUnkeyed(count);
    }
    return this.#ready.shift() ?? null;
  }

  /** Puts back a delivery that cannot be sent just now. */
  unshift(delivery: PrefetchedDelivery): void {
    this.#ready.unshift(delivery);
  }

  /** The delivery is no longer under way. @param finished it is delivered or dead, so the next one of its ordering key may go */
  done({ id, orderingKey: name }: PrefetchedDelivery, finished: boolean): void {
    this.#known.delete(id);
    this.#payloads.release(id);
    const key = name === null ? undefined : this.#keys.get(name);
    if (name === null || !key) return;
    const next = finished ? key.queue.shift() : undefined;
    if (next) {
      this.#known.add(next.id);
      this.#ready.push(next);
      return;
    }
    this.#forgetKey(name);
    if (finished && key.more) this.#revisit.add(name);
  }

  /** No delivery of the ordering key is ready or under way any more. */
  #forgetKey(name: string): void {
    const key = this.#keys.get(name);
    if (key) this.#emptyQueue(key);
    this.#keys.delete(name);
  }

  #emptyQueue(key: KeyQueue): void {
    for (const { id } of key.queue) this.#payloads.release(id);
    key.queue = [];
  }

  async #fetchUnkeyed(count: number): Promise<void> {
    this.#mayHaveUnkeyed = false;
    const older = !this.#fetchedOlder;
    this.#fetchedOlder = true;
    const values = [this.#destinationId, [...this.#known], count, !older, this.#payloads.room];
    const { rows } = await this.#q.query<PrefetchedDelivery>(FETCH_DUE, values);
    this.#add(rows);
    if (rows.length < count) return;
    this.#mayHaveUnkeyed = true;
    if (older) this.#fetchedOlder = false;
  }

  /** Fetches deliveries of ordering keys that are due and have none ready or under way. */
  async #fetchDueKeys(count: number): Promise<void> {
    this.#mayHaveKeyed = false;
    const values = [this.#destinationId, [...this.#keys.keys()], OF_A_KEY, count, this.#payloads.room];
    const { rows } = await this.#q.query<KeyRow>(FETCH_DUE_KEYS, values);
    const due = rows.filter((row) => row.id !== null);
    this.#addKeyed(due);
    const names = new Set(rows.map(({ ofKey }) => ofKey));
    const stale = [...names].filter((name) => !this.#keys.has(name));
    const settled = stale.length === 0 || (await this.#settle(stale));
    // A key that cannot be settled while a transaction writes to it is fetched again on that one's notification, or at the next poll.
    if (names.size === count && (settled || stale.length < count)) this.#mayHaveKeyed = true;
  }

  /** Corrects the due times of ordering keys that have nothing due. @returns whether one was corrected */
  async #settle(keys: readonly string[]): Promise<boolean> {
    const { rows } = await this.#q.query<{ written: number }>(SETTLE_KEYS, [this.#destinationId, keys]);
    return (rows[0]?.written ?? 0) > 0;
  }

  async #fetchOfKeys(): Promise<void> {
    const names: string[] = [];
    for (const name of [...this.#revisit].slice(0, KEYS_AT_ONCE)) {
      this.#revisit.delete(name);
      const key = this.#keys.get(name);
      // While one of its deliveries is under way, the next may be part of a commit that is not finished.
      if (key) key.more = true;
      else names.push(name);
    }
    const { rows } = await this.#q.query<DueRow>(FETCH_OF_KEYS, [
      this.#destinationId,
      names,
      OF_A_KEY,
      this.#payloads.room,
    ]);
    this.#addKeyed(rows);
  }

  /** The first delivery of each ordering key becomes ready, the others queue. One that is not due blocks those behind it. */
  #addKeyed(rows: readonly DueRow[]): void {
    const heads: PrefetchedDelivery[] = [];
    const blocked = new Set<string>();
    for (const row of rows) {
      const name = row.orderingKey ?? "";
      const key = this.#keys.get(name);
      if (blocked.has(name)) continue;
      if (!row.due || this.#known.has(row.id)) blocked.add(name);
      else if (key) {
        this.#payloads.hold(row);
        key.queue.push(row);
      } else {
        this.#keys.set(name, { queue: [], more: false });
        heads.push(row);
      }
    }
    for (const { orderingKey } of heads) {
      const key = this.#keys.get(orderingKey ?? "");
      if (key) key.more = key.queue.length === OF_A_KEY - 1;
    }
    this.#add(heads);
  }

  #add(rows: readonly PrefetchedDelivery[]): void {
    for (const row of rows) {
      this.#known.add(row.id);
      this.#payloads.hold(row);
    }
    this.#ready.push(...rows);
    this.#fetchedAt = performance.now();
  }
}
