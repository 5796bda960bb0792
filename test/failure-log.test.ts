import { pino } from "pino";
import { expect, it, vi } from "vitest";
import { FailureLog } from "../src/failure-log.ts";

function recorded() {
  const lines: { level: number; msg: string; failures?: number; after_s?: number }[] = [];
  const logger = pino({ level: "warn" }, { write: (line: string) => void lines.push(JSON.parse(line)) });
  return { lines, log: new FailureLog(logger) };
}

it("a log of warnings says of work that fails for ten minutes so at once and once a minute, and says once that it works again", () => {
  vi.useFakeTimers();
  try {
    const { lines, log } = recorded();
    for (let second = 0; second < 600; second += 1) {
      log.failed(new Error("away"), "it fails");
      vi.advanceTimersByTime(1_000);
    }
    log.worked("it works again");
    log.worked("it works again");
    expect(lines.filter(({ msg }) => msg === "it fails").map(({ failures }) => failures)).toEqual([
      1,
      ...Array(9).fill(60),
    ]);
    expect(lines.filter(({ msg }) => msg === "it works again")).toMatchObject([{ after_s: 600 }]);
  } finally {
    vi.useRealTimers();
  }
});

it("work that fails and works in turn says so once in ten seconds", () => {
  vi.useFakeTimers();
  try {
    const { lines, log } = recorded();
    for (let time = 0; time < 1_000; time += 1) {
      log.failed(new Error("away"), "it fails");
      log.worked("it works again");
      vi.advanceTimersByTime(20);
    }
    expect(lines.filter(({ msg }) => msg === "it fails")).toHaveLength(2);
    expect(lines.filter(({ msg }) => msg === "it works again")).toHaveLength(2);
  } finally {
    vi.useRealTimers();
  }
});

it("work that never fails says nothing", () => {
  const { lines, log } = recorded();
  log.worked("it works again");
  expect(lines).toEqual([]);
});
