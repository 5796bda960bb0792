/**
 * Classifies an exchange: the delivery is delivered, retried at some time, or given up. As Standard Webhooks says, only 2xx
 * is a success; 410 asks to stop; 429, 502, 504 and a timeout ask for fewer requests; Retry-After is obeyed.
 */
import { describeCause } from "../model/causes.ts";
import type { Exchange } from "../model/types.ts";

/** What an exchange means for its delivery and its destination. */
export interface Classification {
  outcome: "delivered" | "retry" | "dead";
  /** until the next try; set for `retry` only */
  dueInMs: number | null;
  /** null when delivered */
  cause: string | null;
  /** nothing may be sent to the destination for this long */
  holdMs: number | null;
  /** the attempt counts against the destination's health */
  unhealthy: boolean;
  /** why the destination has to be disabled */
  disable: "gone" | "asked_by_receiver" | null;
  /** the cause in a sentence */
  reason: string | null;
}

/** Of a delivery for which no request could be built. Its cause and reason are filled in. */
export const UNSENDABLE = {
  outcome: "dead",
  dueInMs: null,
  cause: null,
  holdMs: null,
  unhealthy: false,
  disable: null,
  reason: null,
} as const;

const DAY_MS = 24 * 3_600_000;
/** A receiver cannot delay a delivery for longer. */
const RETRY_AFTER_MAX_MS = DAY_MS;
const THROTTLED_MIN_MS = 60_000;
const JITTER = 0.2;
/** These causes are signs of a receiver under load, so the next try comes after a minute at the earliest. */
const THROTTLED: ReadonlySet<string> = new Set([
  "timeout",
  "connect_timeout",
  "status_429",
  "status_502",
  "status_504",
]);

interface Place {
  /** seconds before each retry */
  schedule: readonly number[];
  /** tries before this one, since the delivery was scheduled or redriven */
  tries: number;
}

export function classify(exchange: Exchange, place: Place, random: () => number = Math.random): Classification {
  const { cause, control } = exchange;
  const asked = control === "disable" ? "asked_by_receiver" : null;
  const nothing = { dueInMs: null, cause, holdMs: null, unhealthy: false, disable: asked, reason: null } as const;
  if (cause === null) return { ...nothing, outcome: "delivered" };
  if (cause === "stopped") return { ...nothing, outcome: "retry", dueInMs: 0, reason: describeCause(cause) };
  // The receiver works and says what it wants.
  if (control === "abort-message")
    return { ...nothing, outcome: "dead", cause: "aborted", reason: describeCause("aborted") };
  const retryAfterMs = exchange.retryAfterMs === null ? null : Math.min(exchange.retryAfterMs, RETRY_AFTER_MAX_MS);
  const failed = {
    cause,
    holdMs: exchange.status === 429 ? retryAfterMs : null,
    unhealthy: true,
    disable: asked ?? (exchange.status === 410 ? "gone" : null),
    reason: describeCause(cause),
  } as const;
  const delayMs = scheduledMs(place, random);
  if (delayMs === null && failed.disable === null) return { ...failed, outcome: "dead", dueInMs: null };
  // A disabled destination holds its deliveries, so even the last try of a schedule leaves the delivery scheduled.
  const floorMs = THROTTLED.has(cause) ? THROTTLED_MIN_MS : 0;
  return { ...failed, outcome: "retry", dueInMs: Math.round(Math.max(delayMs ?? 0, floorMs, retryAfterMs ?? 0)) };
}

/** The scheduled delay with a jitter of 20 % either way; null at the end of the schedule. */
function scheduledMs({ schedule, tries }: Place, random: () => number): number | null {
  const seconds = schedule[tries];
  return seconds === undefined ? null : seconds * 1000 * (1 - JITTER + 2 * JITTER * random());
}
