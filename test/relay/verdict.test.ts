import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Exchange } from "../../src/relay/model/types.ts";
import { CAUSES, causeOfStatus, describeCause, judge } from "../../src/relay/delivery/classification.ts";

const SCHEDULE = [5, 300, 1800, 7200, 18000, 36000, 36000];
const DAY_MS = 24 * 3_600_000;
const middle = () => 0.5;

function exchange(status: number | null, told: Partial<Exchange> = {}): Exchange {
  return {
    durationMs: 1,
    address: null,
    status,
    cause: status === null ? "connection_reset" : causeOfStatus(status),
    headers: {},
    head: Buffer.alloc(0),
    retryAfterMs: null,
    control: null,
    ...told,
  };
}

const after = (tries: number, told: Exchange) => judge(told, { schedule: SCHEDULE, tries }, middle);

test("2xx alone is success", () => {
  for (let status = 100; status < 600; status += 1) {
    const success = status >= 200 && status < 300;
    expect(after(0, exchange(status)).kind, String(status)).toBe(success ? "delivered" : "retry");
    expect(causeOfStatus(status)).toBe(
      success ? null : status >= 300 && status < 400 ? "redirect" : `status_${status}`,
    );
  }
  expect(after(0, exchange(200))).toEqual({
    kind: "delivered",
    unhealthy: false,
    dueInMs: null,
    cause: null,
    holdMs: null,
    disable: null,
    reason: null,
  });
});

test("an answer of 2xx that did not come to its end is no success", () => {
  expect(after(0, exchange(200, { cause: "timeout" }))).toMatchObject({ kind: "retry", cause: "timeout" });
  expect(after(0, exchange(204, { cause: "connection_reset" }))).toMatchObject({ kind: "retry" });
});

describe("the schedule", () => {
  test("gives each try its delay, and the delivery up at its end", () => {
    for (const [tries, seconds] of SCHEDULE.entries())
      expect(after(tries, exchange(500))).toMatchObject({
        kind: "retry",
        dueInMs: seconds * 1000,
        cause: "status_500",
      });
    for (const tries of [SCHEDULE.length, SCHEDULE.length + 5])
      expect(after(tries, exchange(500))).toMatchObject({ kind: "dead", dueInMs: null, cause: "status_500" });
  });

  test("that is empty gives up after the first try", () => {
    expect(judge(exchange(500), { schedule: [], tries: 0 })).toMatchObject({ kind: "dead" });
  });

  test("is kept to within 20 % either way", () => {
    const place = { schedule: SCHEDULE, tries: 1 };
    const delays = [0, 0.25, 0.75, 0.999999].map((r) => judge(exchange(500), place, () => r).dueInMs);
    expect(delays).toEqual([240_000, 270_000, 330_000, 360_000]);
    fc.assert(
      fc.property(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (r) => {
        const { dueInMs } = judge(exchange(500), place, () => r);
        return dueInMs !== null && dueInMs >= 240_000 && dueInMs <= 360_000;
      }),
    );
    const own = new Set(Array.from({ length: 20 }, () => judge(exchange(500), place).dueInMs));
    expect(own.size, "it is random").toBeGreaterThan(1);
  });
});

describe("a receiver under load", () => {
  test.each([
    ["timeout", null],
    ["connect_timeout", null],
    ["status_429", 429],
    ["status_502", 502],
    ["status_504", 504],
  ])("that says so by %s is left alone for a minute", (cause, status) => {
    expect(after(0, exchange(status, { cause }))).toMatchObject({ dueInMs: 60_000, cause });
    expect(after(1, exchange(status, { cause }))).toMatchObject({ dueInMs: 300_000 });
  });

  test("others are asked again as the schedule says", () => {
    for (const cause of ["connect_refused", "connection_reset", "dns_failed", "tls_failed", "status_500", "status_503"])
      expect(after(0, exchange(null, { cause })).dueInMs, cause).toBe(5000);
  });
});

