/**
 * How much a quarantine may hold. Anyone can send a webhook with a made-up kid while Plaid's keys cannot be fetched, so nobody but
 * senders of proven webhooks may fill it:
 *
 *   whole bound        for vouched senders; one key may use half of it
 *   quarter of it      for all other senders together; one key may use half of that, and they may name a thousand keys
 */

export interface QuarantineBounds {
  /** webhooks of one integration */
  webhooks: number;
  /** of their bodies and JWTs */
  bytes: number;
}

export interface KeptOfKey {
  keyId: string;
  vouched: boolean;
  webhooks: number;
  bytes: number;
}

const UNVOUCHED_PART = 0.25;
const KEY_PART = 0.5;
/** A rotation of Plaid's brings one or two. Each costs a request to Plaid later. */
const UNVOUCHED_KEYS_MAX = 1000;

const NOTHING = { webhooks: 0, bytes: 0 };

type Amount = Omit<KeptOfKey, "keyId" | "vouched">;

/** What one quarantine holds, and what more it may hold. */
export class QuarantineRoom {
  readonly #bounds: QuarantineBounds;
  readonly #byKey = new Map<string, Amount>();
  #unvouchedKeys = 0;
  readonly #sums = { all: { ...NOTHING }, unvouched: { ...NOTHING } };

  constructor(bounds: QuarantineBounds, kept: readonly KeptOfKey[]) {
    this.#bounds = bounds;
    for (const each of kept) this.#add(each);
  }

  /** Adds a webhook of `bytes` bytes if there is room for it. */
  take({ keyId, vouched }: Pick<KeptOfKey, "keyId" | "vouched">, bytes: number): boolean {
    const { all, unvouched } = this.#sums;
    const part = vouched ? 1 : UNVOUCHED_PART;
    const key = this.#byKey.get(nameOf(keyId, vouched));
    if (!this.#fits(all, bytes, 1)) return false;
    if (!vouched && !this.#fits(unvouched, bytes, part)) return false;
    if (!vouched && key === undefined && this.#unvouchedKeys >= UNVOUCHED_KEYS_MAX) return false;
    if (!this.#fits(key ?? NOTHING, bytes, part * KEY_PART)) return false;
    this.#add({ keyId, vouched, webhooks: 1, bytes });
    return true;
  }

  #fits(amount: Amount, bytes: number, part: number): boolean {
    return (
      amount.webhooks + 1 <= Math.max(1, this.#bounds.webhooks * part) &&
      amount.bytes + bytes <= this.#bounds.bytes * part
    );
  }

  #add({ keyId, vouched, webhooks, bytes }: KeptOfKey): void {
    const name = nameOf(keyId, vouched);
    if (!vouched && !this.#byKey.has(name)) this.#unvouchedKeys += 1;
    const { all, unvouched } = this.#sums;
    for (const amount of [this.#byKey.get(name) ?? this.#begin(name), all, ...(vouched ? [] : [unvouched])]) {
      amount.webhooks += webhooks;
      amount.bytes += bytes;
    }
  }

  #begin(name: string): Amount {
    const amount = { ...NOTHING };
    this.#byKey.set(name, amount);
    return amount;
  }
}

const nameOf = (keyId: string, vouched: boolean): string => `${vouched} ${keyId}`;
