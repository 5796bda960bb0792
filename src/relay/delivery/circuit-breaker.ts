/**
 * How a destination fares, and whether it is worth sending to. Pure: it is handed what was and what came, and says what
 * is and what is to be told.
 *
 *   closed ──10 attempts in 5 minutes, 70 % of them failed──▶ open
 *   open ──its time is over: 30 s, doubled each time it opens again, at most 30 min──▶ half open: one probe
 *   half open ──the probe succeeds──▶ closed
 *             └─the probe fails─────▶ open, for longer
 *
 * Beside it a clock measures for how long there was nothing but failures: at 50, 70 and 90 per cent of the time that the
 * destination may fail for, a warning is given; at 100 the destination is disabled. Between two failures it runs for at most
 * a tenth of that time, so a failure after days without an attempt neither disables a destination nor skips a warning.
 * What is due there is held in all cases.
 */
export type BreakerState = "closed" | "open" | "half_open";

/** The columns of relay.health, by their names. */
export interface Health {
  breaker: BreakerState;
  /** in a row, without a successful probe between */
  openings: number;
  /** nothing is sent before: it is open until then, or the receiver asked by Retry-After */
  hold_until: Date | null;
  /** what of that the receiver asked for */
  asked_until: Date | null;
  /** the window's attempts: minute since 1970, failed, all */
  recent: [number, number, number][];
  failing_since: Date | null;
  /** milliseconds of nothing but failures, of each pause between two of them at most a tenth of what disables */
  failing_ms: number;
  /** in a row */
  failures: number;
  /** per cent of the way to being disabled that were told */
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

/** Of a destination that nothing is known of. */
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
/** Fewer do not disable a destination, however far apart they are. */
const FAILURES_TO_WARN = 5;

/** How many may be sent now: any number, one to see whether it is well again, or none before `hold_until`. */
export function admission(health: Health, now: Date): "all" | "probe" | "none" {
  if (health.hold_until !== null && health.hold_until > now) return "none";
  return health.breaker === "closed" ? "all" : "probe";
}

/** While its probe is under way; what comes next decides. */
export const halfOpened = (health: Health): Health => ({ ...health, breaker: "half_open" });

/** Held until then at least, as a receiver asks by Retry-After. */
export const heldUntil = (health: Health, until: Date): Health => ({
  ...health,
  hold_until: later(health.hold_until, until),
  asked_until: later(health.asked_until, until),
});

const later = (one: Date | null, other: Date): Date => (one !== null && one >= other ? one : other);

/**
 * Somebody enabled, resumed or changed it: earlier failures no longer count, else the first failure afterwards would disable
 * a destination that was paused for a week. The last success, failure and error stay to be seen.
 * @param all whether to end a wait that the receiver asked for too; a mere change of settings does not
 */
export function relieved(health: Health, all: boolean): Health {
  const { last_success_at, last_failure_at, last_error, asked_until } = health;
  const asked = all ? null : asked_until;
  return { ...health, ...FRESH, hold_until: asked, asked_until: asked, last_success_at, last_failure_at, last_error };
}

/** What `results`, in the order in which they came, make of `health`, and what is to be told of it. */
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
 * While it is open, a success is of an attempt that was under way when it opened: it ends the count of failures, but
 * does not close what seven of ten failures opened.
 */
function afterSuccess(health: Health, { at }: AttemptResult): Step {
  const recent = counted(health.recent, at, false);
  const well: Health = {
    ...health,
    recent,
    failing_since: null,
    failing_ms: 0,
    failures: 0,
    warned: 0,
    last_success_at: at,
  };
  if (health.breaker === "half_open") {
    const closed: Health = { ...well, breaker: "closed", openings: 0, hold_until: null, asked_until: null, recent: [] };
    return { health: closed, events: ["recovered"] };
  }
  return { health: well, events: health.breaker === "closed" && health.warned > 0 ? ["recovered"] : [] };
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

/** Told each time it opens for longer than before; once it opens for as long as it may, no more. */
function open(health: Health, at: Date): Step {
  const holdMs = Math.min(HOLD_MS.first * 2 ** health.openings, HOLD_MS.longest);
  const grew = health.openings === 0 || HOLD_MS.first * 2 ** (health.openings - 1) < HOLD_MS.longest;
  const hold_until = later(health.hold_until, new Date(at.getTime() + holdMs));
  return {
    health: { ...health, hold_until, breaker: "open", openings: health.openings + 1 },
    events: grew ? ["opened"] : [],
  };
}

/** What of the time since the last failure counts: steps of a tenth pass every warning on the way to the end. */
function countedPause({ failing_since, last_failure_at }: Health, at: Date, disableAfterMs: number): number {
  if (failing_since === null || last_failure_at === null) return 0;
  return Math.min(Math.max(0, at.getTime() - last_failure_at.getTime()), disableAfterMs / 10);
}

function warn(health: Health, disableAfterMs: number): Step {
  if (health.failures < FAILURES_TO_WARN || health.warned >= 100) return { health, events: [] };
  const percent = (health.failing_ms / disableAfterMs) * 100;
  if (percent >= 100) return { health: { ...health, warned: 100 }, events: ["disabled"] };
  // Of several that were passed since the last attempt, the highest says it all.
  const reached = WARNINGS.findLast((warning) => percent >= warning && warning > health.warned);
  if (reached === undefined) return { health, events: [] };
  return { health: { ...health, warned: reached }, events: [{ failing: reached }] };
}

/** The window with one attempt more, without the minutes that have left it. */
function counted(recent: Health["recent"], at: Date, failed: boolean): Health["recent"] {
  const minute = Math.floor(at.getTime() / MINUTE_MS);
  const kept = recent.filter(([then]) => then > minute - WINDOW_MINUTES);
  const last = kept.at(-1);
  if (last === undefined || last[0] < minute) return [...kept, [minute, Number(failed), 1]];
  return [...kept.slice(0, -1), [last[0], last[1] + Number(failed), last[2] + 1]];
}
