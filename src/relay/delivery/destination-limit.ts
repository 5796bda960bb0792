/**
 * Limits how many requests one destination has under way. Attempts that were noted ahead wait here, and start in their order as soon as
 * an answer comes.
 */
export class DestinationLimit {
  readonly #limit: () => number;
  #underWay = 0;
  /** the first came first */
  readonly #waiting = new Set<(granted: boolean) => void>();

  /** @param limit the destination's concurrency, which may change */
  constructor(limit: () => number) {
    this.#limit = limit;
  }

  /**
   * Resolves with true when one request may start, which is released afterwards; with false when that takes longer than `withinMs`
   * or waiting is cancelled.
   */
  async acquire(withinMs: number): Promise<boolean> {
    // Nobody may overtake those that wait.
    if (this.#waiting.size === 0 && this.#underWay < this.#limit()) {
      this.#underWay += 1;
      return true;
    }
    return await new Promise((resolve) => {
      const answer = (granted: boolean): void => {
        clearTimeout(timer);
        this.#waiting.delete(answer);
        resolve(granted);
      };
      const timer = setTimeout(answer, withinMs, false);
      this.#waiting.add(answer);
    });
  }

  release(): void {
    this.#underWay -= 1;
    this.#grant();
  }

  /** The limit may be higher than before. */
  changed(): void {
    this.#grant();
  }

  /** All that wait now resolve with false. */
  cancelWaiting(): void {
    for (const answer of this.#waiting) answer(false);
  }

  #grant(): void {
    for (const answer of this.#waiting) {
      if (this.#underWay >= this.#limit()) return;
      this.#underWay += 1;
      answer(true);
    }
  }
}
