/** Accepting goes first: what is written to the file makes other work wait, and the drain gives way to it, for a while. */
import { expect, test } from "vitest";
import { NO_PRESSURE, openPressure } from "../../src/model/pressure.ts";
import { until } from "../support/until.ts";
import { arrived, MemoryIntake, open, spoolRoot } from "./support.ts";

test("other work gives way while many webhooks are written to the spool", async () => {
  await using root = await spoolRoot();
  const inner = Object.assign(new MemoryIntake(), { mode: "away" as const });
  const pressure = openPressure();
  await using opened = await open(root, inner, { pressure });
  await opened.spool.accept(arrived());
  expect(pressure.high).toBe(false);
  await Promise.all(Array.from({ length: 100 }, () => opened.spool.accept(arrived())));
  expect(pressure.high).toBe(true);
});

test("the drain gives way to accepting before each batch, and for a bounded time", async () => {
  await using root = await spoolRoot();
  const inner = new MemoryIntake();
  inner.mode = "away";
  const waits: number[] = [];
  let goOn = (): void => undefined;
  const gone = new Promise<void>((resolve) => (goOn = resolve));
  const giveWay = async (worker: string, maxMs: number, signal?: AbortSignal): Promise<void> => {
    expect([worker, signal?.aborted]).toEqual(["drain", false]);
    waits.push(maxMs);
    await gone;
  };
  {
    await using opened = await open(root, inner);
    await Promise.all(Array.from({ length: 1200 }, () => opened.spool.accept(arrived())));
  }
  inner.mode = "there";
  await using opened = await open(root, inner, { pressure: { ...NO_PRESSURE, giveWay } });
  await until("the drain waits", () => waits.length === 1);
  expect(inner.batches).toEqual([]);
  goOn();
  await until("it is drained", () => opened.spool.status().state === "straight");
  expect(inner.stored).toHaveLength(1200);
  // The last batch belongs to the hand-over, for which arrivals are held: it waits for nothing.
  expect([inner.batches.length, waits.length]).toEqual([3, 2]);
  expect(Math.max(...waits)).toBeLessThanOrEqual(100);
});
