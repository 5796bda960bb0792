/**
 * Reads a `Plaid-Verification` token: a JWT in compact form, signed with ES256. It reads the token by hand, since it runs
 * for every webhook before anything is proven. It is strict, since one token must have one spelling: it refuses base64 with
 * stray bits or padding, or an accepted webhook could be sent again under another spelling.
 *
 * Facts from Plaid's page on webhook verification: header `{"alg":"ES256","kid":…,"typ":"JWT"}`, claims
 * `{"iat":<seconds>,"request_body_sha256":<hex>}`. The signature covers the claims, only the hash binds the body.
 */
import { hash } from "node:crypto";

const MAX_TOKEN_LENGTH = 4096;
const TOKEN = /^([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]{86})$/;
const KEY_ID = /^[A-Za-z0-9_-]{1,128}$/;
const SHA256_HEX = /^[0-9a-f]{64}$/i;
/** Of the signature's 86 characters, the first 42 hold only r. */
const R_LENGTH = 42;

/** What a token says. What only a proof needs is made when it is asked for, since most tokens of a flood are refused by their kid. */
export class Token {
  readonly keyId: string;
  readonly issuedAt: Date;
  readonly bodySha256: Buffer;
  /** r and s, 32 bytes each */
  readonly signature: Buffer;
  readonly #jwt: string;
  readonly #signedLength: number;
  readonly #receiver: string;

  constructor(jwt: string, { keyId, issuedAt, bodySha256, signature, signedLength, receiver }: TokenParts) {
    this.keyId = keyId;
    this.issuedAt = issuedAt;
    this.bodySha256 = bodySha256;
    this.signature = signature;
    this.#jwt = jwt;
    this.#signedLength = signedLength;
    this.#receiver = receiver;
  }

  /** the bytes that the signature covers */
  get signed(): Buffer {
    return Buffer.from(this.#jwt.slice(0, this.#signedLength), "latin1");
  }

  /**
   * The token's identity: SHA-256 over everything except s. If (r, s) is a valid ECDSA signature, so is (r, -s), which
   * anyone can compute; without s both are the same token. r is random for each signature.
   */
  get sha256(): Buffer {
    return hash("sha256", this.#receiver + this.#jwt.slice(0, this.#signedLength + 1 + R_LENGTH), "buffer");
  }
}

interface TokenParts {
  keyId: string;
  issuedAt: Date;
  bodySha256: Buffer;
  signature: Buffer;
  /** of header and claims, with the dot between them */
  signedLength: number;
  receiver: string;
}

export interface TokenFault {
  reason: "token_malformed" | "algorithm_refused" | "key_id_malformed";
  detail: string;
}

/** Header segment → its content. All webhooks of a key share it. */
const headers = new Map<string, string | TokenFault>();
const HEADERS_KEPT = 64;

/** Reads a token without proving anything. `receiver` is mixed into its identity. */
export function readToken(jwt: string, receiver = ""): Token | TokenFault {
  const parts = jwt.length <= MAX_TOKEN_LENGTH ? TOKEN.exec(jwt) : null;
  const [, header, payload, tail] = parts ?? [];
  if (header === undefined || payload === undefined || tail === undefined)
    return malformed("it is not a JWT of three base64url parts with a 64-byte signature");
  const keyId = headerKeyId(header);
  if (typeof keyId !== "string") return keyId;
  const signature = canonical(tail);
  const claims = canonical(payload);
  if (signature === null || claims === null) return malformed("it is not in canonical base64url");
  const read = readClaims(claims);
  if ("reason" in read) return read;
  const signedLength = header.length + 1 + payload.length;
  return new Token(jwt, { keyId, signature, ...read, signedLength, receiver });
}

function headerKeyId(segment: string): string | TokenFault {
  const known = headers.get(segment);
  if (known !== undefined) return known;
  const read = readHeader(segment);
  if (headers.size >= HEADERS_KEPT) headers.clear();
  headers.set(segment, read);
  return read;
}

function readHeader(segment: string): string | TokenFault {
  const bytes = canonical(segment);
  const header = bytes === null ? null : jsonObject(bytes);
  if (header === null) return malformed("its header is not JSON");
  if (header["alg"] !== "ES256") return { reason: "algorithm_refused", detail: "its alg is not ES256" };
  if ("crit" in header) return malformed("its header asks for extensions");
  const kid = header["kid"];
  if (typeof kid !== "string" || !KEY_ID.test(kid))
    return { reason: "key_id_malformed", detail: "its kid is missing or not an identifier" };
  return kid;
}

function readClaims(bytes: Buffer): Pick<Token, "issuedAt" | "bodySha256"> | TokenFault {
  const claims = jsonObject(bytes);
  if (claims === null) return malformed("its claims are not JSON");
  const { iat, request_body_sha256: sha256 } = claims;
  // Dates beyond the year 9999 cannot be compared.
  if (typeof iat !== "number" || !Number.isInteger(iat) || iat < 0 || iat > 253_402_300_799)
    return malformed("its iat is not a time in seconds");
  if (typeof sha256 !== "string" || !SHA256_HEX.test(sha256))
    return malformed("its request_body_sha256 is not a SHA-256 in hexadecimal");
  return { issuedAt: new Date(iat * 1000), bodySha256: Buffer.from(sha256, "hex") };
}

/**
 * Last characters that leave no stray bits, by the number of characters in the last group: a group of one is invalid, in
 * a group of two the last 4 bits are stray, in a group of three the last 2.
 */
const CLEAN_END = [/[A-Za-z0-9_-]$/, /$^/, /[AQgw]$/, /[AEIMQUYcgkosw048]$/] as const;

/** The bytes of base64url text (its alphabet was checked), or null if another text has the same bytes. */
function canonical(text: string): Buffer | null {
  return CLEAN_END[text.length & 3]?.test(text) ? Buffer.from(text, "base64url") : null;
}

function jsonObject(bytes: Buffer): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(bytes.toString("utf8"));
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}

const malformed = (detail: string): TokenFault => ({ reason: "token_malformed", detail });
