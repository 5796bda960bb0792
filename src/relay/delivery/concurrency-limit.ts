/**
 * How many requests one process has under way, shared fairly. Half of the limit is reserved in equal parts, one for each
 * destination and one for a destination that is yet to come, so that slow destinations cannot take all. The other half goes
 * to the one that asks first, and of those that wait each gets one in turn.
 *
 * With a limit below twice the number of destinations there are no reserves, and all slots are given in turn.
 */
export interface SlotUser {
  /** how many it would have under way at most */
  readonly concurrency: number;
}

type Answer = (granted: boolean) => void;

export class Slots {
  readonly #count: number;
  /** how many each has taken */
  readonly #taken = new Map<SlotUser, number>();
  /** those that wait, the next one first */
  readonly #waiting = new Map<SlotUser, Answer[]>();
  #free: number;
  /** of each destination's reserve, and what all may still take of theirs */
  #reserve = 0;
  #unused = 0;

  constructor(count: number) {
    this.#count = count;
    this.#free = count;
  }

  join(user: SlotUser): void {
    this.#taken.set(user, 0);
    this.changed();
  }

  /** When nothing of it is under way any more. */
  leave(user: SlotUser): void {
    this.dismiss(user);
    this.#free += this.#taken.get(user) ?? 0;
    this.#taken.delete(user);
    this.changed();
  }

  /** Users came, went or have another concurrency. */
  changed(): void {
    this.#reserve = Math.floor(this.#count / 2 / (this.#taken.size + 1));
    this.#unused = this.#reserve;
    for (const [user, taken] of this.#taken) this.#unused += this.#unusedBy(user, taken);
    this.#grant();
  }

  /** Resolves when the user has a slot, which it gives back; false where it is dismissed before. */
  acquire(user: SlotUser): Promise<boolean> {
    return new Promise((resolve) => {
      const queue = this.#waiting.get(user);
      if (queue) queue.push(resolve);
      else this.#waiting.set(user, [resolve]);
      if (!queue) this.#grant();
    });
  }

  give(user: SlotUser): void {
    const taken = this.#taken.get(user) ?? 0;
    if (taken === 0) return;
    this.#free += 1;
    this.#setTaken(user, taken - 1);
    this.#grant();
  }

  /** What of the user waits gets no slot any more. */
  dismiss(user: SlotUser): void {
    const queue = this.#waiting.get(user) ?? [];
    this.#waiting.delete(user);
    for (const answer of queue) answer(false);
  }

  #grant(): void {
    let next = this.#next();
    while (next !== undefined) {
      const [user, queue] = next;
      const [answer, ...rest] = queue;
      this.#waiting.delete(user);
      if (rest.length > 0) this.#waiting.set(user, rest);
      this.#free -= 1;
      this.#setTaken(user, (this.#taken.get(user) ?? 0) + 1);
      answer?.(true);
      next = this.#next();
    }
  }

  #next(): [SlotUser, Answer[]] | undefined {
    if (this.#free === 0) return undefined;
    for (const entry of this.#waiting) if (this.#mayTake(entry[0])) return entry;
    return undefined;
  }

  #mayTake(user: SlotUser): boolean {
    const unused = this.#unusedBy(user, this.#taken.get(user) ?? 0);
    return unused > 0 || this.#free > this.#unused;
  }

  #setTaken(user: SlotUser, taken: number): void {
    this.#unused += this.#unusedBy(user, taken) - this.#unusedBy(user, this.#taken.get(user) ?? 0);
    this.#taken.set(user, taken);
  }

  #unusedBy({ concurrency }: SlotUser, taken: number): number {
    return Math.max(0, Math.min(concurrency, this.#reserve) - taken);
  }
}
