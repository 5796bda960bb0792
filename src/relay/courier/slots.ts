/** How many deliveries one process has under way. Whoever finds no slot free is woken when one is. */

export interface Sleeper {
  resume(): void;
}

export class Slots {
  #free: number;
  readonly #sleeping = new Set<Sleeper>();

  constructor(count: number) {
    this.#free = count;
  }

  /** Takes a slot, if there is one. */
  take(whoever: Sleeper): boolean {
    if (this.#free === 0) {
      this.#sleeping.add(whoever);
      return false;
    }
    this.#free -= 1;
    return true;
  }

  /** All are woken: the one that slept longest may have nothing to send any more. */
  give(): void {
    this.#free += 1;
    const woken = [...this.#sleeping];
    this.#sleeping.clear();
    for (const whoever of woken) whoever.resume();
  }
}
