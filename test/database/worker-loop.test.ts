import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { systemClock } from "../../src/clock.ts";
import { startWorkerLoop } from "../../src/database/worker-loop.ts";
import { silentLogger } from "../../src/logger.ts";
import { NO_GATE, type Gate } from "../../src/model/pressure.ts";
import { testDatabase, type TestDatabase } from "../support/database.ts";
import { until } from "../support/until.ts";

let db: TestDatabase;
beforeAll(async () => {
  db = await testDatabase({ empty: true });
});
afterAll(async () => await db[Symbol.asyncDispose]());

const HOUR_MS = 3_600_000;

/** A loop whose poll interval never ends during the test; `work` counts its calls. */
async function startLoop(work: (call: number) => Promise<boolean>, pollMs = HOUR_MS, gate: Gate = NO_GATE) {
  let calls = 0;
  const lines: string[] = [];
  const logger = {
    ...silentLogger,
    warn: (_: unknown, line: string) => lines.push(line),
  } as unknown as typeof silentLogger;
  const loop = await startWorkerLoop({
    database: db.database,
    clock: systemClock,
    logger,
    channels: ["tartan_test_loop"],
    pollMs,
    gate,
    trouble: "cannot work; trying again",
    work: async () => await work((calls += 1)),
  });
  return { loop, lines, calls: () => calls };
}

describe("a worker loop", () => {
  it("works at once, and again as long as there is more", async () => {
    const { loop, calls } = await startLoop(async (call) => call < 3);
    await using _loop = loop;
    await until("the work is done", async () => calls() === 3);
  });

  it("waits for its turn at its gate before each piece of work", async () => {
    const steps: string[] = [];
    const gate = {
      enter: async () => () => undefined,
      pass: async <T>(work: () => Promise<T>): Promise<T> => {
        steps.push("enter");
        const result = await work();
        steps.push("leave");
        return result;
      },
    };
    const work = async (): Promise<boolean> => steps.push("work") < 4;
    const { loop } = await startLoop(work, HOUR_MS, gate);
    await using _loop = loop;
    await until("it has worked twice", async () => steps.length === 6);
    expect(steps).toEqual(["enter", "work", "leave", "enter", "work", "leave"]);
  });

  it("works when a notification arrives on one of its channels", async () => {
    const { loop, calls } = await startLoop(async () => false);
    await using _loop = loop;
    await until("it has looked once", async () => calls() === 1);
    await db.database.query("select pg_notify('tartan_test_loop', '')");
    await until("it has looked again", async () => calls() === 2);
  });

  it("works again after a wake-up that comes during the work", async () => {
    const { loop, calls } = await startLoop(async (call) => {
      if (call === 1) await db.database.query("select pg_notify('tartan_test_loop', ''), pg_sleep(0.2)");
      return false;
    });
    await using _loop = loop;
    await until("it has looked again", async () => calls() === 2);
  });

  it("works again after its poll interval without a notification", async () => {
    const { loop, calls } = await startLoop(async () => false, 20);
    await using _loop = loop;
    await until("it has polled", async () => calls() > 3);
  });

  it("logs an error and tries again", async () => {
    const { loop, lines, calls } = await startLoop(async (call) => {
      if (call === 1) throw new Error("broken");
      return false;
    });
    await using _loop = loop;
    await until("it has tried again", async () => calls() === 2);
    expect(lines).toEqual(["cannot work; trying again"]);
  });

  it("finishes the work under way when it is disposed, and starts no other", async () => {
    let finished = 0;
    const { loop, calls } = await startLoop(async () => {
      await systemClock.sleep(50);
      finished += 1;
      return true;
    });
    await until("it works", async () => calls() > 0);
    await loop[Symbol.asyncDispose]();
    const then = calls();
    expect(finished).toBe(then);
    await systemClock.sleep(100);
    expect(calls()).toBe(then);
  });
});
