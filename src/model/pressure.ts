/**
 * Pressure: whether webhooks wait for one another, so that other work in this process has to give way to accepting. The intake
 * reports with each batch how many webhooks are unanswered; workers ask before they begin something.
 *
 *   low ──SOME or more are unanswered──▶ some ──MANY or more──▶ high
 *    ▲                                    │ ▲                    │
 *    └──not so for CALM_AFTER_MS──────────┘ └──not so for CALM_AFTER_MS
 *
 * What fetches and sends deliveries gives way from `some` on; what keeps the mirror fresh, from `high` on.
 *
 * A worker gives way only where it holds nothing: no transaction, no lock, no connection. It never waits without end: `giveWay` ends
 * after its bound, and a gate lets somebody in at least every so many milliseconds. So under a load that never ends everything
 * continues, with a smaller share.
 *
 * A process without the receiver has no batches, so its pressure is always low and nothing there waits.
 */
import { systemClock, type Clock } from "../clock.ts";
import { metrics } from "../metrics.ts";

/** Unanswered webhooks: a commit takes 5 ms, so these are more than a thousand a second. */
export const SOME = 8;
/** Webhooks come faster than they are stored, or a commit takes long. At half of the most that is accepted there are about ten. */
export const MANY = 32;
/** Several commits long (5 to 20 ms each), so that pressure does not end between two of them. */
export const CALM_AFTER_MS = 50;

export interface Pressure {
  /** True while many webhooks are unanswered. */
  readonly high: boolean;
  /** The intake calls this with each batch that it begins to store. @param webhooks unanswered ones, those that wait behind it too */
  batch(webhooks: number): void;
  /**
   * Resolves at once while the pressure is not high; otherwise when it no longer is, after `maxMs`, or when `signal` aborts. It never
   * rejects.
   */
  giveWay(worker: string, maxMs: number, signal?: AbortSignal): Promise<void>;
  gate(options: GateOptions): Gate;
}

export interface GateOptions {
  /** a label of the metric */
  worker: string;
  /** unanswered webhooks from which the gate is narrow: SOME or MANY; MANY when absent */
  from?: typeof SOME | typeof MANY;
  /** while it is narrow, a piece of work is let in at least this often */
  everyMs: number;
  /** while it is narrow, it stays closed behind a piece of work for this many times as long as that took; 0 when absent */
  rest?: number;
}

/**
 * While a gate is narrow, one piece of work is inside at a time. The next one waits as the options say. Otherwise nobody waits.
 */
export interface Gate {
  /** Waits for its turn, in the order of the calls. @returns what to call when the work is done */
  enter(signal?: AbortSignal): Promise<() => void>;
  /** Waits for its turn and does the work. An aborted `signal` ends the wait; the work is done then too. */
  pass<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T>;
}

/** A clock that is set back would make the pressure last. */
const monotonic: Clock = { now: () => performance.now(), sleep: systemClock.sleep };

export const openPressure = (clock: Clock = monotonic): Pressure => new Measured(clock);

class Measured implements Pressure {
  readonly #clock: Clock;
  /** when so many webhooks were unanswered last */
  readonly #last = { [SOME]: -Infinity, [MANY]: -Infinity };

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get high(): boolean {
    return this.#leftMs(MANY) > 0;
  }

  /** in how many milliseconds the pressure is lower unless another batch comes */
  #leftMs(from: typeof SOME | typeof MANY): number {
    return this.#last[from] + CALM_AFTER_MS - this.#clock.now();
  }

  batch(webhooks: number): void {
    const now = this.#clock.now();
    if (webhooks >= SOME) this.#last[SOME] = now;
    if (webhooks >= MANY) this.#last[MANY] = now;
  }

  async giveWay(worker: string, maxMs: number, signal?: AbortSignal): Promise<void> {
    if (!this.high) return;
    const began = this.#clock.now();
    for (;;) {
      const restMs = Math.min(began + maxMs - this.#clock.now(), this.#leftMs(MANY));
      if (restMs <= 0 || signal?.aborted) break;
      await this.#clock.sleep(Math.ceil(restMs), signal);
    }
    metrics.gaveWaySeconds.inc({ worker }, (this.#clock.now() - began) / 1000);
  }

  gate(options: GateOptions): Gate {
    return new OneAtATime(() => this.#leftMs(options.from ?? MANY) > 0, this.#clock, options);
  }
}

class OneAtATime implements Gate {
  readonly #isNarrow: () => boolean;
  readonly #clock: Clock;
  readonly #options: GateOptions;
  readonly #waiting: (() => void)[] = [];
  #inside = 0;
  #letInAt = -Infinity;
  #closedUntil = -Infinity;
  /** when it looks next whether somebody may enter; Infinity when it does not */
  #looksAt = Infinity;

  constructor(isNarrow: () => boolean, clock: Clock, options: GateOptions) {
    this.#isNarrow = isNarrow;
    this.#clock = clock;
    this.#options = options;
  }

  async pass<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    const leave = await this.enter(signal);
    try {
      return await work();
    } finally {
      leave();
    }
  }

  async enter(signal?: AbortSignal): Promise<() => void> {
    if (this.#waiting.length === 0 && this.#isOpen()) this.#letIn();
    else await this.#turn(signal);
    const began = this.#clock.now();
    return () => {
      const { rest = 0, everyMs } = this.#options;
      const now = this.#clock.now();
      this.#inside -= 1;
      if (rest > 0) this.#closedUntil = now + Math.min(everyMs, rest * (now - began));
      this.#next();
    };
  }

  #isOpen(): boolean {
    const now = this.#clock.now();
    if (!this.#isNarrow() || now - this.#letInAt >= this.#options.everyMs) return true;
    return this.#inside === 0 && now >= this.#closedUntil;
  }

  #letIn(): void {
    this.#inside += 1;
    this.#letInAt = this.#clock.now();
  }

  /** Resolves when the caller is inside. */
  async #turn(signal?: AbortSignal): Promise<void> {
    const began = this.#clock.now();
    await new Promise<void>((resolve) => {
      const enter = (): void => {
        signal?.removeEventListener("abort", leave);
        this.#letIn();
        resolve();
      };
      const leave = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(enter), 1);
        enter();
      };
      if (signal?.aborted) return enter();
      signal?.addEventListener("abort", leave);
      this.#waiting.push(enter);
      if (this.#waiting.length === 1) this.#next();
    });
    metrics.gaveWaySeconds.inc({ worker: this.#options.worker }, (this.#clock.now() - began) / 1000);
  }

  /** Lets in those that may enter now, and looks again when the next one may. */
  #next(): void {
    while (this.#waiting.length > 0 && this.#isOpen()) this.#waiting.shift()?.();
    if (this.#waiting.length === 0) return;
    const next = this.#letInAt + this.#options.everyMs;
    const opensAt = this.#inside === 0 ? Math.min(next, this.#closedUntil) : next;
    if (opensAt >= this.#looksAt) return;
    this.#looksAt = opensAt;
    void this.#lookAt(opensAt);
  }

  async #lookAt(opensAt: number): Promise<void> {
    await this.#clock.sleep(Math.max(1, Math.ceil(opensAt - this.#clock.now())));
    if (this.#looksAt === opensAt) this.#looksAt = Infinity;
    this.#next();
  }
}

/** Everybody may enter. */
export const NO_GATE: Gate = { enter: async () => () => undefined, pass: (work) => work() };

/** For processes and tests in which nothing gives way. */
export const NO_PRESSURE: Pressure = {
  high: false,
  batch: () => undefined,
  giveWay: async () => undefined,
  gate: () => NO_GATE,
};
