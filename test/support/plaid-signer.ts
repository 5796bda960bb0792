/**
 * Plaid as far as verification goes: keys that sign webhooks as Plaid does, and the endpoint that vouches for them, with
 * every fault a test wants. Written apart from the simulator, so that neither can hide the other's mistake.
 */
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  randomUUID,
  sign,
  type KeyObject,
} from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

export interface SigningKey {
  kid: string;
  privateKey: KeyObject;
  /** as /webhook_verification_key/get shows it */
  jwk: Record<string, unknown>;
}

/**
 * A new key pair. It is generated as bytes and read again: Node 20 can lock up when a key that it has just generated is
 * exported as JWK while the garbage collector runs (both want the key's lock).
 */
export function newSigningKey(kid: string = randomUUID(), namedCurve = "P-256"): SigningKey {
  const pair = generateKeyPairSync("ec", {
    namedCurve,
    publicKeyEncoding: { type: "spki", format: "der" },
    privateKeyEncoding: { type: "pkcs8", format: "der" },
  });
  const publicKey = createPublicKey({ key: pair.publicKey, type: "spki", format: "der" });
  const privateKey = createPrivateKey({ key: pair.privateKey, type: "pkcs8", format: "der" });
  const created_at = Math.floor(Date.now() / 1000);
  const jwk = { ...publicKey.export({ format: "jwk" }), alg: "ES256", kid, use: "sig", created_at, expired_at: null };
  return { kid, privateKey, jwk };
}

export const sha256 = (data: string | Buffer): string => createHash("sha256").update(data).digest("hex");
export const segment = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");

/** As Plaid writes a webhook: JSON with two spaces, keys in order. */
export function webhookBody(fields: Record<string, unknown> = {}): Buffer {
  const body = {
    environment: "sandbox",
    item_id: "item-1",
    webhook_code: "SYNC_UPDATES_AVAILABLE",
    webhook_type: "TRANSACTIONS",
    ...fields,
  };
  return Buffer.from(JSON.stringify(body, Object.keys(body).toSorted(), 2));
}

export interface JwtParts {
  header?: Record<string, unknown>;
  claims?: Record<string, unknown>;
}

/** A Plaid-Verification token for `body`; `parts` overrides header fields and claims, undefined ones are left out. */
export function signJwt(key: SigningKey, body: Buffer, { header, claims }: JwtParts = {}): string {
  const head = segment({ alg: "ES256", kid: key.kid, typ: "JWT", ...header });
  const content = { iat: Math.floor(Date.now() / 1000), request_body_sha256: sha256(body), ...claims };
  const signed = `${head}.${segment(content)}`;
  const signature = sign("sha256", Buffer.from(signed), { key: key.privateKey, dsaEncoding: "ieee-p1363" });
  return `${signed}.${signature.toString("base64url")}`;
}

export interface KeyServer extends AsyncDisposable {
  url: string;
  /** what it vouches for, by kid */
  keys: Map<string, Record<string, unknown>>;
  /** the kids it was asked for */
  asked: string[];
  /** answers in place of the right one: a status with a body, or `hang` */
  fault: { status: number; body: string } | "hang" | null;
}

export async function startKeyServer(...keys: SigningKey[]): Promise<KeyServer> {
  const state: Pick<KeyServer, "keys" | "asked" | "fault"> = {
    keys: new Map(keys.map(({ kid, jwk }) => [kid, jwk])),
    asked: [],
    fault: null,
  };
  const server = createServer((request, response) => {
    let text = "";
    request.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
    request.on("end", () => {
      const { key_id = "" } = JSON.parse(text || "{}") as { key_id?: string };
      state.asked.push(key_id);
      if (state.fault === "hang") return;
      const { status, body } = state.fault ?? answerFor(state.keys.get(key_id));
      response.writeHead(status, { "content-type": "application/json" }).end(body);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return Object.assign(state, {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  });
}

function answerFor(jwk: Record<string, unknown> | undefined): { status: number; body: string } {
  if (jwk !== undefined) return { status: 200, body: JSON.stringify({ key: jwk, request_id: "r1" }) };
  return plaidFault(400, "INVALID_INPUT", "INVALID_WEBHOOK_VERIFICATION_KEY_ID");
}

/** An error as Plaid words it. */
export function plaidFault(status: number, error_type: string, error_code: string): { status: number; body: string } {
  const error = { error_type, error_code, error_message: "a message", display_message: null, request_id: "r1" };
  return { status, body: JSON.stringify(error) };
}
