/** A request that the receiver refused, and where the receiver reports it. */

export interface Refusal {
  /** null where the path names no integration that there is */
  integrationId: string | null;
  /** stable code, such as signature_invalid */
  reason: string;
  /** one sentence, without payload */
  detail: string | null;
  remoteAddress: string | null;
  bodyBytes: number | null;
}

export interface RefusalSink {
  /** Notes a refusal; it is written within a second or so. Never throws. */
  record(refusal: Refusal): void;
}
