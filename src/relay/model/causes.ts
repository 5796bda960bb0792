/** Why an attempt or a delivery failed: the codes that the API shows, with a sentence for each. */

/** `status_500` and its like stand beside these, one for each status of a receiver. */
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

/** The cause of an HTTP status; null for a success (2xx). */
export function causeOfStatus(status: number): Cause | null {
  if (status >= 200 && status <= 299) return null;
  return status >= 300 && status <= 399 ? "redirect" : `status_${status}`;
}
