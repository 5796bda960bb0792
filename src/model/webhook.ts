/** A webhook as it is stored: proven by Plaid's signature or your secret, and parsed. */

/** Who a webhook came from: Plaid itself, your backend by secret, a login event, or Tartan itself, which noticed a gap. */
export const SOURCES = ["PLAID", "BACKEND", "FROM_LISTENER", "RECONCILER"] as const;
export type Source = (typeof SOURCES)[number];

/** What a webhook is about and what a sync run brings up to date, such as `{ kind: "item", id: "M5eVJqLnv3tbzdngLDp9FL5OlDNxlNhlE55op" }`. */
export interface Subject {
  kind: string;
  id: string;
}

/** The identity of a JWT, under which it is accepted once. */
export interface TokenIdentity {
  /** SHA-256, 32 bytes; the same JWT twice is one webhook */
  tokenSha256: Buffer;
  /** `iat` */
  signedAt: Date;
}

/** The proof of a Plaid webhook: its `Plaid-Verification` header and its content. */
export interface Proof extends TokenIdentity {
  /** the header as it came, so that it can be passed on */
  jwt: string;
  /** `kid` of the key that signed */
  keyId: string;
}

/** The request to read all resources of the subject. */
export const EVERYTHING = "*";
/** The request to read all of them from the start. */
export const EVERYTHING_AGAIN = "*:full";

export interface NewWebhook {
  /** UUIDv7 from `newUuid` */
  id: string;
  integrationId: string;
  source: Source;
  /** null where Tartan knows no subject */
  subject: Subject | null;
  itemId: string | null;
  /** your identifier of the user; if absent or null, the statement that stores the webhook takes it from the item */
  userId?: string | null;
  webhookType: string | null;
  webhookCode: string | null;
  environment: string | null;
  receivedAt: Date;
  /** of a webhook that Tartan journals from Plaid's list: when Plaid sent it */
  sentAt?: Date;
  /** exactly what arrived, without an access token */
  body: Buffer;
  proof: Proof | null;
  /** what the sender requests besides a reading of what the webhook touches: names of resources, EVERYTHING or EVERYTHING_AGAIN */
  requested?: readonly string[];
}

export interface Accepted {
  /** UUID of the stored webhook; for a duplicate that of the first one */
  id: string;
  /** the same JWT had been accepted before */
  duplicate: boolean;
}
