import { describe, expect, test } from "vitest";
import type { Clock } from "../../src/clock.ts";
import { CALM_AFTER_MS, openPressure, SEVERAL } from "../../src/model/pressure.ts";

/** A clock on which time passes only when the test says so; it wakes sleepers in the order of their times. */
function virtualClock(): Clock & { advance(ms: number): Promise<void> } {
  let now = 1000;
  let sleepers: { at: number; wake: () => void }[] = [];
  const settle = async (): Promise<void> => {
    for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve));
  };
  return {
    now: () => now,
    sleep: (ms, signal) =>
      new Promise((resolve) => {
        if (signal?.aborted) return resolve();
        sleepers.push({ at: now + ms, wake: resolve });
        signal?.addEventListener("abort", () => resolve());
      }),
    advance: async (ms) => {
      const end = now + ms;
      for (;;) {
        await settle();
        const next = sleepers.filter(({ at }) => at <= end).toSorted((a, b) => a.at - b.at)[0];
        if (next === undefined) break;
        now = Math.max(now, next.at);
        sleepers = sleepers.filter((each) => each !== next);
        next.wake();
      }
      now = end;
      await settle();
    },
  };
}

/** Whether the promise has settled by now. */
function watched(promise: Promise<unknown>): { done: boolean } {
  const state = { done: false };
  void promise.then(() => (state.done = true));
  return state;
}

/** A piece of work that lasts until the test ends it. */
function piece() {
  const state = { began: false, end: (): void => undefined };
  const work = (): Promise<void> =>
    new Promise((resolve) => {
      state.began = true;
      state.end = resolve;
    });
  return { state, work };
}

/** Batches of several webhooks, one every 10 ms of the clock, for `ms`. */
async function load(pressure: ReturnType<typeof openPressure>, clock: ReturnType<typeof virtualClock>, ms: number) {
  for (let passed = 0; passed < ms; passed += 10) {
    pressure.batch(SEVERAL);
    await clock.advance(10);
  }
}

describe("the pressure", () => {
  test("is low at the start, and after batches of few webhooks", () => {
    const pressure = openPressure(virtualClock());
    expect(pressure.high).toBe(false);
    pressure.batch(1);
    pressure.batch(SEVERAL - 1);
    expect(pressure.high).toBe(false);
  });

  test("is high from a batch of several webhooks until none has left for 50 ms", async () => {
    const clock = virtualClock();
    const pressure = openPressure(clock);
    pressure.batch(SEVERAL);
    expect(pressure.high).toBe(true);
    await clock.advance(CALM_AFTER_MS - 1);
    expect(pressure.high).toBe(true);
    pressure.batch(1);
    await clock.advance(1);
    expect(pressure.high).toBe(false);
  });
});

describe("a worker that gives way", () => {
  test("does not wait while the pressure is low", async () => {
    const clock = virtualClock();
    const state = watched(openPressure(clock).giveWay("test", 1000));
    await clock.advance(0);
    expect(state.done).toBe(true);
  });

  test("continues as soon as the pressure is low again", async () => {
    const clock = virtualClock();
    const pressure = openPressure(clock);
    pressure.batch(SEVERAL);
    const state = watched(pressure.giveWay("test", 1000));
    await clock.advance(30);
    pressure.batch(SEVERAL);
    await clock.advance(CALM_AFTER_MS - 1);
    expect(state.done).toBe(false);
    await clock.advance(1);
    expect(state.done).toBe(true);
  });

  test("continues after its longest wait although the load never ends", async () => {
    const clock = virtualClock();
    const pressure = openPressure(clock);
    pressure.batch(SEVERAL);
    const state = watched(pressure.giveWay("test", 200));
    await load(pressure, clock, 190);
    expect(state.done).toBe(false);
    await load(pressure, clock, 20);
    expect(pressure.high).toBe(true);
    expect(state.done).toBe(true);
  });

  test("continues at once when it is told to stop", async () => {
    const clock = virtualClock();
    const pressure = openPressure(clock);
    pressure.batch(SEVERAL);
    const stop = new AbortController();
    const state = watched(pressure.giveWay("test", 10_000, stop.signal));
    await clock.advance(1);
    expect(state.done).toBe(false);
    stop.abort();
    await clock.advance(0);
    expect(state.done).toBe(true);
  });
});

