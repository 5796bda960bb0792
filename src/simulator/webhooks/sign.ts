/**
 * Makes the `Plaid-Verification` header, a JWT over the SHA-256 of the body's bytes, and deliberately wrong ones.
 */
import { createHash, createHmac } from "node:crypto";
import { es256, type WebhookKey } from "./keys.ts";

export const TAMPERINGS = ["body", "whitespace", "signature", "claims", "alg_none", "alg_hs256", "alg_es384"] as const;
export type Tampering = (typeof TAMPERINGS)[number];

export interface Signed {
  /** what is sent, byte for byte */
  body: string;
  jwt: string;
}

export interface SignOptions {
  key: WebhookKey;
  /** Unix seconds */
  iat: number;
  /** header kid, when not the key's own */
  kid?: string | undefined;
  tamper?: Tampering | undefined;
}

const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");

export const bodyHash = (body: string): string => createHash("sha256").update(body).digest("hex");

/** A genuine token, or with `tamper` one with that flaw. */
export function signWebhook(body: string, { key, iat, kid = key.kid, tamper }: SignOptions): Signed {
  const claims = part({ iat, request_body_sha256: bodyHash(body) });
  const signed = `${part({ alg: algorithm(tamper), kid, typ: "JWT" })}.${claims}`;
  if (tamper === "alg_none") return { body, jwt: `${signed}.` };
  if (tamper === "alg_hs256") {
    const mac = createHmac("sha256", `${key.x}${key.y}`).update(signed).digest("base64url");
    return { body, jwt: `${signed}.${mac}` };
  }
  const signature = es256(key, signed);
  if (tamper === "signature") signature.writeUInt8(signature.readUInt8(40) ^ 1, 40);
  const jwt = `${signed}.${signature.toString("base64url")}`;
  if (tamper === "claims")
    return { body, jwt: jwt.replace(claims, part({ iat: iat + 1, request_body_sha256: bodyHash(body) })) };
  return { body: tamperedBody(body, tamper), jwt };
}

function algorithm(tamper: Tampering | undefined): string {
  if (tamper === "alg_none") return "none";
  if (tamper === "alg_hs256") return "HS256";
  return tamper === "alg_es384" ? "ES384" : "ES256";
}

function tamperedBody(body: string, tamper: Tampering | undefined): string {
  if (tamper === "body") return body.replace("{", '{"forged": true,');
  if (tamper === "whitespace") return `${body}\n`;
  return body;
}