describe("Retry-After", () => {
  test.each([503, 429, 500, 413, 301, 502])("of a %i is kept to, where it is later than the schedule", (status) => {
    expect(after(0, exchange(status, { retryAfterMs: 90_000 }))).toMatchObject({ dueInMs: 90_000 });
    expect(after(3, exchange(status, { retryAfterMs: 90_000 }))).toMatchObject({ dueInMs: 7_200_000 });
  });

  test("puts off for 24 hours at most", () => {
    expect(after(0, exchange(503, { retryAfterMs: 9 * DAY_MS })).dueInMs).toBe(DAY_MS);
    expect(after(0, exchange(429, { retryAfterMs: 9 * DAY_MS }))).toMatchObject({ dueInMs: DAY_MS, holdMs: DAY_MS });
  });

  test("of a 429 holds the whole destination; of others, this delivery", () => {
    expect(after(0, exchange(429, { retryAfterMs: 5000 }))).toMatchObject({ dueInMs: 60_000, holdMs: 5000 });
    expect(after(SCHEDULE.length, exchange(429, { retryAfterMs: 5000 }))).toMatchObject({ kind: "dead", holdMs: 5000 });
    expect(after(0, exchange(429)).holdMs).toBeNull();
    expect(after(0, exchange(503, { retryAfterMs: 5000 })).holdMs).toBeNull();
  });

  test("does not raise a delivery whose schedule is at its end", () => {
    expect(after(SCHEDULE.length, exchange(503, { retryAfterMs: 1000 })).kind).toBe("dead");
  });
});

describe("what the receiver asks for", () => {
  test("410 disables the destination; the delivery waits there, be it its last try or not", () => {
    expect(after(0, exchange(410))).toMatchObject({
      kind: "retry",
      cause: "status_410",
      disable: "gone",
      dueInMs: 5000,
    });
    expect(after(SCHEDULE.length, exchange(410))).toMatchObject({ kind: "retry", disable: "gone", dueInMs: 0 });
  });

  test("webhook-delivery: abort-message gives this delivery up", () => {
    expect(after(0, exchange(500, { control: "abort-message" }))).toMatchObject({
      kind: "dead",
      cause: "aborted",
      disable: null,
      unhealthy: false,
    });
    expect(after(0, exchange(500))).toMatchObject({ unhealthy: true });
    expect(after(0, exchange(200, { control: "abort-message" })), "what arrived has arrived").toMatchObject({
      kind: "delivered",
    });
  });

  test("webhook-delivery: disable disables the destination; the delivery is made, or waits", () => {
    const disable = "asked_by_receiver";
    expect(after(0, exchange(500, { control: "disable" }))).toMatchObject({ kind: "retry", disable });
    expect(after(SCHEDULE.length, exchange(500, { control: "disable" }))).toMatchObject({ kind: "retry", disable });
    expect(after(0, exchange(200, { control: "disable" }))).toMatchObject({ kind: "delivered", cause: null, disable });
  });
});

test("an attempt that we ended ourselves is made again at once, and never the last", () => {
  const stopped = exchange(null, { cause: "stopped", control: "abort-message" });
  for (const tries of [0, SCHEDULE.length])
    expect(after(tries, stopped)).toMatchObject({ kind: "retry", dueInMs: 0, cause: "stopped", holdMs: null });
});

test("a time is always whole, and never below zero", () => {
  const causes = [...Object.keys(CAUSES), "status_429", "status_500"];
  fc.assert(
    fc.property(
      fc.constantFrom(...causes),
      fc.option(fc.nat(1e12)),
      fc.nat(9),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (cause, retryAfterMs, tries, r) => {
        const verdict = judge(exchange(null, { cause, retryAfterMs }), { schedule: SCHEDULE, tries }, () => r);
        if (verdict.kind !== "retry") return verdict.dueInMs === null;
        return Number.isInteger(verdict.dueInMs) && (verdict.dueInMs ?? -1) >= 0;
      },
    ),
  );
});

test("every cause has its sentence", () => {
  for (const cause of Object.keys(CAUSES)) expect(describeCause(cause)).toMatch(/^[A-Z].*\.$/s);
  expect(describeCause("status_418")).toBe("The receiver answered 418.");
  expect(describeCause("something_newer")).toBe("something_newer");
});
