/**
 * Proves that a webhook is Plaid's: a key of Plaid's signed its token, the token was issued around the time of receipt,
 * and it names the hash of exactly these bytes. You can use this file on its own: it needs the raw body, the `Plaid-Verification`
 * header and a source of keys (see keys.ts).
 *
 * The order is: form of the token, algorithm, key, signature, age, body. The age counts up to the time of receipt, so a webhook
 * that waited in a queue is not refused for it.
 */
import { hash, timingSafeEqual, type KeyObject } from "node:crypto";
import { checkSignature, type SignatureCheck } from "./signatures.ts";
import { readToken, Token, type TokenFault } from "./token.ts";

/** Plaid's own rule. */
const MAX_AGE_MS = 5 * 60_000;
/** Clocks differ; Plaid's was observed some seconds ahead of receivers'. */
const MAX_AHEAD_MS = 60_000;

/** The Plaid client for which a key is looked up. Keys belong to a Plaid environment, which `plaidUrl` identifies. */
export interface KeyScope {
  /** the integration, which has a budget of its own; by default one for each client */
  id?: string;
  plaidUrl: string;
  clientId: string;
  secret: string;
}

export interface KeyRefusal {
  reason: "key_unknown" | "key_expired" | "key_unavailable";
  detail: string;
  /**
   * Set where the key could not be fetched although it was within the budget: its webhook may wait unproven until the key can be had.
   * Never set for a kid beyond the budget, which is most likely made up.
   */
  mayWait?: "endpoint" | "key";
}

/** A key, for webhooks that were received at different times. */
export interface FoundKey {
  key: KeyObject;
  /** ms; a webhook that was received from then on is not proven by it */
  expiresAt: number;
}

/**
 * The port that finds verification keys. Every engine promises:
 * - Lookups of one key at the same time are one request to Plaid; a key in use is fetched again each hour.
 * - A rotation needs no restart. A key that has expired or that Plaid withdrew is refused.
 * - Made-up kids cause a bounded number of requests for each integration, and none of them keeps a known key from being found.
 * - When Plaid does not answer, a key is unavailable, never unknown. While the store is away, keys are kept in memory.
 * - After a fetch that failed nobody asks until its back-off is over, and no webhook waits for an answer meanwhile.
 */
export interface KeySource {
  /**
   * The key, or why it proves nothing. Never throws.
   * @param from the sender's address, where it is known
   */
  find(
    scope: KeyScope,
    keyId: string,
    at: Date,
    from?: string | null,
  ): KeyObject | KeyRefusal | Promise<KeyObject | KeyRefusal>;
  /** Records that a genuine webhook came from this address. */
  proven?(from: string): void;
  /** Whether genuine webhooks came from this address recently, or it is one of Plaid's. */
  isVouched?(from: string): boolean;
  /** The same as `find` for webhooks that wait unproven, which have a share of the budget of their own. Never throws. */
  findWaiting(scope: KeyScope, keyId: string): Promise<FoundKey | KeyRefusal>;
  /** Calls `listener` whenever Plaid answers again after requests for keys had failed. */
  onRecovered?(listener: () => void): void;
}

export type RefusalReason =
  | TokenFault["reason"]
  | KeyRefusal["reason"]
  | "signature_invalid"
  | "issued_too_old"
  | "issued_in_future"
  | "body_mismatch";

export interface Proven {
  ok: true;
  /** the token's identity: the same identity is the same webhook */
  tokenSha256: Buffer;
  keyId: string;
  /** `iat` */
  signedAt: Date;
}

export interface Refused {
  ok: false;
  reason: RefusalReason;
  /** the end of a sentence, such as "its alg is not ES256"; no payload */
  detail: string;
  /** set when the webhook is genuine but too old or dated ahead: its subject can be trusted, its time cannot */
  stale?: Omit<Proven, "ok">;
  /** Plaid did not answer with the key: the same request may succeed later */
  keyUnavailable?: true;
  /** set when all holds that can be checked without the key, and the key may come: the webhook may wait unproven */
  unproven?: UnprovenClaims;
}

