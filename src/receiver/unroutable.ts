/**
 * Requests to the intake that did not reach its handler: their path cannot be decoded or is too long, or their bytes are not
 * HTTP. The server itself answers them. This file records and counts them, so that an operator sees a sender with a
 * broken URL as well as one with a wrong secret.
 */
import { metrics } from "../metrics.ts";
import type { RefusalSink } from "../model/refusal.ts";

const INTAKE_PATH = /^\/v1\/(?:(?:service_)?integrations|listeners)\/[^/?#]/;
const REQUEST_LINE = /^POST (\S+)/;
/** Longer paths are cut: the beginning identifies an intake's path. */
const PATH_LOOKED_AT = 64;

const DETAILS = {
  path_malformed: "the path is not valid percent-encoding",
  path_too_long: "the path names no integration and no listener: it is too long",
  not_http: "the request is not valid HTTP, or its headers and path are too long",
} as const;

export type UnroutableReason = keyof typeof DETAILS;

export interface Unroutable {
  method: string;
  path: string;
  remoteAddress: string | null;
}

/** Records the request if it was sent to the intake. Never throws. */
export function recordUnroutable(
  refusals: RefusalSink,
  { method, path, remoteAddress }: Unroutable,
  reason: UnroutableReason,
): void {
  if (method !== "POST" || !INTAKE_PATH.test(path.slice(0, PATH_LOOKED_AT))) return;
  metrics.webhooksRefused.inc({ reason });
  refusals.record({ integrationId: null, reason, detail: DETAILS[reason], remoteAddress, bodyBytes: null });
}

/** The POST request at the beginning of the bytes, if there is one. */
export function requestIn(packet: unknown): Pick<Unroutable, "method" | "path"> | null {
  if (!Buffer.isBuffer(packet)) return null;
  const path = REQUEST_LINE.exec(packet.toString("latin1", 0, PATH_LOOKED_AT * 2))?.[1];
  return path === undefined ? null : { method: "POST", path };
}
