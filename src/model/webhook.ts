/** A webhook as it is stored: proven by Plaid's signature or your secret, and read. */

/** Who a webhook came from: Plaid itself, your backend by secret, a login event, or Tartan itself, which noticed a gap. */
export type Source = "PLAID" | "BACKEND" | "FROM_LISTENER" | "RECONCILER";

/** What a webhook is about and what sync works on, such as `{ kind: "item", id: "M5eVJqLnv3tbzdngLDp9FL5OlDNxlNhlE55op" }`. */
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

/** How Plaid proved a webhook: its `Plaid-Verification` header and what was read from it. */
export interface Proof extends TokenIdentity {
  /** the header as it came, so that it can be passed on */
  jwt: string;
  /** `kid` of the key that signed */
  keyId: string;
}

export interface NewWebhook {
  /** UUIDv7 from `newUuid` */
  id: string;
  integrationId: string;
  source: Source;
  /** null where Tartan does not know what the webhook is about */
  subject: Subject | null;
  itemId: string | null;
  /** your identifier of the user; absent or null, it is looked up from the item while the webhook is stored */
  userId?: string | null;
  webhookType: string | null;
  webhookCode: string | null;
  environment: string | null;
  receivedAt: Date;
  /** exactly what arrived, without an access token */
  body: Buffer;
  proof: Proof | null;
  /** resources that the sender asked for besides those the webhook touches; `["*"]` is all of them */
  requested?: readonly string[];
}

export interface Accepted {
  /** UUID under which the webhook is stored: of the first one, when this is a duplicate */
  id: string;
  /** the same JWT had been accepted before */
  duplicate: boolean;
}