/** What an unproven token claims to be. */
export interface UnprovenClaims {
  jwt: string;
  tokenSha256: Buffer;
  keyId: string;
  /** `iat` */
  claimedAt: Date;
}

export interface Verification {
  /** the `Plaid-Verification` header */
  jwt: string;
  /** the raw body: parsed and serialised again it has another hash */
  body: Buffer;
  receivedAt: Date;
  keys: KeySource;
  integration: KeyScope;
  /**
   * The receiver's name, which becomes part of the token's identity. A token names no receiver. Where several receivers share a
   * memory of tokens, anyone could otherwise post a token to another receiver's URL first and make the genuine webhook a duplicate.
   */
  receiver?: string;
  /** the sender's address; addresses that sent genuine webhooks have a share of the key budget */
  from?: string;
  /** by default Node's thread pool */
  check?: SignatureCheck;
}

/** Verifies one webhook. Never throws: every failure is a refusal with a stable reason. */
export async function verifyWebhook(given: Verification): Promise<Proven | Refused> {
  const { jwt, body, receivedAt, keys, integration, receiver = "", from, check = checkSignature } = given;
  const token = readToken(jwt, receiver);
  if (!(token instanceof Token)) return { ok: false, ...token };
  const found = keys.find(integration, token.keyId, receivedAt, from ?? null);
  const key = found instanceof Promise ? await found : found;
  if ("reason" in key) return key.mayWait === undefined ? keyRefused(key) : withoutKey(given, token, key);
  if (!(await check(token.signed, token.signature, key)))
    return { ok: false, reason: "signature_invalid", detail: "its signature does not match the key that it names" };
  const result = judgeClaims(token, body, receivedAt);
  if (result.ok && from !== undefined) keys.proven?.(from);
  return result;
}

/**
 * A webhook that may not wait is most likely forged, so its body, which may have a MiB, is not hashed. Each refusal of a key is one
 * object: a flood makes no more.
 */
function keyRefused(key: KeyRefusal): Refused {
  let known = keyRefusals.get(key);
  if (known === undefined) {
    const { reason, detail } = key;
    known = { ok: false, reason, detail, ...(reason === "key_unavailable" && { keyUnavailable: true }) };
    keyRefusals.set(key, known);
  }
  return known;
}

const keyRefusals = new WeakMap<KeyRefusal, Refused>();

/** A body that is not the one that the token names is refused without the key: no key can prove it. */
function withoutKey({ jwt, body, receivedAt }: Verification, token: Token, { reason, detail }: KeyRefusal): Refused {
  const result = judgeClaims(token, body, receivedAt);
  if (!result.ok && result.reason === "body_mismatch") return result;
  const { sha256: tokenSha256, keyId, issuedAt: claimedAt } = token;
  const unproven = { jwt, tokenSha256, keyId, claimedAt };
  return { ok: false, reason, detail, keyUnavailable: true, ...(result.ok && { unproven }) };
}

/** Checks age and body of a token whose signature is valid, or cannot be checked. */
function judgeClaims(token: Token, body: Buffer, receivedAt: Date): Proven | Refused {
  const facts = { tokenSha256: token.sha256, keyId: token.keyId, signedAt: token.issuedAt };
  const ageMs = receivedAt.getTime() - token.issuedAt.getTime();
  const bodyHolds = timingSafeEqual(token.bodySha256, hash("sha256", body, "buffer"));
  const untimely = untimeliness(ageMs);
  if (untimely !== null) return { ok: false, ...untimely, ...(bodyHolds && { stale: facts }) };
  if (!bodyHolds)
    return { ok: false, reason: "body_mismatch", detail: "the body's SHA-256 is not the one that was signed" };
  return { ok: true, ...facts };
}

/** Why a token of this age is refused, or null. */
function untimeliness(ageMs: number): Pick<Refused, "reason" | "detail"> | null {
  if (ageMs < -MAX_AHEAD_MS)
    return { reason: "issued_in_future", detail: `it was issued ${seconds(-ageMs)} s after it was received` };
  if (ageMs > MAX_AGE_MS)
    return { reason: "issued_too_old", detail: `it was issued ${seconds(ageMs)} s before it was received` };
  return null;
}

const seconds = (ms: number): number => Math.round(ms / 1000);
