/**
 * Proves that a webhook is Plaid's: its token is signed by a key that Plaid vouches for, was issued around the time of receipt,
 * and names the hash of exactly these bytes. Usable on its own: it needs the raw body, the `Plaid-Verification` header
 * and somewhere to find keys (see keys.ts).
 *
 * The order: shape of the token, algorithm, key, signature, age, body. Age is held against the time of receipt, so a webhook
 * that waited in a queue of yours is not refused for it.
 */
import { hash, timingSafeEqual, type KeyObject } from "node:crypto";
import { checkSignature, type SignatureCheck } from "./signatures.ts";
import { readToken, type Token, type TokenFault } from "./token.ts";

/** Plaid's own rule. */
const MAX_AGE_MS = 5 * 60_000;
/** Clocks differ; Plaid's has been seen some seconds ahead of receivers'. */
const MAX_AHEAD_MS = 60_000;

/** For which Plaid client a key is looked up; keys belong to a Plaid environment, which `plaidUrl` stands for. */
export interface KeyScope {
  /** of the integration, whose budget of fetches is its own; by default one a client */
  id?: string;
  plaidUrl: string;
  clientId: string;
  secret: string;
}

export interface KeyRefusal {
  reason: "key_unknown" | "key_expired" | "key_unavailable";
  detail: string;
}

/** Where verification keys come from. */
export interface KeySource {
  /** @param from the address that sent the webhook, where it is known */
  find(
    scope: KeyScope,
    keyId: string,
    at: Date,
    from?: string | null,
  ): KeyObject | KeyRefusal | Promise<KeyObject | KeyRefusal>;
  /** A genuine webhook came from this address. */
  proven?(from: string): void;
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
  /** the token's identity: the same again is the same webhook */
  tokenSha256: Buffer;
  keyId: string;
  /** `iat` */
  signedAt: Date;
}

export interface Refused {
  ok: false;
  reason: RefusalReason;
  /** one sentence's end, such as "its alg is not ES256"; no payload */
  detail: string;
  /** set when all is genuine, only too old or dated ahead: whose webhook it is can be trusted, that it is news cannot */
  stale?: Omit<Proven, "ok">;
  /** Plaid could not be asked for the key: the same request may succeed later */
  keyUnavailable?: true;
}

export interface Verification {
  /** the `Plaid-Verification` header */
  jwt: string;
  /** the body's raw bytes: parsed and serialised again it has another hash */
  body: Buffer;
  receivedAt: Date;
  keys: KeySource;
  integration: KeyScope;
  /**
   * Who receives it. A token names no receiver, so where several share a memory of tokens, each makes its own identity of it;
   * else whoever posts a token to another's URL first would make the rightful one's a repetition.
   */
  receiver?: string;
  /** the address that sent it; those that sent genuine webhooks go first when keys are asked for */
  from?: string;
  /** by default Node's thread pool */
  check?: SignatureCheck;
}

/** Verifies one webhook. Never throws: whatever is wrong is a refusal with a stable reason. */
export async function verifyWebhook(given: Verification): Promise<Proven | Refused> {
  const { jwt, body, receivedAt, keys, integration, receiver = "", from, check = checkSignature } = given;
  const token = readToken(jwt, receiver);
  if ("reason" in token) return { ok: false, ...token };
  const found = keys.find(integration, token.keyId, receivedAt, from ?? null);
  const key = found instanceof Promise ? await found : found;
  if ("reason" in key)
    return { ok: false, ...key, ...(key.reason === "key_unavailable" ? { keyUnavailable: true as const } : undefined) };
  if (!(await check(token.signed, token.signature, key)))
    return { ok: false, reason: "signature_invalid", detail: "its signature does not hold under the key it names" };
  const result = judgeClaims(token, body, receivedAt);
  if (result.ok && from !== undefined) keys.proven?.(from);
  return result;
}

/** Age and body of a token whose signature holds. */
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
