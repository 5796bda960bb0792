/**
 * Pressure: whether webhooks come faster than one at a time, so that other work in this process has to give way to accepting. The
 * intake reports each batch of webhooks that leaves for the disk; workers ask before they begin something.
 *
 *   low ──a batch of SEVERAL webhooks or more──▶ high ──no such batch for CALM_AFTER_MS──▶ low
 *
 * A worker gives way only where it holds nothing: no transaction, no lock, no connection. It never waits without end: `giveWay` ends
 * after its bound, and a gate lets somebody in at least every so many milliseconds. So under a load that never ends everything
 * continues, with a smaller share.
 *
 * A process without the receiver has no batches, so its pressure is always low and nothing there waits.
 */
import { systemClock, type Clock } from "../clock.ts";
import { metrics } from "../metrics.ts";

/** Webhooks that come one at a time share no commits. Batches of this size mean that webhooks wait for one another. */
export const SEVERAL = 8;
/** Several commits long (5 to 20 ms each), so that pressure does not end between two of them. */
export const CALM_AFTER_MS = 50;

export interface Pressure {
  /** True while webhooks wait for commits. */
  readonly high: boolean;
  /** The intake calls this with the size of each batch that it begins to store. */
  batch(webhooks: number): void;
  /**
   * Resolves at once while the pressure is low; otherwise when it has become low, after `maxMs`, or when `signal` aborts. It never
   * rejects.
   */
  giveWay(worker: string, maxMs: number, signal?: AbortSignal): Promise<void>;
  /**
   * A gate for pieces of work. While the pressure is high, one piece is inside at a time, and another is let in when none was for
   * `everyMs`. Otherwise nobody waits.
   */
  gate(worker: string, everyMs: number): Gate;
}

export interface Gate {
  /** Waits for its turn, in the order of the calls, and does the work. An aborted `signal` ends the wait; the work is done then too. */
  pass<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T>;
}

/** `now` in milliseconds; a clock that is set back would make the pressure last. */
const monotonic: Clock = { now: () => performance.now(), sleep: systemClock.sleep };

export const openPressure = (clock: Clock = monotonic): Pressure => new Measured(clock);

class Measured implements Pressure {
  readonly #clock: Clock;
  #severalAt = -Infinity;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get high(): boolean {
    return this.#leftMs() > 0;
  }

  /** in how many milliseconds the pressure is low unless another batch comes */
  #leftMs(): number {
    return this.#severalAt + CALM_AFTER_MS - this.#clock.now();
  }

  batch(webhooks: number): void {
    if (webhooks >= SEVERAL) this.#severalAt = this.#clock.now();
  }

  async giveWay(worker: string, maxMs: number, signal?: AbortSignal): Promise<void> {
    if (!this.high) return;
    const began = this.#clock.now();
    for (;;) {
      const restMs = Math.min(began + maxMs - this.#clock.now(), this.#leftMs());
      if (restMs <= 0 || signal?.aborted) break;
      await this.#clock.sleep(Math.ceil(restMs), signal);
    }
    metrics.gaveWaySeconds.inc({ worker }, (this.#clock.now() - began) / 1000);
  }

  gate(worker: string, everyMs: number): Gate {
    return new OneAtATime(this, this.#clock, worker, everyMs);
  }
}

class OneAtATime implements Gate {
  readonly #pressure: Pressure;
  readonly #clock: Clock;
  readonly #worker: string;
  readonly #everyMs: number;
  readonly #waiting: (() => void)[] = [];
  #inside = 0;
  #letInAt = -Infinity;
  #watching = false;

  constructor(pressure: Pressure, clock: Clock, worker: string, everyMs: number) {
    this.#pressure = pressure;
    this.#clock = clock;
    this.#worker = worker;
    this.#everyMs = everyMs;
  }

  async pass<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    if (this.#waiting.length === 0 && this.#isOpen()) this.#enter();
    else await this.#turn(signal);
    try {
      return await work();
    } finally {
      this.#inside -= 1;
      if (this.#isOpen()) this.#waiting.shift()?.();
    }
  }

  #isOpen(): boolean {
    return !this.#pressure.high || this.#inside === 0 || this.#clock.now() - this.#letInAt >= this.#everyMs;
  }

  #enter(): void {
    this.#inside += 1;
    this.#letInAt = this.#clock.now();
  }

  /** Resolves when the caller is inside. */
  async #turn(signal?: AbortSignal): Promise<void> {
    const began = this.#clock.now();
    await new Promise<void>((resolve) => {
      const enter = (): void => {
        signal?.removeEventListener("abort", leave);
        this.#enter();
        resolve();
      };
      const leave = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(enter), 1);
        enter();
      };
      if (signal?.aborted) return enter();
      signal?.addEventListener("abort", leave);
      this.#waiting.push(enter);
      void this.#watch();
    });
    metrics.gaveWaySeconds.inc({ worker: this.#worker }, (this.#clock.now() - began) / 1000);
  }

  /** While somebody waits: lets one in every so often, and all when the pressure has become low. */
  async #watch(): Promise<void> {
    if (this.#watching) return;
    this.#watching = true;
    while (this.#waiting.length > 0) {
      await this.#clock.sleep(this.#everyMs);
      if (this.#pressure.high) {
        if (this.#isOpen()) this.#waiting.shift()?.();
      } else for (const enter of this.#waiting.splice(0)) enter();
    }
    this.#watching = false;
  }
}

/** For processes and tests in which nothing gives way. */
export const NO_PRESSURE: Pressure = {
  high: false,
  batch: () => undefined,
  giveWay: async () => undefined,
  gate: () => ({ pass: (work) => work() }),
};
