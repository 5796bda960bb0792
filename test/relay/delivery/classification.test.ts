import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Exchange } from "../../../src/relay/model/types.ts";
import { classify } from "../../../src/relay/delivery/classification.ts";
import { CAUSES, causeOfStatus, describeCause } from "../../../src/relay/model/causes.ts";

const SCHEDULE = [5, 300, 1800, 7200, 18000, 36000, 36000];
const DAY_MS = 24 * 3_600_000;
const middle = () => 0.5;

function exchange(status: number | null, fields: Partial<Exchange> = {}): Exchange {
  return {
    durationMs: 1,
    address: null,
    status,
    cause: status === null ? "connection_reset" : causeOfStatus(status),
    headers: {},
    head: Buffer.alloc(0),
    retryAfterMs: null,
    control: null,
    ...fields,
  };
}

const after = (tries: number, fields: Exchange) => classify(fields, { schedule: SCHEDULE, tries }, middle);

test("only 2xx is a success", () => {
  for (let status = 100; status < 600; status += 1) {
    const success = status >= 200 && status < 300;
    expect(after(0, exchange(status)).outcome, String(status)).toBe(success ? "delivered" : "retry");
    expect(causeOfStatus(status)).toBe(
      success ? null : status >= 300 && status < 400 ? "redirect" : `status_${status}`,
    );
  }
  expect(after(0, exchange(200))).toEqual({
    outcome: "delivered",
    unhealthy: false,
    dueInMs: null,
    cause: null,
    holdMs: null,
    disable: null,
    reason: null,
  });
});

test("a 2xx answer that did not end is a failure", () => {
  expect(after(0, exchange(200, { cause: "timeout" }))).toMatchObject({ outcome: "retry", cause: "timeout" });
  expect(after(0, exchange(204, { cause: "connection_reset" }))).toMatchObject({ outcome: "retry" });
});

describe("the schedule", () => {
  test("the schedule gives each try its delay, and makes the delivery dead at its end", () => {
    for (const [tries, seconds] of SCHEDULE.entries())
      expect(after(tries, exchange(500))).toMatchObject({
        outcome: "retry",
        dueInMs: seconds * 1000,
        cause: "status_500",
      });
    for (const tries of [SCHEDULE.length, SCHEDULE.length + 5])
      expect(after(tries, exchange(500))).toMatchObject({ outcome: "dead", dueInMs: null, cause: "status_500" });
  });

  test("the schedule that is empty makes the delivery dead after the first try", () => {
    expect(classify(exchange(500), { schedule: [], tries: 0 })).toMatchObject({ outcome: "dead" });
  });

  test("the schedule varies by at most 20 % either way", () => {
    const place = { schedule: SCHEDULE, tries: 1 };
    const delays = [0, 0.25, 0.75, 0.999999].map((r) => classify(exchange(500), place, () => r).dueInMs);
    expect(delays).toEqual([240_000, 270_000, 330_000, 360_000]);
    fc.assert(
      fc.property(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (r) => {
        const { dueInMs } = classify(exchange(500), place, () => r);
        return dueInMs !== null && dueInMs >= 240_000 && dueInMs <= 360_000;
      }),
    );
    const own = new Set(Array.from({ length: 20 }, () => classify(exchange(500), place).dueInMs));
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
  ])("a receiver under load that says so by %s is left alone for a minute", (cause, status) => {
    expect(after(0, exchange(status, { cause }))).toMatchObject({ dueInMs: 60_000, cause });
    expect(after(1, exchange(status, { cause }))).toMatchObject({ dueInMs: 300_000 });
  });

  test("a receiver under load that answers with another status is retried by the schedule", () => {
    for (const cause of ["connect_refused", "connection_reset", "dns_failed", "tls_failed", "status_500", "status_503"])
      expect(after(0, exchange(null, { cause })).dueInMs, cause).toBe(5000);
  });
});

