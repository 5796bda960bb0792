/**
 * Genuine webhooks, signed as Plaid signs them, as ready-made HTTP requests; and the limit that proving them sets.
 */
import { execFileSync } from "node:child_process";
import { generateKeyPairSync, randomBytes, sign, verify } from "node:crypto";
import { newUuid } from "../src/model/ids.ts";
import type { NewWebhook } from "../src/model/webhook.ts";
import { newSigningKey, signJwt, startKeyServer, webhookBody } from "../test/support/plaid-signer.ts";

export interface Signer extends AsyncDisposable {
  /** stands in for Plaid's API: answers /webhook_verification_key/get and nothing else */
  url: string;
  jwk: Record<string, unknown>;
  /** `count` requests to `path`, each for an item of its own */
  requests(path: string, count: number): Buffer[];
}

export async function startSigner(): Promise<Signer> {
  const key = newSigningKey();
  const server = await startKeyServer(key);
  const request = (path: string): Buffer => {
    const body = webhookBody({ item_id: randomBytes(18).toString("base64url") });
    const head =
      `POST ${path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n` +
      `Content-Length: ${body.length}\r\nPlaid-Verification: ${signJwt(key, body)}\r\n\r\n`;
    return Buffer.concat([Buffer.from(head), body]);
  };
  return {
    url: server.url,
    jwk: key.jwk,
    requests: (path, count) => Array.from({ length: count }, () => request(path)),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

const SECONDS = 3;

/**
 * ES256 verifications a second on one core. OpenSSL's own figure where its command is there (the higher of the two),
 * else Node's.
 */
export function es256PerSecond(): { perSecond: number; by: string } {
  try {
    const table = execFileSync("openssl", ["speed", "-seconds", String(SECONDS), "ecdsap256"], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    });
    const perSecond = Number(/nistp256.*\s([\d.]+)\s*$/m.exec(table)?.[1]);
    if (perSecond > 0) return { perSecond, by: "openssl speed" };
  } catch {
    // no openssl command here
  }
  return { perSecond: nodeVerifications(), by: "crypto.verify" };
}

function nodeVerifications(): number {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const data = randomBytes(250);
  const signature = sign("sha256", data, { key: privateKey, dsaEncoding: "ieee-p1363" });
  const began = performance.now();
  let count = 0;
  while (performance.now() - began < SECONDS * 1000) {
    for (let index = 0; index < 200; index++) {
      verify("sha256", data, { key: publicKey, dsaEncoding: "ieee-p1363" }, signature);
    }
    count += 200;
  }
  return count / ((performance.now() - began) / 1000);
}

/** A webhook as the receiver hands it over: there are new transactions of the item. */
export function webhookAbout(integrationId: string, itemId: string): NewWebhook {
  const receivedAt = new Date();
  return {
    id: newUuid(receivedAt),
    integrationId,
    source: "PLAID",
    subject: { kind: "item", id: itemId },
    itemId,
    webhookType: "TRANSACTIONS",
    webhookCode: "SYNC_UPDATES_AVAILABLE",
    environment: "sandbox",
    receivedAt,
    body: webhookBody({ item_id: itemId }),
    // Shaped like a JWT of Plaid's, in length.
    proof: {
      jwt: randomBytes(300).toString("base64url"),
      tokenSha256: randomBytes(32),
      keyId: "bench",
      signedAt: receivedAt,
    },
  };
}
