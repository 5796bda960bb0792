/**
 * The simulator's clock: a base clock (the system's, unless you pass one) plus what `advance` has added, and the
 * tasks that are due on it. `advance` runs one task after the other, each at its due time, and waits for the
 * webhook attempts that they cause. So a day of retries passes in milliseconds, in the right order.
 */
import type { Clock } from "../clock.ts";

const LONGEST_WAIT_MS = 3_600_000; // timers overflow at 2³¹ ms; waking hourly costs nothing

interface Task {
  due: number;
  run: () => void;
}

/** A clock that stands still, for worlds that must be the same byte for byte. */
export function frozenClock(at: number | string | Date): Clock {
  const now = new Date(at).getTime();
  return {
    now: () => now,
    sleep: (_ms, signal) =>
      new Promise((resolve) => {
        if (signal?.aborted) resolve();
        else signal?.addEventListener("abort", () => resolve(), { once: true });
      }),
  };
}

export class SimulatedTime implements Clock {
  readonly base: Clock;
  #added = 0;
  #tasks: Task[] = [];
  #underWay = new Set<Promise<unknown>>();
  #advancing: Promise<void> = Promise.resolve();
  #wait: AbortController | undefined;
  #waitsUntil = Infinity;
  #stopped = false;
  /** while `advance` runs, only it runs tasks */
  #walking = false;

  constructor(base: Clock) {
    this.base = base;
  }

  /** how far `advance` has moved this clock ahead of its base, in ms */
  get added(): number {
    return this.#added;
  }

  /** Starts ahead of the base, like a clock that was advanced before a restart. Call it before anything is scheduled. */
  startAhead(ms: number): void {
    this.#added = ms;
  }

  now(): number {
    return this.base.now() + this.#added;
  }

  /** Sleeps on this clock: `advance` shortens it. */
  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal?.aborted) resolve();
      this.schedule(this.now() + ms, resolve);
      signal?.addEventListener("abort", () => resolve(), { once: true });
    });
  }

  /** Runs `run` once this clock has reached `due` (ms since the epoch). */
  schedule(due: number, run: () => void): void {
    this.#tasks.splice(this.#placeFor(due), 0, { due, run });
    if (due < this.#waitsUntil) this.#arm();
  }

  /** Makes `advance` and `idle` wait for something that a task started. */
  async track(work: Promise<unknown>): Promise<void> {
    this.#underWay.add(work);
    try {
      await work;
    } finally {
      this.#underWay.delete(work);
    }
  }

  /** Resolves once nothing tracked is running; tasks due later do not count. */
  async idle(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.allSettled(this.#underWay);
  }

  /** Moves the clock on; concurrent calls take their turn. */
  advance(ms: number): Promise<void> {
    const turn = this.#advancing.then(() => this.#walk(this.now() + ms));
    this.#advancing = turn.catch(() => undefined);
    return turn;
  }

  stop(): void {
    this.#stopped = true;
    this.#tasks = [];
    this.#wait?.abort();
  }

  async #walk(target: number): Promise<void> {
    this.#walking = true;
    try {
      for (;;) {
        await this.#settle(); // running work may schedule something before the target
        const next = this.#tasks[0];
        if (!next || next.due > target) break;
        this.#moveTo(next.due);
        this.#runDue();
      }
      this.#moveTo(target);
    } finally {
      this.#walking = false;
      this.#arm(); // the real wait was for an instant that may have passed now
    }
  }

  /** Waits for work that runs now; unlike `idle`, not for work that others begin meanwhile. */
  async #settle(): Promise<void> {
    await Promise.allSettled(this.#underWay);
  }

  #moveTo(moment: number): void {
    this.#added += Math.max(0, moment - this.now());
  }

  #runDue(): void {
    for (;;) {
      const next = this.#tasks[0];
      if (!next || next.due > this.now()) return;
      this.#tasks.shift();
      next.run();
    }
  }

  /** behind everything due at the same moment or before (the list is sorted) */
  #placeFor(due: number): number {
    let low = 0;
    let high = this.#tasks.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#tasks[middle] as Task).due <= due) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Waits in real time for the earliest task; a new earliest one interrupts. */
  #arm(): void {
    this.#wait?.abort();
    const next = this.#tasks[0];
    this.#waitsUntil = next?.due ?? Infinity;
    if (!next || this.#stopped) return;
    const wait = new AbortController();
    this.#wait = wait;
    void this.#wakeAt(next.due, wait.signal);
  }

  async #wakeAt(due: number, signal: AbortSignal): Promise<void> {
    await this.base.sleep(Math.min(Math.max(0, due - this.now()), LONGEST_WAIT_MS), signal);
    if (signal.aborted || this.#stopped || this.#walking) return;
    this.#runDue();
    this.#arm();
  }
}
