/**
 * Repeatable random numbers: a small generator (xoshiro128**, 128 bits of state) with named streams, so that
 * the same seed gives the same world whichever part is read first. Do not use it for real secrets.
 */
import { createHash } from "node:crypto";

// Plaid's ids use all letters, but unambiguous letters make logs easier to read.
const ALPHABET = Buffer.from("ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789");
/** 57⁵ < 2³²: five letters come out of one draw */
const LETTERS_PER_DRAW = 5;

export interface RandomState {
  name: string;
  words: [number, number, number, number];
}

export class Random {
  readonly name: string;
  #a: number;
  #b: number;
  #c: number;
  #d: number;

  /** @param name the seed and the path of labels of this stream */
  constructor(name: string) {
    this.name = name;
    const digest = createHash("sha256").update(name).digest();
    this.#a = digest.readInt32LE(0);
    this.#b = digest.readInt32LE(4);
    this.#c = digest.readInt32LE(8);
    this.#d = digest.readInt32LE(12) | 1;
  }

  /** The state of the stream, to continue after a restart. */
  save(): RandomState {
    return { name: this.name, words: [this.#a, this.#b, this.#c, this.#d] };
  }

  static restore({ name, words }: RandomState): Random {
    const random = new Random(name);
    [random.#a, random.#b, random.#c, random.#d] = words;
    return random;
  }

  /** A separate stream, which does not depend on what this stream has drawn so far. */
  fork(label: string | number): Random {
    return new Random(`${this.name}/${label}`);
  }

  /** A stream that depends on this name only, not on the seed of the world. */
  named(name: string): Random {
    return new Random(name);
  }

  /** 32 random bits as an unsigned integer */
  bits(): number {
    const product = Math.imul(this.#b, 5);
    const result = Math.imul((product << 7) | (product >>> 25), 9);
    const t = this.#b << 9;
    this.#c ^= this.#a;
    this.#d ^= this.#b;
    this.#b ^= this.#c;
    this.#a ^= this.#d;
    this.#c ^= t;
    this.#d = (this.#d << 11) | (this.#d >>> 21);
    return result >>> 0;
  }

  /** 0 ≤ result < 1 */
  fraction(): number {
    return this.bits() / 0x1_0000_0000;
  }

  /** a whole number, 0 ≤ result < limit */
  below(limit: number): number {
    return Math.floor(this.fraction() * limit);
  }

  /** a whole number, from ≤ result ≤ to */
  between(from: number, to: number): number {
    return from + this.below(to - from + 1);
  }

  chance(probability: number): boolean {
    return this.fraction() < probability;
  }

  pick<T>(list: readonly [T, ...T[]] | readonly T[]): T {
    const chosen = list[this.below(list.length)];
    if (chosen === undefined) throw new RangeError("nothing to pick from");
    return chosen;
  }

  /** `count` different members, or all of them when there are fewer. */
  sample<T>(list: readonly T[], count: number): T[] {
    if (count <= 0) return [];
    if (count >= list.length) return [...list];
    const rest = [...list];
    for (let i = 0; i < count; i += 1) {
      const j = i + this.below(rest.length - i);
      [rest[i], rest[j]] = [rest[j] as T, rest[i] as T];
    }
    return rest.slice(0, count);
  }

  bytes(length: number): Buffer {
    const out = Buffer.allocUnsafe(length);
    for (let i = 0; i < length; i += 1) out[i] = this.bits() >>> 24;
    return out;
  }

  /** Letters and digits, 37 as in Plaid's item, account and transaction ids. */
  id(length = 37): string {
    const out = Buffer.allocUnsafe(length);
    let draw = 0;
    for (let i = 0; i < length; i += 1) {
      if (i % LETTERS_PER_DRAW === 0) draw = this.bits();
      out[i] = ALPHABET[draw % ALPHABET.length] as number;
      draw = Math.floor(draw / ALPHABET.length);
    }
    return out.toString("latin1");
  }

  uuid(): string {
    const raw = this.bytes(16);
    raw[6] = ((raw[6] as number) & 0x0f) | 0x40;
    raw[8] = ((raw[8] as number) & 0x3f) | 0x80;
    const hex = raw.toString("hex");
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
  }
}
