/**
 * Arrivals at the inner engine, in their order, until one of the two answers: the inner engine, or the file, which takes over what waits.
 *
 *   passed → the inner engine has it → answered
 *          → the inner engine refuses it → taken over where the file may have it; otherwise its sender learns of it
 *          → taken over → answered by whichever has it first; refused when both have refused it
 */
import type { Accepted } from "../model/webhook.ts";
import type { Intake } from "../model/intake.ts";
import { acceptAny, type Entry } from "./entry.ts";

export class Pending {
  readonly #inner: Intake;
  readonly #takeOver: (error: unknown) => boolean;
  readonly #entries = new Set<Entry>();

  /** @param takeOver is asked when the inner engine refuses an arrival; it calls `take` and returns true if the file takes what waits */
  constructor(inner: Intake, takeOver: (error: unknown) => boolean) {
    this.#inner = inner;
    this.#takeOver = takeOver;
  }

  get size(): number {
    return this.#entries.size;
  }

  get oldest(): Entry | undefined {
    const [oldest] = this.#entries;
    return oldest;
  }

  /** Hands an arrival over to the inner engine. */
  pass(entry: Entry): void {
    entry.atInner = true;
    this.#entries.add(entry);
    acceptAny(this.#inner, entry.arrival).then(
      (accepted) => this.#stored(entry, accepted),
      (error: unknown) => this.#failed(entry, error),
    );
  }

  /** All that wait, for the file. Each is answered as soon as one of the two has it. */
  take(): Entry[] {
    const taken = [...this.#entries];
    this.#entries.clear();
    return taken.map((entry) => {
      // Where the file cannot take it, the inner engine may still.
      const reject = (error: unknown): void => (entry.atInner ? void (entry.refused = error) : entry.reject(error));
      return { ...entry, reject };
    });
  }

  #stored(entry: Entry, accepted: Accepted | null): void {
    entry.atInner = false;
    this.#entries.delete(entry);
    entry.resolve(accepted);
  }

  #failed(entry: Entry, error: unknown): void {
    entry.atInner = false;
    // One that is in the file too is answered from there, unless that has failed already.
    if (!this.#entries.has(entry)) return entry.refused === undefined ? undefined : entry.reject(entry.refused);
    if (this.#takeOver(error)) return;
    this.#entries.delete(entry);
    entry.reject(error);
  }
}
