/**
 * The JWTs of what went through the spool since it began to hold anything, so that the same JWT again is answered as a duplicate, with the id
 * of the first. Bounded: the older half is forgotten at once, and a repeat of those is passed over when it is drained.
 */

/** Two of these take about 40 MB. A JWT is accepted for six minutes, in which few receivers take more webhooks than this. */
const HALF = 125_000;

export class KnownTokens {
  #younger = new Map<string, string>();
  #older = new Map<string, string>();

  /** The id of the first with this JWT; undefined: not known. */
  get(token: string): string | undefined {
    return this.#younger.get(token) ?? this.#older.get(token);
  }

  add(token: string, id: string): void {
    if (this.#younger.size >= HALF) {
      this.#older = this.#younger;
      this.#younger = new Map();
    }
    this.#younger.set(token, id);
  }

  clear(): void {
    this.#younger = new Map();
    this.#older = new Map();
  }
}
