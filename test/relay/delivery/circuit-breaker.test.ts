import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  admission,
  afterAttempts,
  FRESH,
  halfOpened,
  heldUntil,
  resetHealth,
  type Health,
  type HealthEvent,
} from "../../../src/relay/delivery/circuit-breaker.ts";

const START = Date.UTC(2026, 0, 1);
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAYS_5_S = 432_000;
const settings = { disableAfterS: DAYS_5_S };

const at = (ms: number): Date => new Date(START + ms);
const fail = (ms: number, cause = "status_500") => ({ failed: true, at: at(ms), cause });
const pass = (ms: number) => ({ failed: false, at: at(ms) });
const after = (health: Health, ...results: { failed: boolean; at: Date }[]) => afterAttempts(health, results, settings);
const times = <T>(n: number, make: (i: number) => T): T[] => Array.from({ length: n }, (_, i) => make(i));

/** Opened by ten failures in ten seconds. */
const opened = (): Health => after(FRESH, ...times(10, (i) => fail(i * 1000))).health;

describe("a closed circuit", () => {
  test("a circuit stays closed after nine failures and opens for 30 seconds after ten", () => {
    const nine = after(FRESH, ...times(9, (i) => fail(i * 1000)));
    expect(nine).toMatchObject({ health: { breaker: "closed", openings: 0, hold_until: null }, events: [] });
    const ten = after(nine.health, fail(9000));
    expect(ten.health).toMatchObject({ breaker: "open", openings: 1, hold_until: at(39_000), failures: 10 });
    expect(ten.events).toEqual(["opened"]);
  });

  test("a circuit stays closed while less than 70 % of the attempts fail", () => {
    const mixed = times(90, (i) => (i % 3 === 0 ? pass(i) : fail(i)));
    expect(after(FRESH, ...mixed)).toMatchObject({ health: { breaker: "closed" }, events: [] });
    const seventy = after(FRESH, ...times(3, pass), ...times(7, (i) => fail(3 + i)));
    expect(seventy).toMatchObject({ health: { breaker: "open" }, events: ["opened"] });
  });

  test("attempts before the window do not count", () => {
    const old = after(FRESH, ...times(9, (i) => fail(i)));
    expect(after(old.health, fail(4 * MINUTE + 59_999)).health.breaker).toBe("open");
    expect(after(old.health, fail(5 * MINUTE)).health).toMatchObject({ breaker: "closed", failures: 10 });
  });

  test("the stored window is bounded", () => {
    const many = after(FRESH, ...times(500, (i) => pass(i * 30_000)));
    expect(many.health.recent).toHaveLength(5);
    expect(JSON.parse(JSON.stringify(many.health.recent))).toEqual(many.health.recent);
  });

  test("a success ends the count of failures", () => {
    const failed = after(FRESH, fail(0), fail(1000, "timeout")).health;
    expect(failed).toMatchObject({
      failures: 2,
      failing_since: at(0),
      last_failure_at: at(1000),
      last_error: "timeout",
      last_success_at: null,
    });
    expect(after(failed, pass(2000)).health).toMatchObject({
      failures: 0,
      failing_since: null,
      last_success_at: at(2000),
      last_failure_at: at(1000),
      last_error: "timeout",
    });
  });
});

