/**
 * The keys that sign webhooks: ES256, named by a kid, one current and any number retired. The seed decides them, so a world
 * always has the same keys (the signatures still differ: ECDSA uses a random number for each).
 */
import { createECDH, createPrivateKey, sign, type KeyObject } from "node:crypto";
import type { Random } from "../random.ts";

export interface WebhookKey {
  kid: string;
  privateKey: KeyObject;
  x: string;
  y: string;
  /** Unix seconds */
  createdAt: number;
  /** Unix seconds; null while it may sign */
  expiredAt: number | null;
}

export class WebhookKeys {
  #random: Random;
  #keys = new Map<string, WebhookKey>();
  #current: WebhookKey;

  constructor(random: Random, nowMs: number) {
    this.#random = random;
    this.#current = this.#create(nowMs);
  }

  get current(): WebhookKey {
    return this.#current;
  }

  find(kid: string): WebhookKey | undefined {
    return this.#keys.get(kid);
  }

  all(): WebhookKey[] {
    return [...this.#keys.values()];
  }

  /** A new current key. The old one expires now, or stays unexpired when `expireOld` is false (an overlap). */
  rotate(nowMs: number, expireOld = true): { current: WebhookKey; old: WebhookKey } {
    const old = this.#current;
    if (expireOld) old.expiredAt = Math.floor(nowMs / 1000);
    this.#current = this.#create(nowMs);
    return { current: this.#current, old };
  }

  /** A key that Plaid does not know, for forgeries. */
  foreign(nowMs: number): WebhookKey {
    return makeKey(this.#random, nowMs);
  }

  #create(nowMs: number): WebhookKey {
    const key = makeKey(this.#random, nowMs);
    this.#keys.set(key.kid, key);
    return key;
  }
}

function makeKey(random: Random, nowMs: number): WebhookKey {
  const secret = random.bytes(32);
  secret[0] = ((secret[0] as number) & 0x7f) | 0x40; // between 1 and the order of P-256 in every case
  const curve = createECDH("prime256v1");
  curve.setPrivateKey(secret);
  const point = curve.getPublicKey();
  const x = point.subarray(1, 33).toString("base64url");
  const y = point.subarray(33).toString("base64url");
  const jwk = { kty: "EC", crv: "P-256", d: secret.toString("base64url"), x, y };
  return {
    kid: random.uuid(),
    privateKey: createPrivateKey({ key: jwk, format: "jwk" }),
    x,
    y,
    createdAt: Math.floor(nowMs / 1000),
    expiredAt: null,
  };
}

/** The `key` of /webhook_verification_key/get */
export const publicJwk = (key: WebhookKey): Record<string, unknown> => ({
  alg: "ES256",
  created_at: key.createdAt,
  crv: "P-256",
  expired_at: key.expiredAt,
  kid: key.kid,
  kty: "EC",
  use: "sig",
  x: key.x,
  y: key.y,
});

/** 64 bytes, r and s, as JWS wants them */
export const es256 = (key: WebhookKey, text: string): Buffer =>
  sign("sha256", Buffer.from(text), { key: key.privateKey, dsaEncoding: "ieee-p1363" });
