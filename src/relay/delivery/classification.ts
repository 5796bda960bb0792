/**
 * What follows from an exchange: the delivery was made, is to be tried again and when, or is given up. As Standard Webhooks
 * has it: 2xx alone is success; 410 asks for no more; 429, 502, 504 and a timeout ask for less; Retry-After is kept to.
 */
import type { Exchange } from "../model/types.ts";

/** Why an attempt or a delivery failed, one sentence each. `status_500` and its like stand beside these for each status. */
export const CAUSES = {
  redirect: "The answer was a redirect, which is not followed: change the destination's URL.",
  timeout: "The exchange was not over within the destination's timeout.",
  connect_timeout: "No connection came about in time.",
  connect_refused: "The receiver refused the connection.",
  connection_reset: "The connection ended before the answer did.",
  network_unreachable: "There is no way to the receiver's address.",
  dns_failed: "The host name could not be resolved.",
  tls_failed: "No secure connection came about: the certificate was not accepted, or the receiver does not speak TLS.",
  address_refused: "The host is not on the public internet; TARTAN_RELAY_ALLOWED_ADDRESSES can allow it.",
  bad_answer: "What came back is not HTTP/1.1.",
  request_refused: "The request could not be made; see the destination's headers.",
  stopped: "Tartan was stopped while the attempt was under way; it does not count as a try.",
  outcome_unknown:
    "Tartan ended while the attempt was under way, so its outcome is unknown; it does not count as a try.",
  interrupted: "Tartan ended during the test, so its outcome is unknown.",
  aborted: "The receiver asked to give this delivery up (webhook-delivery: abort-message).",
  transform_error: "The route's transform failed.",
  transform_timeout: "The route's transform took too long.",
  transform_too_large: "What the route's transform made is too large.",
  payload_gone: "The event's payload was forgotten before it could be sent.",
} as const;

export type Cause = keyof typeof CAUSES | `status_${number}`;

/** A cause in a sentence. */
export function describeCause(cause: string): string {
  if (cause.startsWith("status_")) return `The receiver answered ${cause.slice("status_".length)}.`;
  return (CAUSES as Record<string, string>)[cause] ?? cause;
}

/** What a status means by itself; null: success. */
export function causeOfStatus(status: number): Cause | null {
  if (status >= 200 && status <= 299) return null;
  return status >= 300 && status <= 399 ? "redirect" : `status_${status}`;
}

export interface Verdict {
  kind: "delivered" | "retry" | "dead";
  /** until the next try; of kind retry only */
  dueInMs: number | null;
  /** null when delivered */
  cause: string | null;
  /** nothing is to be sent to the destination for so long */
  holdMs: number | null;
  /** the attempt speaks against the destination's health */
  unhealthy: boolean;
  /** why the destination is to be disabled */
  disable: "gone" | "asked_by_receiver" | null;
  /** the cause in a sentence */
  reason: string | null;
}

/** Of a delivery that could not be packed: its cause is all there is to say. */
export const UNPACKED = {
  kind: "dead",
  dueInMs: null,
  cause: null,
  holdMs: null,
  unhealthy: false,
  disable: null,
  reason: null,
} as const;

const DAY_MS = 24 * 3_600_000;
/** The longest that a receiver can put us off. */
const RETRY_AFTER_MAX_MS = DAY_MS;
const THROTTLED_MIN_MS = 60_000;
const JITTER = 0.2;
/** Signs of a receiver under load: nothing comes sooner than in a minute. */
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
  /** how many there were before this one, since the delivery was scheduled or redriven */
  tries: number;
}

export function judge(exchange: Exchange, place: Place, random: () => number = Math.random): Verdict {
  const { cause, control } = exchange;
  const asked = control === "disable" ? "asked_by_receiver" : null;
  const nothing = { dueInMs: null, cause, holdMs: null, unhealthy: false, disable: asked, reason: null } as const;
  if (cause === null) return { ...nothing, kind: "delivered" };
  if (cause === "stopped") return { ...nothing, kind: "retry", dueInMs: 0, reason: describeCause(cause) };
  // The receiver works and says what it wants.
  if (control === "abort-message")
    return { ...nothing, kind: "dead", cause: "aborted", reason: describeCause("aborted") };
  const retryAfterMs = exchange.retryAfterMs === null ? null : Math.min(exchange.retryAfterMs, RETRY_AFTER_MAX_MS);
  const failed = {
    cause,
    holdMs: exchange.status === 429 ? retryAfterMs : null,
    unhealthy: true,
    disable: asked ?? (exchange.status === 410 ? "gone" : null),
    reason: describeCause(cause),
  } as const;
  const delayMs = scheduledMs(place, random);
  if (delayMs === null && failed.disable === null) return { ...failed, kind: "dead", dueInMs: null };
  // A destination that is disabled holds what is due there, be it the last try or not.
  const floorMs = THROTTLED.has(cause) ? THROTTLED_MIN_MS : 0;
  return { ...failed, kind: "retry", dueInMs: Math.round(Math.max(delayMs ?? 0, floorMs, retryAfterMs ?? 0)) };
}

/** With jitter of 20 % either way; null where the schedule is at its end. */
function scheduledMs({ schedule, tries }: Place, random: () => number): number | null {
  const seconds = schedule[tries];
  return seconds === undefined ? null : seconds * 1000 * (1 - JITTER + 2 * JITTER * random());
}
