import { describe, expect, test } from "vitest";
import type { Clock } from "../../src/clock.ts";
import { CALM_AFTER_MS, MANY, openPressure, SOME } from "../../src/model/pressure.ts";

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

/** Batches with many unanswered webhooks, one every 10 ms of the clock, for `ms`. */
async function load(pressure: ReturnType<typeof openPressure>, clock: ReturnType<typeof virtualClock>, ms: number) {
  for (let passed = 0; passed < ms; passed += 10) {
    pressure.batch(MANY);
    await clock.advance(10);
  }
}

describe("the pressure", () => {
  test("is not high at the start, and while few webhooks are unanswered", () => {
    const pressure = openPressure(virtualClock());
    expect(pressure.high).toBe(false);
    pressure.batch(1);
    pressure.batch(MANY - 1);
    expect(pressure.high).toBe(false);
  });

  test("is high from a batch with many unanswered webhooks until 50 ms after the last such batch", async () => {
    const clock = virtualClock();
    const pressure = openPressure(clock);
    pressure.batch(MANY);
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
    pressure.batch(MANY);
    const state = watched(pressure.giveWay("test", 1000));
    await clock.advance(30);
    pressure.batch(MANY);
    await clock.advance(CALM_AFTER_MS - 1);
    expect(state.done).toBe(false);
    await clock.advance(1);
    expect(state.done).toBe(true);
  });

  test("continues after its longest wait although the load never ends", async () => {
    const clock = virtualClock();
    const pressure = openPressure(clock);
    pressure.batch(MANY);
    const state = watched(pressure.giveWay("test", 200));
    await load(pressure, clock, 190);
    expect(state.done).toBe(false);
    await load(pressure, clock, 20);
    expect(pressure.high).toBe(true);
    expect(state.done).toBe(true);
  });

  test("continues at once when it is asked to stop", async () => {
    const clock = virtualClock();
    const pressure = openPressure(clock);
    pressure.batch(MANY);
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
    const gate = openPressure(clock).gate({ worker: "test", everyMs: 20 });
    const pieces = Array.from({ length: 5 }, piece);
    for (const { work } of pieces) void gate.pass(work);
    await clock.advance(0);
    expect(pieces.map(({ state }) => state.began)).toEqual([true, true, true, true, true]);
  });

  test("lets in one piece of work at a time while the pressure is high, in the order of the calls", async () => {
    const clock = virtualClock();
    const pressure = openPressure(clock);
    pressure.batch(MANY);
    const gate = pressure.gate({ worker: "test", everyMs: 1000 });
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
    pressure.batch(MANY);
    const gate = pressure.gate({ worker: "test", everyMs: 20 });
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
    pressure.batch(MANY);
    const gate = pressure.gate({ worker: "test", everyMs: 60 });
    const pieces = Array.from({ length: 4 }, piece);
    for (const { work } of pieces) void gate.pass(work);
    await clock.advance(60);
    expect(pieces.filter(({ state }) => state.began).length).toBe(4);
  });

  test("lets in the one that waits and is asked to stop, and keeps the order of the others", async () => {
    const clock = virtualClock();
    const pressure = openPressure(clock);
    pressure.batch(MANY);
    const gate = pressure.gate({ worker: "test", everyMs: 1000 });
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
    pressure.batch(MANY);
    const gate = pressure.gate({ worker: "test", everyMs: 1000 });
    await expect(gate.pass(async () => Promise.reject(new Error("broken")))).rejects.toThrow("broken");
    await expect(gate.pass(async () => 7)).resolves.toBe(7);
  });

  test("stays closed behind a piece of work for as many times as long as it took", async () => {
    const clock = virtualClock();
    const pressure = openPressure(clock);
    const gate = pressure.gate({ worker: "test", everyMs: 1000, rest: 3 });
    const [first, second] = [piece(), piece()];
    pressure.batch(MANY);
    void gate.pass(first.work);
    await load(pressure, clock, 20);
    first.state.end();
    await clock.advance(0);
    void gate.pass(second.work);
    await load(pressure, clock, 50);
    expect(second.state.began).toBe(false);
    await load(pressure, clock, 20);
    expect(second.state.began).toBe(true);
  });

  test("opens again within its interval, however long the piece of work before took", async () => {
    const clock = virtualClock();
    const pressure = openPressure(clock);
    const gate = pressure.gate({ worker: "test", everyMs: 100, rest: Infinity });
    const [first, second, third] = [piece(), piece(), piece()];
    pressure.batch(MANY);
    for (const { work } of [first, second, third]) void gate.pass(work);
    await load(pressure, clock, 500);
    expect([first, second, third].map(({ state }) => state.began)).toEqual([true, true, true]);
  });

  test("of work that gives way to some webhooks is narrow before one that gives way to many", async () => {
    const clock = virtualClock();
    const pressure = openPressure(clock);
    const began = { some: 0, many: 0 };
    const toSome = pressure.gate({ worker: "test", from: SOME, everyMs: 1000 });
    const toMany = pressure.gate({ worker: "test", from: MANY, everyMs: 1000 });
    pressure.batch(SOME);
    for (let n = 0; n < 3; n++) {
      void toSome.pass(() => new Promise(() => (began.some += 1)));
      void toMany.pass(() => new Promise(() => (began.many += 1)));
    }
    await clock.advance(0);
    expect(began).toEqual({ some: 1, many: 3 });
  });

  test("looks at the clock no more often the more wait at it, and the more leave it", async () => {
    const clock = virtualClock();
    let sleeps = 0;
    const pressure = openPressure({
      now: () => clock.now(),
      sleep: (ms, signal) => {
        sleeps += 1;
        return clock.sleep(ms, signal);
      },
    });
    const gate = pressure.gate({ worker: "test", everyMs: 10 });
    pressure.batch(MANY);
    let left = 0;
    for (let n = 0; n < 60; n++) void gate.pass(() => clock.sleep(35)).then(() => (left += 1));
    await load(pressure, clock, 400);
    expect(left).toBeGreaterThan(30);
    expect(sleeps).toBeLessThan(60);
  });
});
