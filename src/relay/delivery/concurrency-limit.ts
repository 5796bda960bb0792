/**
 * Limits how many requests one process has under way, and shares them fairly between destinations. Half of the limit is
 * reserved in equal parts: one part for each destination, and one for the next destination to come, so that slow destinations
 * cannot take everything. The other half goes to the destination that asks first; of those that wait each gets one in turn.
 *
 * With a limit below twice the number of destinations there are no reserves, and every request is granted in turn.
 */
export interface LimitUser {
  /** the most requests that it has under way */
  readonly concurrency: number;
}

type Answer = (granted: boolean) => void;

export class ConcurrencyLimit {
  readonly #limit: number;
  /** requests under way of each user */
  readonly #underWay = new Map<LimitUser, number>();
  /** users that wait, the next one first */
  readonly #waiting = new Map<LimitUser, Answer[]>();
  #free: number;
  /** the reserve of each destination, and how much of all reserves is unused */
  #reserve = 0;
  #unused = 0;

  constructor(limit: number) {
    this.#limit = limit;
    this.#free = limit;
  }

  join(user: LimitUser): void {
    this.#underWay.set(user, 0);
    this.changed();
  }

  /** Call it when none of the user's requests are under way any more. */
  leave(user: LimitUser): void {
    this.cancelWaiting(user);
    this.#free += this.#underWay.get(user) ?? 0;
    this.#underWay.delete(user);
    this.changed();
  }

  /** Computes the reserves anew: users joined, left or have another concurrency. */
  changed(): void {
    this.#reserve = Math.floor(this.#limit / 2 / (this.#underWay.size + 1));
    this.#unused = this.#reserve;
    for (const [user, underWay] of this.#underWay) this.#unused += this.#unusedBy(user, underWay);
    this.#grant();
  }

  /** Resolves with true when the user may send one request, which it releases afterwards; with false when its waiting is cancelled. */
  acquire(user: LimitUser): Promise<boolean> {
    return new Promise((resolve) => {
      const queue = this.#waiting.get(user);
      if (queue) queue.push(resolve);
      else this.#waiting.set(user, [resolve]);
      if (!queue) this.#grant();
    });
  }

  release(user: LimitUser): void {
    const underWay = this.#underWay.get(user) ?? 0;
    if (underWay === 0) return;
    this.#free += 1;
    this.#setUnderWay(user, underWay - 1);
    this.#grant();
  }

  /** The user's waiting `acquire` calls resolve with false. */
  cancelWaiting(user: LimitUser): void {
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
      this.#setUnderWay(user, (this.#underWay.get(user) ?? 0) + 1);
      answer?.(true);
      next = this.#next();
    }
  }

  #next(): [LimitUser, Answer[]] | undefined {
    if (this.#free === 0) return undefined;
    for (const entry of this.#waiting) if (this.#mayStart(entry[0])) return entry;
    return undefined;
  }

  #mayStart(user: LimitUser): boolean {
    const unused = this.#unusedBy(user, this.#underWay.get(user) ?? 0);
    return unused > 0 || this.#free > this.#unused;
  }

  #setUnderWay(user: LimitUser, underWay: number): void {
    this.#unused += this.#unusedBy(user, underWay) - this.#unusedBy(user, this.#underWay.get(user) ?? 0);
    this.#underWay.set(user, underWay);
  }

  #unusedBy({ concurrency }: LimitUser, underWay: number): number {
    return Math.max(0, Math.min(concurrency, this.#reserve) - underWay);
  }
}