describe("a gate", () => {
  test("lets everybody in at once while the pressure is low", async () => {
    const clock = virtualClock();
    const gate = openPressure(clock).gate("test", 20);
    const pieces = Array.from({ length: 5 }, piece);
    for (const { work } of pieces) void gate.pass(work);
    await clock.advance(0);
    expect(pieces.map(({ state }) => state.began)).toEqual([true, true, true, true, true]);
  });

  test("lets in one piece of work at a time while the pressure is high, in the order of the calls", async () => {
    const clock = virtualClock();
    const pressure = openPressure(clock);
    pressure.batch(SEVERAL);
    const gate = pressure.gate("test", 1000);
    const pieces = [piece(), piece(), piece()];
    for (const { work } of pieces) void gate.pass(work);
    const began = (): boolean[] => pieces.map(({ state }) => state.began);
    await clock.advance(0);
    expect(began()).toEqual([true, false, false]);
    pieces[0]?.state.end();
    await clock.advance(0);
    expect(began()).toEqual([true, true, false]);
    pieces[1]?.state.end();
    await clock.advance(0);
    expect(began()).toEqual([true, true, true]);
  });

  test("lets in another one every so often although those inside do not end and the load never ends", async () => {
    const clock = virtualClock();
    const pressure = openPressure(clock);
    pressure.batch(SEVERAL);
    const gate = pressure.gate("test", 20);
    const pieces = Array.from({ length: 4 }, piece);
    for (const { work } of pieces) void gate.pass(work);
    const began = (): number => pieces.filter(({ state }) => state.began).length;
    await clock.advance(0);
    expect(began()).toBe(1);
    await load(pressure, clock, 20);
    expect(began()).toBe(2);
    await load(pressure, clock, 20);
    expect(began()).toBe(3);
    await load(pressure, clock, 20);
    expect(began()).toBe(4);
  });

  test("lets in all that wait when the pressure is low again", async () => {
    const clock = virtualClock();
    const pressure = openPressure(clock);
    pressure.batch(SEVERAL);
    const gate = pressure.gate("test", 60);
    const pieces = Array.from({ length: 4 }, piece);
    for (const { work } of pieces) void gate.pass(work);
    await clock.advance(60);
    expect(pieces.filter(({ state }) => state.began).length).toBe(4);
  });

  test("lets in the one that waits and is told to stop, and keeps the order of the others", async () => {
    const clock = virtualClock();
    const pressure = openPressure(clock);
    pressure.batch(SEVERAL);
    const gate = pressure.gate("test", 1000);
    const stop = new AbortController();
    const [inside, stopped, next, last] = [piece(), piece(), piece(), piece()];
    void gate.pass(inside.work);
    void gate.pass(stopped.work, stop.signal);
    void gate.pass(next.work);
    void gate.pass(last.work);
    await clock.advance(1);
    stop.abort();
    await clock.advance(0);
    expect([stopped, next, last].map(({ state }) => state.began)).toEqual([true, false, false]);
    inside.state.end();
    stopped.state.end();
    await clock.advance(0);
    expect([next, last].map(({ state }) => state.began)).toEqual([true, false]);
  });

  test("passes on the result and the error of the work, and a failed piece leaves the gate", async () => {
    const clock = virtualClock();
    const pressure = openPressure(clock);
    pressure.batch(SEVERAL);
    const gate = pressure.gate("test", 1000);
    await expect(gate.pass(async () => Promise.reject(new Error("broken")))).rejects.toThrow("broken");
    await expect(gate.pass(async () => 7)).resolves.toBe(7);
  });
});
