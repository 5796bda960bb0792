/** The simulator's clock: tasks run at their moment, in order, whether time passes or is advanced. */
import { expect, test } from "vitest";
import { setTimeout as delay } from "node:timers/promises";
import { systemClock } from "../../src/clock.ts";
import { frozenClock, SimulatedTime } from "../../src/simulator/time.ts";

test("advancing the clock runs each task at its due time, even tasks that were scheduled meanwhile", async () => {
  const time = new SimulatedTime(frozenClock(0));
  const seen: string[] = [];
  const plan = (name: string, due: number, then?: () => void) =>
    time.schedule(due, () => {
      seen.push(`${name}@${time.now()}`);
      then?.();
    });
  plan("late", 500);
  plan("first", 100, () => plan("planned", 300));
  plan("second", 100);
  plan("beyond", 1001);
  await time.advance(1000);
  expect(seen).toEqual(["first@100", "second@100", "planned@300", "late@500"]);
  expect(time.now()).toBe(1000);
  await Promise.all([time.advance(1), time.advance(1)]);
  expect(time.now()).toBe(1002);
  expect(seen.at(-1)).toBe("beyond@1001");
  time.stop();
});

test("advancing the clock waits for the work that a task started", async () => {
  const time = new SimulatedTime(frozenClock(0));
  const seen: string[] = [];
  const slow = async () => {
    await delay(20);
    seen.push(`slow ended at ${time.now()}`);
    time.schedule(60, () => seen.push(`its consequence at ${time.now()}`));
  };
  time.schedule(10, () => void time.track(slow()));
  time.schedule(1000, () => seen.push("last"));
  await time.advance(1000);
  expect(seen).toEqual(["slow ended at 10", "its consequence at 60", "last"]);
  time.stop();
});

test("tasks run as real time passes, even after the clock was advanced past others", async () => {
  const time = new SimulatedTime(systemClock);
  time.schedule(time.now() + 30_000, () => undefined);
  await time.advance(60_000);
  await new Promise<void>((resolve) => time.schedule(time.now() + 20, resolve));
  const began = time.now();
  const sleeping = time.sleep(1000);
  await time.advance(5000);
  await sleeping;
  expect(time.now() - began).toBeGreaterThanOrEqual(5000);
  time.stop();
});

test("a sleep on the simulated clock ends when its signal aborts", async () => {
  const time = new SimulatedTime(frozenClock(0));
  const stop = new AbortController();
  const sleeping = time.sleep(1000, stop.signal);
  stop.abort();
  await sleeping;
  await time.sleep(1000, stop.signal);
  time.stop();
});
