/**
 * Genuine webhooks, signed as Plaid signs them, as ready-made HTTP requests; and the key endpoint that proves them.
 */
import { createHash, generateKeyPairSync, randomBytes, randomUUID, sign, verify, type KeyObject } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { execFileSync } from "node:child_process";

export interface Signer extends AsyncDisposable {
  /** stands in for Plaid's API: answers /webhook_verification_key/get and nothing else */
  url: string;
  kid: string;
  jwk: Record<string, unknown>;
  /** `count` requests to `path`, each for an item of its own unless items are given */
  requests(path: string, count: number, itemIds?: readonly string[]): Buffer[];
}

export async function startSigner(): Promise<Signer> {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const kid = randomUUID();
  const jwk = {
    ...publicKey.export({ format: "jwk" }),
    alg: "ES256",
    kid,
    use: "sig",
    created_at: 1,
    expired_at: null,
  };
  const server = createServer((request, response) => {
    request.resume().on("end", () => {
      response.setHeader("content-type", "application/json");
      response.end(JSON.stringify({ key: jwk, request_id: "bench" }));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const header = encode({ alg: "ES256", kid, typ: "JWT" });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    kid,
    jwk,
    requests: (path, count, itemIds) =>
      Array.from({ length: count }, (_, index) =>
        request(path, header, privateKey, itemIds?.[index % itemIds.length] ?? randomBytes(18).toString("base64url")),
      ),
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");

function request(path: string, header: string, key: KeyObject, itemId: string): Buffer {
  const body = JSON.stringify(
    {
      environment: "sandbox",
      historical_update_complete: true,
      initial_update_complete: true,
      item_id: itemId,
      webhook_code: "SYNC_UPDATES_AVAILABLE",
      webhook_type: "TRANSACTIONS",
    },
    null,
    2,
  );
  const claims = {
    iat: Math.floor(Date.now() / 1000),
    request_body_sha256: createHash("sha256").update(body).digest("hex"),
  };
  const signed = `${header}.${encode(claims)}`;
  const signature = sign("sha256", Buffer.from(signed), { key, dsaEncoding: "ieee-p1363" }).toString("base64url");
  return Buffer.from(
    `POST ${path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n` +
      `Plaid-Verification: ${signed}.${signature}\r\n\r\n${body}`,
  );
}

/**
 * The limit that accepting is held against: ES256 verifications a second on one core. OpenSSL's own figure where the
 * command is there (it is the higher one), Node's else.
 */
export function es256PerSecond(): { perSecond: number; by: string } {
  try {
    const table = execFileSync("openssl", ["speed", "-seconds", "3", "ecdsap256"], {
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
  while (performance.now() - began < 3000) {
    for (let index = 0; index < 200; index++)
      verify("sha256", data, { key: publicKey, dsaEncoding: "ieee-p1363" }, signature);
    count += 200;
  }
  return count / ((performance.now() - began) / 1000);
}
