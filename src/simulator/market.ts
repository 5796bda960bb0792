/**
 * The market: names and prices of securities. All Items of a world share it, so two Items that were pulled
 * between the same two moves show the same price; an Item that was pulled earlier shows the earlier price.
 *
 * A price moves only when the control moves it, never with the clock: an Item's truth must not change unannounced.
 */
import { securityKind } from "./catalogue/securities.ts";
import type { Random } from "./random.ts";

export interface Quote {
  /** millionths of the security's currency */
  price: number;
  /** its trading day */
  day: number;
}

export type MarketState = Map<number, Quote & { moves: number }>;

export class Market {
  readonly #random: Random;
  readonly #moved: MarketState;
  #ids = new Map<string, string>();

  constructor(random: Random, moved: MarketState = new Map()) {
    this.#random = random;
    this.#moved = moved;
  }

  save(): MarketState {
    return this.#moved;
  }

  restore(moved: MarketState): void {
    for (const [security, quote] of moved) this.#moved.set(security, quote);
  }

  /** Plaid's security_id: the same for all Items, but an institution's own funds have ids of their own. */
  idOf(security: number, institutionId: string): string {
    const label = securityKind(security).house ? `${security}/${institutionId}` : `${security}`;
    const known = this.#ids.get(label);
    if (known) return known;
    const id = this.#random.fork(label).id();
    this.#ids.set(label, id);
    return id;
  }

  /** The price before any move, as known on the trading day before `day`. */
  opening(security: number, day: number): Quote {
    return { price: securityKind(security).price, day: day - 1 };
  }

  latest(security: number, day: number): Quote {
    const moved = this.#moved.get(security);
    return moved ? { price: moved.price, day: moved.day } : this.opening(security, day);
  }

  /** Moves a price by up to a tenth, at least by a millionth. */
  move(security: number, day: number): Quote {
    const before = this.latest(security, day).price;
    const moves = (this.#moved.get(security)?.moves ?? 0) + 1;
    const factor = 0.9 + 0.2 * this.#random.fork(`${security}/move/${moves}`).fraction();
    const drawn = Math.max(1, Math.round(before * factor));
    const price = drawn === before ? before + 1 : drawn;
    this.#moved.set(security, { price, day, moves });
    return { price, day };
  }
}
