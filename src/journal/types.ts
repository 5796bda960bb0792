/**
 * What the journal takes in. A webhook here is already proven (by Plaid's signature or your secret) and already read:
 * whoever appends decides what it is about.
 */

/** Who a webhook came from: Plaid itself, your backend by secret, a login event, or Tartan having noticed a gap. */
export type Source = "PLAID" | "BACKEND" | "FROM_LISTENER" | "RECONCILER";

/** What a webhook is about and what sync works on, such as `{ kind: "item", id: "M5eVJqLnv3tbzdngLDp9FL5OlDNxlNhlE55op" }`. */
export interface Subject {
  kind: string;
  id: string;
}

/** How Plaid proved a webhook: its `Plaid-Verification` header and what was read from it. */
export interface Proof {
  /** the header as it came, so that it can be passed on */
  jwt: string;
  /** SHA-256 of `jwt`: 32 bytes; the same JWT twice is one webhook */
  tokenSha256: Buffer;
  /** `kid` of the key that signed */
  keyId: string;
  /** `iat` */
  signedAt: Date;
}

export interface NewWebhook {
  /** UUIDv7 from `newWebhookUuid` */
  id: string;
  integrationId: string;
  source: Source;
  /** what becomes due; null where Tartan does not know what the webhook is about */
  subject: Subject | null;
  itemId: string | null;
  /** your identifier of the user; absent or null, it is looked up from the item while inserting */
  userId?: string | null;
  webhookType: string | null;
  webhookCode: string | null;
  environment: string | null;
  receivedAt: Date;
  /** exactly what arrived; an access token must have been cut out before */
  body: Buffer;
  proof: Proof | null;
  /** the outcome of a webhook that needs no run: it is processed as it is stored, and makes nothing due */
  settledAs?: string | undefined;
  /** resources asked for besides those the webhook touches; `["*"]` is all of them */
  wanted?: readonly string[];
}

export interface Appended {
  /** UUID under which the webhook is journaled: of the first one, when this is a duplicate */
  id: string;
  /** the same JWT had been accepted before */
  duplicate: boolean;
}

/** A subject to be made due without a webhook. */
export interface Mark {
  integrationId: string;
  kind: string;
  id: string;
  /** resources asked for; `["*"]` is all of them */
  wanted?: readonly string[];
  /** it becomes due no sooner than this */
  notBefore?: Date;
}
