/**
 * Counts the bytes of payloads that this process has in memory for deliveries: those fetched ahead, and large ones that are
 * read shortly before they are sent. Both are bounded for all destinations together. When the first bound is reached, deliveries
 * are fetched without their payloads. When the second is reached, large payloads wait, and destinations take turns.
 */
import type { Queryable } from "../../database/types.ts";
import { PAYLOAD_OF } from "./prefetch-queries.ts";

export interface PayloadBounds {
  /** bytes fetched ahead, in all; several fetches at the same time may each bring `fetchMax` more */
  aheadMax: number;
  /** bytes that one fetch brings */
  fetchMax: number;
  /** bytes read shortly before sending, in all; a larger payload is read when there is no other */
  loadedMax: number;
}

/** The parts of a prefetched delivery that are counted and loaded here. */
interface Payload {
  id: string;
  size: number | null;
  body: Buffer | null;
  bytes: Buffer | null;
}

const MB = 1024 * 1024;
const BOUNDS: PayloadBounds = { aheadMax: 32 * MB, fetchMax: MB, loadedMax: 48 * MB };

interface Reservation {
  bytes: number;
  admit: () => void;
}

export class PayloadMemory {
  readonly #bounds: PayloadBounds;
  /** bytes by delivery */
  readonly #ahead = new Map<string, number>();
  readonly #loaded = new Map<string, number>();
  #aheadBytes = 0;
  #loadedBytes = 0;
  /** reservations that wait for room, by destination; the first destination is next */
  readonly #waiting = new Map<string, Reservation[]>();

  constructor(bounds: PayloadBounds = BOUNDS) {
    this.#bounds = bounds;
  }

  /** bytes that are in memory now */
  get bytes(): number {
    return this.#aheadBytes + this.#loadedBytes;
  }

  /** bytes that the next fetch may bring */
  get room(): number {
    const { aheadMax, fetchMax } = this.#bounds;
    return Math.max(0, Math.min(fetchMax, aheadMax - this.#aheadBytes));
  }

  /** Counts a delivery that was fetched, if its payload came along. */
  hold({ id, size, body, bytes }: Payload): void {
    if (size === null || (body === null && bytes === null) || this.#ahead.has(id)) return;
    this.#ahead.set(id, size);
    this.#aheadBytes += size;
  }

  /**
   * Reads the payload if it did not come along, as soon as there is room for it.
   * @returns the delivery with its payload; null when the signal aborts first
   */
  async load<D extends Payload>(
    q: Queryable,
    delivery: D,
    destinationId: string,
    signal: AbortSignal,
  ): Promise<D | null> {
    if (delivery.size === null || delivery.body !== null || delivery.bytes !== null) return delivery;
    if (!(await this.#reserve(delivery.id, delivery.size, destinationId, signal))) return null;
    const { rows } = await q.query<Pick<Payload, "body" | "bytes">>(PAYLOAD_OF, [delivery.id]);
    return { ...delivery, ...rows[0] };
  }

  /** The delivery is no longer in memory. */
  release(id: string): void {
    this.#aheadBytes -= this.#ahead.get(id) ?? 0;
    this.#ahead.delete(id);
    const loaded = this.#loaded.get(id);
    if (loaded === undefined) return;
    this.#loadedBytes -= loaded;
    this.#loaded.delete(id);
    this.#admit();
  }

  async #reserve(id: string, bytes: number, destinationId: string, signal: AbortSignal): Promise<boolean> {
    if (signal.aborted) return false;
    if (this.#waiting.size > 0 || !this.#fits(bytes)) {
      if (!(await this.#wait(bytes, destinationId, signal))) return false;
    } else this.#loadedBytes += bytes;
    this.#loaded.set(id, bytes);
    return true;
  }

  #fits(bytes: number): boolean {
    return this.#loadedBytes === 0 || this.#loadedBytes + bytes <= this.#bounds.loadedMax;
  }

  async #wait(bytes: number, destinationId: string, signal: AbortSignal): Promise<boolean> {
    const queue = this.#waiting.get(destinationId) ?? [];
    this.#waiting.set(destinationId, queue);
    return await new Promise((resolve) => {
      const abort = (): void => {
        this.#leave(destinationId, reservation);
        resolve(false);
        this.#admit();
      };
      const reservation: Reservation = {
        bytes,
        admit: () => {
          signal.removeEventListener("abort", abort);
          resolve(true);
        },
      };
      queue.push(reservation);
      signal.addEventListener("abort", abort, { once: true });
    });
  }

  #leave(destinationId: string, reservation: Reservation): void {
    const rest = (this.#waiting.get(destinationId) ?? []).filter((other) => other !== reservation);
    if (rest.length === 0) this.#waiting.delete(destinationId);
    else this.#waiting.set(destinationId, rest);
  }

  /** Admits the reservations that fit, one of each destination in turn. */
  #admit(): void {
    for (;;) {
      const [next] = this.#waiting;
      const [destinationId, queue] = next ?? [];
      const first = queue?.[0];
      if (destinationId === undefined || !queue || !first || !this.#fits(first.bytes)) return;
      this.#loadedBytes += first.bytes;
      this.#waiting.delete(destinationId);
      if (queue.length > 1) this.#waiting.set(destinationId, queue.slice(1));
      first.admit();
    }
  }
}
