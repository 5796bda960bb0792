/**
 * The budget of verification keys that Tartan may fetch for an integration. Anyone can send a token with a made-up kid, and only
 * Plaid's answer distinguishes it from a newly rotated key. So the number of requests is bounded, and the bound
 * must not keep out the one real kid. There are four shares, each a token bucket of its own:
 *
 *   open      for any kid, the first that comes
 *   repeated  for kids that were refused before: a flood of made-up kids uses each once, a real key signs every webhook
 *   vouched   for Plaid's addresses and those that recently sent a proven webhook; forgers at other addresses cannot use it
 *   waiting   for kids of webhooks that wait unproven; one of the other shares has admitted each of them before
 */
import { hash, randomBytes } from "node:crypto";
import { isPlaidAddress } from "./addresses.ts";

const MINUTE_MS = 60_000;
/** The size of each reserve as a part of the open share; it is added to that share. */
const RESERVE = 0.25;
const GENERATION_MS = MINUTE_MS;
/** 8 MiB a generation: with 10,000 kids a second one new kid in 300,000 counts as repeated. */
const FILTER_BITS = 2 ** 26;
const VOUCHED_FOR_MS = 24 * 60 * MINUTE_MS;
const VOUCHED_KEPT = 1000;

/** A token bucket that starts full and refills evenly. */
class TokenBucket {
  readonly #perMinute: number;
  #tokens: number;
  #filledAt: number;

  constructor(perMinute: number, now: number) {
    this.#perMinute = perMinute;
    this.#tokens = perMinute;
    this.#filledAt = now;
  }

  take(now: number): boolean {
    const refill = (Math.max(0, now - this.#filledAt) / MINUTE_MS) * this.#perMinute;
    this.#tokens = Math.min(this.#perMinute, this.#tokens + refill);
    this.#filledAt = now;
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }
}

/**
 * Remembers the names of this minute and the previous one, in bounded memory however many there are. It is a Bloom filter, so it may
 * report an unseen name as seen. It is created only when the first kid is refused.
 */
class SeenNames {
  /** random, so that no one can choose names that fill it */
  readonly #seed = randomBytes(16).toString("hex");
  #current: Uint8Array | null = null;
  #previous: Uint8Array | null = null;
  #since = 0;

  /** Adds the name. @returns whether it was added before */
  note(name: string, now: number): boolean {
    this.#turn(now);
    const current = (this.#current ??= new Uint8Array(FILTER_BITS / 8));
    const digest = hash("sha1", this.#seed + name, "buffer");
    let [inCurrent, inPrevious] = [true, this.#previous !== null];
    for (let index = 0; index < 4; index += 1) {
      const bit = digest.readUInt32LE(index * 4) % FILTER_BITS;
      const [byte, mask] = [bit >> 3, 1 << (bit & 7)];
      if (((current[byte] ?? 0) & mask) === 0) inCurrent = false;
      if (((this.#previous?.[byte] ?? 0) & mask) === 0) inPrevious = false;
      current[byte] = (current[byte] ?? 0) | mask;
    }
    return inCurrent || inPrevious;
  }

  #turn(now: number): void {
    const age = now - this.#since;
    if (age >= 0 && age < GENERATION_MS) return;
    this.#previous = age < 2 * GENERATION_MS ? this.#current : null;
    this.#current = null;
    this.#since = now;
  }
}

interface Shares {
  open: TokenBucket;
  repeated: TokenBucket;
  vouched: TokenBucket;
  waiting: TokenBucket;
}

export interface KeyRequest {
  integration: string;
  /** identifies the key among those of all Plaid environments */
  name: string;
  /** address that sent it; null where it is not known */
  from: string | null;
}

export class KeyBudget {
  readonly #perMinute: number;
  readonly #shares = new Map<string, Shares>();
  readonly #seen = new SeenNames();
  /** address → when a proven webhook came from it; the oldest first */
  readonly #vouched = new Map<string, number>();

  /** @param perMinute the open share; each reserve is a quarter of it, and at least one */
  constructor(perMinute: number) {
    this.#perMinute = perMinute;
  }

  /** Takes one request for this key out of the budget. @returns whether Tartan may ask Plaid for it now */
  take({ integration, name, from }: KeyRequest, now: number): boolean {
    const { open, repeated, vouched } = this.#sharesOf(integration, now);
    if (open.take(now)) return true;
    if (from !== null && this.isVouched(from, now) && vouched.take(now)) return true;
    return this.#seen.note(`${integration} ${name}`, now) && repeated.take(now);
  }

  /** The same for a kid of webhooks that wait unproven. */
  takeWaiting(integration: string, now: number): boolean {
    return this.#sharesOf(integration, now).waiting.take(now);
  }

  /** A proven webhook came from this address. */
  vouch(from: string, now: number): void {
    const before = this.#vouched.get(from);
    if (before !== undefined && now - before < MINUTE_MS) return;
    this.#vouched.delete(from);
    this.#vouched.set(from, now);
    const [oldest] = this.#vouched.keys();
    if (this.#vouched.size > VOUCHED_KEPT && oldest !== undefined) this.#vouched.delete(oldest);
  }

  /**
   * Whether a proven webhook came from this address within the last day. Plaid's four are vouched for from the start, since a process may
   * begin while nothing can be proven.
   */
  isVouched(from: string, now: number): boolean {
    if (isPlaidAddress(from)) return true;
    const at = this.#vouched.get(from);
    return at !== undefined && now - at < VOUCHED_FOR_MS;
  }

  #sharesOf(integration: string, now: number): Shares {
    let shares = this.#shares.get(integration);
    if (shares === undefined) {
      const reserve = Math.max(1, Math.floor(this.#perMinute * RESERVE));
      shares = {
        open: new TokenBucket(this.#perMinute, now),
        repeated: new TokenBucket(reserve, now),
        vouched: new TokenBucket(reserve, now),
        waiting: new TokenBucket(reserve, now),
      };
      this.#shares.set(integration, shares);
    }
    return shares;
  }
}