describe("an open circuit", () => {
  test("an open circuit lets nothing through until its time is over, then one probe", () => {
    const health = opened();
    expect(admission(FRESH, at(0))).toBe("all");
    expect(admission(health, at(38_999))).toBe("none");
    expect(admission(health, at(39_000))).toBe("probe");
    expect(admission(halfOpened(health), at(39_000))).toBe("probe");
  });

  test("attempts that were under way when the circuit opened neither open it again nor close it", () => {
    const late = after(opened(), fail(10_000), fail(10_001), pass(10_002), fail(10_003));
    expect(late.events).toEqual([]);
    expect(late.health).toMatchObject({ breaker: "open", openings: 1, hold_until: at(39_000), failures: 1 });
  });

  test("the event destination.recovered is recorded when the circuit closes, not before", () => {
    const late = after({ ...opened(), warned: 50 }, pass(10_000));
    expect(late).toMatchObject({ health: { breaker: "open", warned: 0, failing_since: null }, events: [] });
    expect(after(halfOpened(late.health), pass(40_000)).events).toEqual(["recovered"]);
  });

  test("each failed probe opens the circuit for twice as long, up to 30 minutes, with an event while the time grows", () => {
    let health = opened();
    const holds: number[] = [];
    const recorded: HealthEvent[][] = [];
    for (let i = 0; i < 9; i += 1) {
      const now = (health.hold_until?.getTime() ?? 0) - START;
      const next = after(halfOpened(health), fail(now));
      health = next.health;
      holds.push(((health.hold_until?.getTime() ?? 0) - START - now) / 1000);
      recorded.push(next.events);
    }
    expect(holds).toEqual([60, 120, 240, 480, 960, 1800, 1800, 1800, 1800]);
    expect(recorded.map((events) => events.includes("opened"))).toEqual([
      ...Array(6).fill(true),
      ...Array(3).fill(false),
    ]);
    expect(health).toMatchObject({ breaker: "open", openings: 10 });
  });

  test("a successful probe closes the circuit and clears the window", () => {
    const { health, events } = after(halfOpened(opened()), pass(40_000));
    expect(events).toEqual(["recovered"]);
    expect(health).toMatchObject({ breaker: "closed", openings: 0, hold_until: null, recent: [], failures: 0 });
    expect(after(health, ...times(9, (i) => fail(41_000 + i))).health.breaker).toBe("closed");
    const again = after(health, ...times(10, (i) => fail(41_000 + i)));
    expect(again.health.hold_until, "30 seconds again").toEqual(at(41_009 + 30_000));
  });
});

describe("a destination that asked by Retry-After", () => {
  test("a destination that asked by Retry-After receives nothing until that time, and everything afterwards", () => {
    const health = heldUntil(FRESH, at(60_000));
    expect(admission(health, at(59_999))).toBe("none");
    expect(admission(health, at(60_000))).toBe("all");
  });

  test("a destination that asked by Retry-After is held until the later of two times, the circuit's own included", () => {
    expect(heldUntil(heldUntil(FRESH, at(2000)), at(1000)).hold_until).toEqual(at(2000));
    const asked = heldUntil(FRESH, at(HOUR));
    expect(after(asked, ...times(10, (i) => fail(i))).health).toMatchObject({ breaker: "open", hold_until: at(HOUR) });
  });
});

describe("a destination that fails for long", () => {
  const hourly = (from: number, hours: number) => times(hours, (i) => fail((from + i) * HOUR));
  const warnings = (events: HealthEvent[]) =>
    events.filter((event) => typeof event === "object" || event === "disabled");

  test("a destination that fails for long causes one warning each at 50, 70 and 90 per cent and is disabled at 100", () => {
    const { health, events } = after(FRESH, ...hourly(0, 130));
    expect(warnings(events)).toEqual([{ failing: 50 }, { failing: 70 }, { failing: 90 }, "disabled"]);
    expect(health.warned).toBe(100);
    const sofar = (hours: number) => warnings(after(FRESH, ...hourly(0, hours + 1)).events);
    expect(sofar(59)).toEqual([]);
    expect(sofar(60)).toEqual([{ failing: 50 }]);
    expect(sofar(84)).toHaveLength(2);
    expect(sofar(108)).toHaveLength(3);
    expect(sofar(119)).toHaveLength(3);
    expect(sofar(120)).toHaveLength(4);
  });

  test("a destination that fails for long starts its time again after a success, with an event if it was warned of", () => {
    const warned = after(FRESH, ...hourly(0, 61)).health;
    const well = after(warned, pass(61 * HOUR));
    expect(well).toMatchObject({ health: { warned: 0, failing_since: null }, events: ["recovered"] });
    expect(warnings(after(well.health, ...hourly(62, 59)).events)).toEqual([]);
    expect(after(after(FRESH, fail(0)).health, pass(1)).events, "a failure without an event").toEqual([]);
  });

  test("a destination that fails for long counts a pause without attempts as at most a tenth of the time", () => {
    const five = after(FRESH, ...times(5, (i) => fail(i))).health;
    const later = after(five, fail(1000 * HOUR));
    expect(later.events).toEqual([]);
    expect(later.health.failing_ms).toBe(12 * HOUR + 4);
  });

  test("a destination that fails for long is not disabled before the warnings at 50, 70 and 90 per cent, however far apart its failures are", () => {
    for (const gap of [1, 11, 12, 30, 500]) {
      const { events } = after(FRESH, ...times(130, (i) => fail(i * gap * HOUR)));
      expect(warnings(events), `${gap} h apart`).toEqual([
        { failing: 50 },
        { failing: 70 },
        { failing: 90 },
        "disabled",
      ]);
    }
  });

  test("a destination that fails for long is not disabled by a single failure after idle days", () => {
    const four = after(FRESH, ...times(4, (i) => fail(i * MINUTE))).health;
    expect(warnings(after(four, fail(30 * 24 * HOUR)).events)).toEqual([]);
  });

  test("a destination that fails for long counts its time on while the circuit is open, by its probes", () => {
    let health = opened();
    const recorded: HealthEvent[] = [];
    for (let i = 0; i < 400 && !recorded.includes("disabled"); i += 1) {
      const next = after(halfOpened(health), fail((health.hold_until?.getTime() ?? 0) - START));
      health = next.health;
      recorded.push(...next.events);
    }
    expect(warnings(recorded)).toEqual([{ failing: 50 }, { failing: 70 }, { failing: 90 }, "disabled"]);
  });
});

