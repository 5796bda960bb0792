/** Plaid's answer about a verification key, and the key in it. */
import { createPublicKey, type JsonWebKey, type KeyObject } from "node:crypto";
import type { StoredKey } from "./key-table.ts";

export interface KnownKey {
  key: KeyObject;
  /** the stored fields of the JWK */
  jwk: JsonWebKey;
  expiresAt: number;
  checkedAt: number;
}

/** The answer of `/webhook_verification_key/get`, in which any field may be missing. */
export interface KeyAnswer {
  key?: JsonWebKey & { kid?: unknown; alg?: unknown; expired_at?: unknown };
}

/** A key as it is kept in memory; null where the stored one is no P-256 key. */
export function toKnown({ jwk, expired_at, fetched_at }: StoredKey): KnownKey | null {
  const imported = importKey(jwk);
  const expiresAt = expired_at?.getTime() ?? Number.POSITIVE_INFINITY;
  return imported && { ...imported, expiresAt, checkedAt: fetched_at.getTime() };
}

export const toStored = (kid: string, { jwk, expiresAt, checkedAt }: KnownKey): StoredKey => ({
  kid,
  jwk,
  expired_at: Number.isFinite(expiresAt) ? new Date(expiresAt) : null,
  fetched_at: new Date(checkedAt),
});

/** The key in Plaid's answer about `keyId`; null where it holds no usable P-256 key of this kid. */
export function readKey({ key: jwk }: KeyAnswer, keyId: string, now: number): KnownKey | null {
  if (jwk === undefined || jwk === null || jwk.kid !== keyId) return null;
  if (jwk.alg !== undefined && jwk.alg !== "ES256") return null;
  const imported = importKey(jwk);
  if (imported === null) return null;
  const expiresAt = typeof jwk.expired_at === "number" ? jwk.expired_at * 1000 : Number.POSITIVE_INFINITY;
  return { ...imported, expiresAt, checkedAt: now };
}

/** The key of a JWK; null where it is no P-256 key. */
function importKey({ kty, crv, x, y }: JsonWebKey): Pick<KnownKey, "key" | "jwk"> | null {
  if (kty !== "EC" || crv !== "P-256" || x === undefined || y === undefined) return null;
  const jwk = { kty, crv, x, y };
  try {
    return { key: createPublicKey({ key: jwk, format: "jwk" }), jwk };
  } catch {
    return null;
  }
}
