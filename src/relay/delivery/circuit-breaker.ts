/**
 * The circuit breaker of a destination. These functions are pure: from a health and the results of attempts they compute the
 * next health, and the events that operators have to see.
 *
 *   closed ──10 attempts in 5 minutes, 70 % of them failed──▶ open
 *   open ──its time is over: 30 s, doubled each time it opens again, at most 30 min──▶ half open: one probe
 *   half open ──the probe succeeds──▶ closed
 *             └─the probe fails─────▶ open, for longer
 *
 * A second clock measures for how long every attempt has failed. At 50, 70 and 90 per cent of the time for which the
 * destination may fail, operators get a warning; at 100 the destination is disabled. Each pause between two failures counts for
 * at most a tenth of that time, so a failure after days without an attempt neither disables a destination nor skips a warning.
 * Due deliveries are held in all cases.
 */
import type { BreakerState } from "../../model/statuses.ts";

/** The columns of relay.health. */
export interface Health {
  breaker: BreakerState;
  /** in a row, without a successful probe between */
  openings: number;
  /** nothing is sent before: the circuit is open until then, or the receiver asked for it by Retry-After */
  hold_until: Date | null;
  /** the part of it that the receiver asked for */
  asked_until: Date | null;
  /** attempts of the window: minute since 1970, failed, all */
  recent: [number, number, number][];
  failing_since: Date | null;
  /** milliseconds in which every attempt failed; a pause between two counts for at most a tenth of the time that disables */
  failing_ms: number;
  /** in a row */
  failures: number;
  /** the last warning, in per cent of the time that disables */
  warned: number;
  last_success_at: Date | null;
  last_failure_at: Date | null;
  last_error: string | null;
}

export interface AttemptResult {
  failed: boolean;
  at: Date;
  /** of the failure, for last_error */
  cause?: string | null;
}

export const WARNINGS = [50, 70, 90] as const;

export type HealthEvent = "opened" | "recovered" | "disabled" | { failing: (typeof WARNINGS)[number] };

/** The health of a destination without attempts. */
export const FRESH: Health = {
  breaker: "closed",
  openings: 0,
  hold_until: null,
  asked_until: null,
  recent: [],
  failing_since: null,
  failing_ms: 0,
  failures: 0,
  warned: 0,
  last_success_at: null,
  last_failure_at: null,
  last_error: null,
};

const MINUTE_MS = 60_000;
const WINDOW_MINUTES = 5;
const OPENS_AT = { attempts: 10, failed: 0.7 } as const;
const HOLD_MS = { first: 30_000, longest: 30 * MINUTE_MS } as const;
/** Fewer failures do not disable a destination, however far apart they are. */
const FAILURES_TO_WARN = 5;

/** How many requests may be sent now: any number, one probe, or none before `hold_until`. */
export function admission(health: Health, now: Date): "all" | "probe" | "none" {
  if (health.hold_until !== null && health.hold_until > now) return "none";
  return health.breaker === "closed" ? "all" : "probe";
}

/** The health while the probe is under way. */
export const halfOpened = (health: Health): Health => ({ ...health, breaker: "half_open" });

/** Holds until `until` at least, as a receiver asks by Retry-After. */
export const heldUntil = (health: Health, until: Date): Health => ({
  ...health,
  hold_until: later(health.hold_until, until),
  asked_until: later(health.asked_until, until),
});

const later = (one: Date | null, other: Date): Date => (one !== null && one >= other ? one : other);

/**
 * The health after an operator enabled, resumed or changed the destination: earlier failures no longer count, since the first
 * failure afterwards would otherwise disable a destination that was paused for a week. The last success, failure and error stay
 * visible.
 * @param all also ends a wait that the receiver asked for; a change of other settings than the URL does not
 */
export function resetHealth(health: Health, all: boolean): Health {
  const { last_success_at, last_failure_at, last_error, asked_until } = health;
  const asked = all ? null : asked_until;
  return { ...health, ...FRESH, hold_until: asked, asked_until: asked, last_success_at, last_failure_at, last_error };
}

