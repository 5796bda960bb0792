/** How many deliveries one process has under way. Whoever finds no slot free is woken, in turn, when one is. */

export interface Sleeper {
  poke(): void;
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

  give(): void {
    this.#free += 1;
    const [first] = this.#sleeping;
    if (first === undefined) return;
    this.#sleeping.delete(first);
    first.poke();
  }
}
