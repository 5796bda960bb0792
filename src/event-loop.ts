/**
 * Measures how long the event loop is blocked: how much later than due a timer fires. All work of a process shares one event loop, so
 * a task that blocks it delays the answer to each webhook.
 *
 * Reading a metric resets nothing, so any number of scrapers see the same values. The gauges cover the last 30 to 60 seconds: a
 * scraper that comes twice a minute misses no stall. The histogram counts each second since the start by its longest delay.
 */
import { monitorEventLoopDelay, type IntervalHistogram } from "node:perf_hooks";
import { metrics } from "./metrics.ts";

/** How often the timer is due. A finer one costs more than it is worth. */
const RESOLUTION_MS = 10;
const SECOND_MS = 1000;
/** After so many seconds one of the two histograms of the gauges begins anew, so the other one has at least as many. */
const HALF_SECONDS = 30;

type Delays = Pick<IntervalHistogram, "count" | "max" | "percentile" | "reset">;

/** Reads the delays once a second into the metrics. */
export class DelayReader {
  readonly #second: Delays;
  /** the first one has the delays of the last 30 to 60 seconds, the other one those of fewer */
  #recent: [Delays, Delays];
  #seconds = 0;

  /** @param second begins anew each second @param recent begin anew in turns */
  constructor(second: Delays, recent: [Delays, Delays]) {
    this.#second = second;
    this.#recent = recent;
  }

  /** Call it once a second. */
  read(): void {
    const [longer] = this.#recent;
    if (this.#second.count > 0) metrics.eventLoopSeconds.observe(delayOf(this.#second.max));
    this.#second.reset();
    if (longer.count > 0) {
      metrics.eventLoopMaxSeconds.set(delayOf(longer.max));
      metrics.eventLoopP99Seconds.set(delayOf(longer.percentile(99)));
    }
    this.#seconds += 1;
    if (this.#seconds % HALF_SECONDS !== 0) return;
    longer.reset();
    this.#recent = [this.#recent[1], longer];
  }
}

/** In seconds. The histogram holds the time between two firings, in nanoseconds. */
const delayOf = (nanoseconds: number): number => Math.max(0, nanoseconds / 1e6 - RESOLUTION_MS) / 1000;

/** Begins to measure this process's event loop, for its metrics. It keeps no process alive. */
export function watchEventLoop(): Disposable {
  const open = (): IntervalHistogram => {
    const monitor = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
    monitor.enable();
    return monitor;
  };
  const monitors = [open(), open(), open()] as const;
  const reader = new DelayReader(monitors[0], [monitors[1], monitors[2]]);
  const timer = setInterval(() => reader.read(), SECOND_MS).unref();
  return {
    [Symbol.dispose]: () => {
      clearInterval(timer);
      for (const monitor of monitors) monitor.disable();
    },
  };
}