/** Applies `results`, in their order, to `health`. @returns the next health and the events for operators */
export function afterAttempts(
  health: Health,
  results: readonly AttemptResult[],
  { disableAfterS }: { disableAfterS: number },
): { health: Health; events: HealthEvent[] } {
  const events: HealthEvent[] = [];
  let now = health;
  for (const result of results) {
    const step = result.failed ? afterFailure(now, result, disableAfterS * 1000) : afterSuccess(now, result);
    now = step.health;
    events.push(...step.events);
  }
  return { health: now, events };
}

interface Step {
  health: Health;
  events: HealthEvent[];
}

/**
 * While the circuit is open, a success belongs to an attempt that was under way when it opened. It ends the count of failures,
 * but does not close a circuit that seven of ten failures opened.
 */
function afterSuccess(health: Health, { at }: AttemptResult): Step {
  const recent = counted(health.recent, at, false);
  const healthy: Health = {
    ...health,
    recent,
    failing_since: null,
    failing_ms: 0,
    failures: 0,
    warned: 0,
    last_success_at: at,
  };
  if (health.breaker === "half_open") {
    const closed: Health = {
      ...healthy,
      breaker: "closed",
      openings: 0,
      hold_until: null,
      asked_until: null,
      recent: [],
    };
    return { health: closed, events: ["recovered"] };
  }
  return { health: healthy, events: health.breaker === "closed" && health.warned > 0 ? ["recovered"] : [] };
}

function afterFailure(health: Health, { at, cause }: AttemptResult, disableAfterMs: number): Step {
  const failed: Health = {
    ...health,
    recent: counted(health.recent, at, true),
    failing_since: health.failing_since ?? at,
    failing_ms: health.failing_ms + countedPause(health, at, disableAfterMs),
    failures: health.failures + 1,
    last_failure_at: at,
    last_error: cause ?? health.last_error,
  };
  const opened = opens(failed) ? open(failed, at) : { health: failed, events: [] };
  const warned = warn(opened.health, disableAfterMs);
  return { health: warned.health, events: [...opened.events, ...warned.events] };
}

function opens({ breaker, recent }: Health): boolean {
  if (breaker !== "closed") return breaker === "half_open";
  const all = recent.reduce((sum, [, , n]) => sum + n, 0);
  const failed = recent.reduce((sum, [, n]) => sum + n, 0);
  return all >= OPENS_AT.attempts && failed >= all * OPENS_AT.failed;
}

/** Yields an event each time the circuit opens for longer than before, so none once it opens for the longest time. */
function open(health: Health, at: Date): Step {
  const holdMs = Math.min(HOLD_MS.first * 2 ** health.openings, HOLD_MS.longest);
  const grew = health.openings === 0 || HOLD_MS.first * 2 ** (health.openings - 1) < HOLD_MS.longest;
  const hold_until = later(health.hold_until, new Date(at.getTime() + holdMs));
  return {
    health: { ...health, hold_until, breaker: "open", openings: health.openings + 1 },
    events: grew ? ["opened"] : [],
  };
}

/** The part of the time since the last failure that counts. Steps of at most a tenth pass every warning on the way. */
function countedPause({ failing_since, last_failure_at }: Health, at: Date, disableAfterMs: number): number {
  if (failing_since === null || last_failure_at === null) return 0;
  return Math.min(Math.max(0, at.getTime() - last_failure_at.getTime()), disableAfterMs / 10);
}

function warn(health: Health, disableAfterMs: number): Step {
  if (health.failures < FAILURES_TO_WARN || health.warned >= 100) return { health, events: [] };
  const percent = (health.failing_ms / disableAfterMs) * 100;
  if (percent >= 100) return { health: { ...health, warned: 100 }, events: ["disabled"] };
  // Of several warnings that were passed since the last attempt, only the highest is given.
  const reached = WARNINGS.findLast((warning) => percent >= warning && warning > health.warned);
  if (reached === undefined) return { health, events: [] };
  return { health: { ...health, warned: reached }, events: [{ failing: reached }] };
}

/** The window with one more attempt and without the minutes that have left it. */
function counted(recent: Health["recent"], at: Date, failed: boolean): Health["recent"] {
  const minute = Math.floor(at.getTime() / MINUTE_MS);
  const kept = recent.filter(([then]) => then > minute - WINDOW_MINUTES);
  const last = kept.at(-1);
  if (last === undefined || last[0] < minute) return [...kept, [minute, Number(failed), 1]];
  return [...kept.slice(0, -1), [last[0], last[1] + Number(failed), last[2] + 1]];
}