describe("resetting the health", () => {
  test("resetting the health keeps a wait that the receiver asked for, unless it resets all", () => {
    const asked = heldUntil(opened(), at(HOUR));
    expect(resetHealth(asked, false)).toMatchObject({ breaker: "closed", hold_until: at(HOUR), asked_until: at(HOUR) });
    expect(resetHealth(asked, true)).toMatchObject({ breaker: "closed", hold_until: null, asked_until: null });
    expect(resetHealth(opened(), false), "the breaker's own wait ends").toMatchObject({ hold_until: null });
  });

  test("resetting the health clears failures and keeps the last success, failure and error visible", () => {
    const long = after(halfOpened({ ...opened(), warned: 90 }), fail(100 * HOUR, "timeout")).health;
    const health = resetHealth(long, true);
    expect(health).toEqual({ ...FRESH, last_failure_at: at(100 * HOUR), last_error: "timeout" });
    expect(admission(health, at(100 * HOUR))).toBe("all");
    expect(after(health, ...times(9, (i) => fail((130 + i) * HOUR))).events).toEqual([]);
  });

  test("resetting the health keeps the other columns", () => {
    expect(resetHealth({ ...opened(), worker: "w" } as Health, true)).toMatchObject({ worker: "w", breaker: "closed" });
  });
});

describe("any sequence of results", () => {
  const step = fc.record({ gap: fc.nat(20 * MINUTE), failed: fc.boolean(), probe: fc.boolean() });

  test("any sequence of results leaves the given health unchanged, and a batch yields the same as single results", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        let now = 0;
        const results = steps.map(({ gap, failed }) => ({ failed, at: at((now += gap)) }));
        const frozen = structuredClone(FRESH);
        const batch = after(FRESH, ...results);
        let health: Health = FRESH;
        const events: HealthEvent[] = [];
        for (const result of results) {
          const next = after(health, result);
          health = next.health;
          events.push(...next.events);
        }
        expect(batch).toEqual({ health, events });
        expect(FRESH).toEqual(frozen);
      }),
    );
  });

  test("any sequence of results opens the circuit for at most 30 minutes, with events for opening and recovering in turn", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
        let health: Health = FRESH;
        let now = 0;
        let troubled = false;
        for (const { gap, failed } of steps) {
          now += gap;
          const admitted = admission(health, at(now));
          if (admitted === "none") continue;
          if (admitted === "probe") health = halfOpened(health);
          const next = after(health, failed ? fail(now) : pass(now));
          health = next.health;
          if (health.breaker === "open") {
            const heldMs = (health.hold_until?.getTime() ?? 0) - START - now;
            expect(heldMs).toBeGreaterThanOrEqual(30_000);
            expect(heldMs).toBeLessThanOrEqual(30 * MINUTE);
          }
          if (next.events.includes("recovered")) expect(troubled).toBe(true);
          if (next.events.length > 0) troubled = !next.events.includes("recovered");
          if (health.breaker !== "closed") expect(troubled).toBe(true);
        }
      }),
    );
  });
});
