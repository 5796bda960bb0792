import { getEventListeners } from "node:events";
import { describe, expect, test } from "vitest";
import { systemClock } from "../src/clock.ts";

const HOUR_MS = 3_600_000;

describe("a sleep", () => {
  test("a sleep ends when its time is over, and removes its listener from the signal", async () => {
    const { signal } = new AbortController();
    const sleeping = systemClock.sleep(1, signal);
    expect(getEventListeners(signal, "abort")).toHaveLength(1);
    await sleeping;
    expect(getEventListeners(signal, "abort")).toHaveLength(0);
  });

  test("a sleep ends at once when its signal aborts, and leaves no timer that keeps the process", async () => {
    const before = timers();
    const stop = new AbortController();
    const sleeping = systemClock.sleep(HOUR_MS, stop.signal);
    expect(timers()).toBe(before + 1);
    stop.abort();
    await sleeping;
    expect(timers()).toBe(before);
    expect(getEventListeners(stop.signal, "abort")).toHaveLength(0);
  });

  test("a sleep with an aborted signal does not begin", async () => {
    const before = timers();
    const sleeping = systemClock.sleep(HOUR_MS, AbortSignal.abort());
    expect(timers()).toBe(before);
    await sleeping;
  });
});

const timers = (): number => process.getActiveResourcesInfo().filter((each) => each === "Timeout").length;
