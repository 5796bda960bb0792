import { describe, expect, test } from "vitest";
import { DelayReader, watchEventLoop } from "../src/event-loop.ts";
import { metrics } from "../src/metrics.ts";

/** Delays as perf_hooks measures them: the time between two firings of a timer that is due every 10 ms. */
class Delays {
  #all: number[] = [];
  add(ms: number): void {
    this.#all.push((ms + 10) * 1e6);
  }
  get count(): number {
    return this.#all.length;
  }
  get max(): number {
    return Math.max(...this.#all);
  }
  percentile(percent: number): number {
    const sorted = this.#all.toSorted((a, b) => a - b);
    return sorted[Math.ceil((sorted.length * percent) / 100) - 1] ?? 0;
  }
  reset(): void {
    this.#all = [];
  }
}

function reader() {
  const monitors = [new Delays(), new Delays(), new Delays()] as const;
  const read = new DelayReader(monitors[0], [monitors[1], monitors[2]]);
  return {
    second: (...delays: number[]) => {
      for (const monitor of monitors) for (const each of delays) monitor.add(each);
      read.read();
    },
  };
}

const valueOf = async (metric: { get(): Promise<{ values: { value: number }[] }> }): Promise<number> =>
  (await metric.get()).values[0]?.value ?? NaN;
const longest = () => valueOf(metrics.eventLoopMaxSeconds);
const secondsUpTo = async (le: number): Promise<number> =>
  (await metrics.eventLoopSeconds.get()).values.find(
    ({ labels, metricName }) => metricName?.endsWith("_bucket") && labels.le === le,
  )?.value ?? 0;

describe("the delay of the event loop", () => {
  test("the longest delay stays visible for 30 seconds, however often it is read, and is gone after 60", async () => {
    const { second } = reader();
    for (let n = 0; n < 29; n++) second(1);
    second(120, 1);
    for (let n = 0; n < 30; n++) {
      expect(await longest()).toBeCloseTo(0.12);
      expect(await longest()).toBeCloseTo(0.12);
      second(2);
    }
    for (let n = 0; n < 30; n++) second(2);
    expect(await longest()).toBeCloseTo(0.002);
  });

  test("a delay is visible for 30 seconds whenever it happens", async () => {
    for (const before of [0, 1, 15, 29, 30, 31, 45]) {
      const { second } = reader();
      for (let n = 0; n < before; n++) second(1);
      second(90);
      for (let n = 0; n < 29; n++) {
        second(1);
        expect(await longest()).toBeCloseTo(0.09);
      }
    }
  });

  test("each second counts once, by its longest delay", async () => {
    const before = [await secondsUpTo(0.05), await secondsUpTo(0.1), await secondsUpTo(10)];
    const { second } = reader();
    second(1, 2, 60, 3);
    second(1, 2);
    second(49, 3);
    const after = [await secondsUpTo(0.05), await secondsUpTo(0.1), await secondsUpTo(10)];
    expect(after.map((count, n) => count - (before[n] ?? 0))).toEqual([2, 3, 3]);
  });

  test("99 % of the delays are below the p99", async () => {
    const { second } = reader();
    second(...Array.from({ length: 99 }, () => 1), 400);
    second(1);
    expect(await valueOf(metrics.eventLoopP99Seconds)).toBeCloseTo(0.001);
    expect(await longest()).toBeCloseTo(0.4);
  });

  test("a process that is blocked sees it in its metrics", async () => {
    const before = await secondsUpTo(0.25);
    const total = await secondsUpTo(10);
    using watch = watchEventLoop();
    await new Promise((resolve) => setTimeout(resolve, 50));
    const end = performance.now() + 400;
    while (performance.now() < end);
    while ((await secondsUpTo(10)) === total) await new Promise((resolve) => setTimeout(resolve, 20));
    expect(watch).toBeDefined();
    expect(await secondsUpTo(0.25)).toBe(before);
  });
});
