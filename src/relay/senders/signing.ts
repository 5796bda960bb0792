/**
 * Signs requests as Standard Webhooks specifies: the signature covers `id.timestamp.` and the exact bytes of the body.
 * `v1` is HMAC-SHA256 with a shared secret (whsec_…), `v1a` is Ed25519 (whsk_… signs, whpk_… verifies). During a rotation
 * several keys sign, and the receiver accepts any signature that it can verify.
 */
import {
  createHmac,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  randomBytes,
  sign,
  type KeyObject,
} from "node:crypto";
import { TartanError } from "../../errors.ts";

export const SIGNING_SCHEMES = ["v1", "v1a"] as const;
export type SigningScheme = (typeof SIGNING_SCHEMES)[number];

/** A key that was parsed once and signs many times. */
export interface Signer {
  readonly scheme: SigningScheme;
  /** whpk_…, of v1a */
  readonly publicKey: string | null;
  /** The signature in base64. */
  sign(prefix: string, body: Buffer): string;
}

/** As Standard Webhooks specifies: fewer bytes can be guessed, more do not fit the hash's block. */
const SECRET_BYTES = { least: 24, most: 64, ours: 32 } as const;
const KEY_BYTES = 32;

/** What stands before the 32 bytes of an Ed25519 key in its DER forms (RFC 8410). */
const PKCS8 = Buffer.from("302e020100300506032b657004220420", "hex");
const SPKI_LENGTH = 12;

/** A new secret for a destination, with its public key where the scheme has one. */
export function newSecret(scheme: SigningScheme): { secret: string; publicKey: string | null } {
  if (scheme === "v1") return { secret: `whsec_${randomBytes(SECRET_BYTES.ours).toString("base64")}`, publicKey: null };
  // Generated as bytes: Node 20 can hang when it exports a key that it has just generated.
  const pair = generateKeyPairSync("ed25519", {
    publicKeyEncoding: { type: "spki", format: "der" },
    privateKeyEncoding: { type: "pkcs8", format: "der" },
  });
  const seed = pair.privateKey.subarray(PKCS8.length);
  const key = pair.publicKey.subarray(SPKI_LENGTH);
  return {
    secret: `whsk_${Buffer.concat([seed, key]).toString("base64")}`,
    publicKey: `whpk_${key.toString("base64")}`,
  };
}

/**
 * Parses a secret: whsec_ and 24 to 64 bytes, or whsk_ and an Ed25519 key, as its seed or as seed and public key.
 * @throws TartanError `invalid_request`, which never shows the secret
 */
export function openSigner(scheme: SigningScheme, secret: string): Signer {
  return scheme === "v1" ? hmacSigner(secret) : ed25519Signer(secret);
}

function hmacSigner(secret: string): Signer {
  const key = decode(secret, "whsec_");
  if (key === null || key.length < SECRET_BYTES.least || key.length > SECRET_BYTES.most)
    throw malformed(
      `a v1 secret is whsec_ and the base64 of ${SECRET_BYTES.least} to ${SECRET_BYTES.most} random bytes`,
    );
  return {
    scheme: "v1",
    publicKey: null,
    sign: (prefix, body) => createHmac("sha256", key).update(prefix).update(body).digest("base64"),
  };
}

function ed25519Signer(secret: string): Signer {
  const bytes = decode(secret, "whsk_");
  if (bytes === null || (bytes.length !== KEY_BYTES && bytes.length !== 2 * KEY_BYTES))
    throw malformed(
      "a v1a secret is whsk_ and the base64 of an Ed25519 key: its seed of 32 bytes, or seed and public key",
    );
  const privateKey = createPrivateKey({
    key: Buffer.concat([PKCS8, bytes.subarray(0, KEY_BYTES)]),
    type: "pkcs8",
    format: "der",
  });
  const publicKey = publicBytes(privateKey);
  if (bytes.length > KEY_BYTES && !bytes.subarray(KEY_BYTES).equals(publicKey))
    throw malformed("the two halves of this v1a secret do not belong together");
  return {
    scheme: "v1a",
    publicKey: `whpk_${publicKey.toString("base64")}`,
    sign: (prefix, body) => sign(null, Buffer.concat([Buffer.from(prefix), body]), privateKey).toString("base64"),
  };
}

const publicBytes = (key: KeyObject): Buffer =>
  createPublicKey(key).export({ type: "spki", format: "der" }).subarray(SPKI_LENGTH);

/** The bytes after a prefix, or null where they are not canonical base64. */
function decode(secret: string, prefix: string): Buffer | null {
  if (!secret.startsWith(prefix)) return null;
  const text = secret.slice(prefix.length);
  const bytes = Buffer.from(text, "base64");
  return bytes.toString("base64") === text ? bytes : null;
}

const malformed = (error: string): TartanError =>
  new TartanError("invalid_request", `The signing secret is malformed: ${error}.`, { fields: { secret: error } });

/**
 * The value of `webhook-signature`: one signature of each key, in the given order.
 * @param id must not contain a full stop, since one signed text could otherwise be read as another
 * @param timestampS seconds since 1970
 */
export function signatures(signers: readonly Signer[], id: string, timestampS: number, body: Buffer): string {
  if (id.includes(".")) throw new TartanError("internal", "an id that is signed has no full stop");
  const prefix = `${id}.${timestampS}.`;
  return signers.map((signer) => `${signer.scheme},${signer.sign(prefix, body)}`).join(" ");
}