describe("Retry-After", () => {
  test.each([503, 429, 500, 413, 301, 502])(
    "Retry-After of a %i delays the retry when it is later than the schedule",
    (status) => {
      expect(after(0, exchange(status, { retryAfterMs: 90_000 }))).toMatchObject({ dueInMs: 90_000 });
      expect(after(3, exchange(status, { retryAfterMs: 90_000 }))).toMatchObject({ dueInMs: 7_200_000 });
    },
  );

  test("Retry-After delays for 24 hours at most", () => {
    expect(after(0, exchange(503, { retryAfterMs: 9 * DAY_MS })).dueInMs).toBe(DAY_MS);
    expect(after(0, exchange(429, { retryAfterMs: 9 * DAY_MS }))).toMatchObject({ dueInMs: DAY_MS, holdMs: DAY_MS });
  });

  test("Retry-After of a 429 holds the whole destination, and of another status only the delivery", () => {
    expect(after(0, exchange(429, { retryAfterMs: 5000 }))).toMatchObject({ dueInMs: 60_000, holdMs: 5000 });
    expect(after(SCHEDULE.length, exchange(429, { retryAfterMs: 5000 }))).toMatchObject({
      outcome: "dead",
      holdMs: 5000,
    });
    expect(after(0, exchange(429)).holdMs).toBeNull();
    expect(after(0, exchange(503, { retryAfterMs: 5000 })).holdMs).toBeNull();
  });

  test("Retry-After does not save a delivery at the end of its schedule", () => {
    expect(after(SCHEDULE.length, exchange(503, { retryAfterMs: 1000 })).outcome).toBe("dead");
  });
});

describe("a receiver", () => {
  test("a receiver that answers 410 is disabled, and the delivery waits even after its last try", () => {
    expect(after(0, exchange(410))).toMatchObject({
      outcome: "retry",
      cause: "status_410",
      disable: "gone",
      dueInMs: 5000,
    });
    expect(after(SCHEDULE.length, exchange(410))).toMatchObject({ outcome: "retry", disable: "gone", dueInMs: 0 });
  });

  test("a receiver that answers webhook-delivery: abort-message makes the delivery dead", () => {
    expect(after(0, exchange(500, { control: "abort-message" }))).toMatchObject({
      outcome: "dead",
      cause: "aborted",
      disable: null,
      unhealthy: false,
    });
    expect(after(0, exchange(500))).toMatchObject({ unhealthy: true });
    expect(after(0, exchange(200, { control: "abort-message" })), "what arrived has arrived").toMatchObject({
      outcome: "delivered",
    });
  });

  test("a receiver that answers webhook-delivery: disable is disabled, and the delivery is delivered or waits", () => {
    const disable = "asked_by_receiver";
    expect(after(0, exchange(500, { control: "disable" }))).toMatchObject({ outcome: "retry", disable });
    expect(after(SCHEDULE.length, exchange(500, { control: "disable" }))).toMatchObject({ outcome: "retry", disable });
    expect(after(0, exchange(200, { control: "disable" }))).toMatchObject({
      outcome: "delivered",
      cause: null,
      disable,
    });
  });
});

test("an attempt that Tartan cut short is made again at once, even after the last try", () => {
  const stopped = exchange(null, { cause: "stopped", control: "abort-message" });
  for (const tries of [0, SCHEDULE.length])
    expect(after(tries, stopped)).toMatchObject({ outcome: "retry", dueInMs: 0, cause: "stopped", holdMs: null });
});

test("the delay until the next try is a whole number of milliseconds and never negative", () => {
  const causes = [...Object.keys(CAUSES), "status_429", "status_500"];
  fc.assert(
    fc.property(
      fc.constantFrom(...causes),
      fc.option(fc.nat(1e12)),
      fc.nat(9),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (cause, retryAfterMs, tries, r) => {
        const classification = classify(
          exchange(null, { cause, retryAfterMs }),
          { schedule: SCHEDULE, tries },
          () => r,
        );
        if (classification.outcome !== "retry") return classification.dueInMs === null;
        return Number.isInteger(classification.dueInMs) && (classification.dueInMs ?? -1) >= 0;
      },
    ),
  );
});

test("every cause has its sentence", () => {
  for (const cause of Object.keys(CAUSES)) expect(describeCause(cause)).toMatch(/^[A-Z].*\.$/s);
  expect(describeCause("status_418")).toBe("The receiver answered 418.");
  expect(describeCause("something_newer")).toBe("something_newer");
});
