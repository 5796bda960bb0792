/**
 * Requests that were meant for the intake and did not reach its route: the path cannot be decoded or is too long, or the
 * bytes are not HTTP. They are answered by the server itself; here they are recorded and counted, so that a sender with a
 * mangled URL is seen as well as one with a wrong secret.
 */
import { metrics } from "../metrics.ts";
import type { RefusalSink } from "../model/refusal.ts";

const INTAKE_PATH = /^\/v1\/(?:service_)?integrations\/[^/?#]/;
const REQUEST_LINE = /^POST (\S+)/;
/** Longer ones are cut: an intake's path is recognised by its beginning. */
const PATH_LOOKED_AT = 64;

const DETAILS = {
  path_malformed: "the path is not valid percent-encoding",
  path_too_long: "the path names no integration: it is too long",
  not_http: "the request is not valid HTTP, or its headers and path are too long",
} as const;

export type UnroutableReason = keyof typeof DETAILS;

export interface Unroutable {
  method: string;
  path: string;
  remoteAddress: string | null;
}

/** Records the request if it was meant for the intake. Never throws. */
export function recordUnroutable(
  refusals: RefusalSink,
  { method, path, remoteAddress }: Unroutable,
  reason: UnroutableReason,
): void {
  if (method !== "POST" || !INTAKE_PATH.test(path.slice(0, PATH_LOOKED_AT))) return;
  metrics.webhooksRefused.inc({ reason });
  refusals.record({ integrationId: null, reason, detail: DETAILS[reason], remoteAddress, bodyBytes: null });
}

/** The request that the bytes begin with, where they begin with one that posts. */
export function requestIn(packet: unknown): Pick<Unroutable, "method" | "path"> | null {
  if (!Buffer.isBuffer(packet)) return null;
  const path = REQUEST_LINE.exec(packet.toString("latin1", 0, PATH_LOOKED_AT * 2))?.[1];
  return path === undefined ? null : { method: "POST", path };
}
