/** A request that the receiver refused, and where the receiver reports it. */

export interface Refusal {
  /** null where the path names no existing integration */
  integrationId: string | null;
  /** of the listener to whose URL the request was sent */
  listenerId?: string | null;
  /** stable code, such as signature_invalid */
  reason: string;
  /** one sentence, without payload */
  detail: string | null;
  remoteAddress: string | null;
  bodyBytes: number | null;
}

export interface RefusalSink {
  /** Records a refusal; it is written within about a second. Never throws. */
  record(refusal: Refusal): void;
}
