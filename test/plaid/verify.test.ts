import { createHmac, sign } from "node:crypto";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { verifyWebhook } from "../../src/plaid/verify.ts";
import {
  newSigningKey,
  plaidFault,
  segment,
  sha256,
  signJwt,
  startKeyServer,
  webhookBody,
} from "../support/plaid-signer.ts";
import { openVerifier } from "./support.ts";

const key = newSigningKey();
const body = webhookBody();

async function startVerifier() {
  const server = await startKeyServer(key);
  return { server, ...openVerifier(server.url), [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}

const seconds = (from: number): number => Math.floor(Date.now() / 1000) + from;

describe("a genuine webhook", () => {
  test("a genuine webhook is proven, with its key and its time", async () => {
    await using s = await startVerifier();
    const iat = seconds(-3);
    expect(await s.verify(signJwt(key, body, { claims: { iat } }), body)).toEqual({
      ok: true,
      keyId: key.kid,
      signedAt: new Date(iat * 1000),
      tokenSha256: expect.any(Buffer),
    });
  });

  test("a genuine webhook may be five minutes old at its receipt and one minute ahead of our clock, and no more", async () => {
    await using s = await startVerifier();
    const iat = seconds(0);
    const jwt = signJwt(key, body, { claims: { iat } });
    const at = (offset: number) => s.verify(jwt, body, new Date(iat * 1000 + offset));
    expect(await at(300_000)).toMatchObject({ ok: true });
    expect(await at(-60_000)).toMatchObject({ ok: true });
    expect(await at(300_001)).toMatchObject({ ok: false, reason: "issued_too_old", stale: { keyId: key.kid } });
    expect(await at(-60_001)).toMatchObject({ ok: false, reason: "issued_in_future", stale: { keyId: key.kid } });
  });

  test("a genuine webhook that is too old or dated ahead is genuine only while its body is the signed one", async () => {
    await using s = await startVerifier();
    for (const [offset, reason] of [
      [-1000, "issued_too_old"],
      [1000, "issued_in_future"],
    ] as const) {
      const jwt = signJwt(key, body, { claims: { iat: seconds(offset) } });
      expect(await s.verify(jwt, body)).toHaveProperty("stale");
      const result = await s.verify(jwt, webhookBody({ item_id: "other" }));
      expect(result).toMatchObject({ ok: false, reason });
      expect(result).not.toHaveProperty("stale");
    }
  });

  test("a genuine webhook has the same identity under the second signature that anyone can compute", async () => {
    await using s = await startVerifier();
    const jwt = signJwt(key, body);
    const [head, claims, tail] = jwt.split(".") as [string, string, string];
    const signature = Buffer.from(tail, "base64url");
    const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
    const mirrored = (order - BigInt(`0x${signature.toString("hex", 32)}`)).toString(16).padStart(64, "0");
    const other = Buffer.concat([signature.subarray(0, 32), Buffer.from(mirrored, "hex")]).toString("base64url");
    const [first, second] = [await s.verify(jwt, body), await s.verify(`${head}.${claims}.${other}`, body)];
    expect(second).toEqual(first);
    const fresh = await s.verify(signJwt(key, body), body);
    expect(fresh.ok && first.ok && fresh.tokenSha256.equals(first.tokenSha256)).toBe(false);
  });
});

test("a webhook whose key cannot be fetched is refused as one that may be sent again", async () => {
  await using s = await startVerifier();
  s.server.fault = plaidFault(500, "API_ERROR", "INTERNAL_SERVER_ERROR");
  expect(await s.verify(signJwt(key, body), body)).toMatchObject({ reason: "key_unavailable", keyUnavailable: true });
  s.server.fault = null;
  s.clock.advance(2_000);
  expect(await s.verify(signJwt(key, body), body)).toMatchObject({ ok: true });
});

test("a token has another identity for another receiver", async () => {
  await using s = await startVerifier();
  const jwt = signJwt(key, body);
  const at = async (receiver: string) => {
    const { keys, scope: integration } = s;
    const result = await verifyWebhook({ jwt, body, receivedAt: new Date(), keys, integration, receiver });
    return result.ok ? result.tokenSha256.toString("hex") : result.reason;
  };
  expect(await at("svi_1")).toBe(await at("svi_1"));
  expect(await at("svi_1")).not.toBe(await at("svi_2"));
});

describe("a body that is not the signed one", () => {
  test("a body that is not the signed one is refused: other whitespace, another order, another encoding, another webhook's, one bit, nothing", async () => {
    await using s = await startVerifier();
    const fields = JSON.parse(body.toString()) as Record<string, unknown>;
    const other = webhookBody({ item_id: "item-2" });
    const flipped = Buffer.from(body);
    flipped.writeUInt8(flipped.readUInt8(5) ^ 1, 5);
    const forged = [
      JSON.stringify(fields),
      JSON.stringify(fields, null, 4),
      `${body.toString()}\n`,
      JSON.stringify(Object.fromEntries(Object.entries(fields).toReversed()), null, 2),
      Buffer.from(body.toString(), "utf16le"),
      other,
      flipped,
      "",
    ].map((text) => Buffer.from(text as string));
    for (const one of forged)
      expect(await s.verify(signJwt(key, body), one)).toMatchObject({ ok: false, reason: "body_mismatch" });
    expect(await s.verify(signJwt(key, other), other)).toMatchObject({ ok: true });
  });
});

describe("a token that Plaid did not make", () => {
  const claims = () => ({ iat: seconds(0), request_body_sha256: sha256(body) });
  const signed = (header: object) => `${segment(header)}.${segment(claims())}`;

  test("a token that Plaid did not make is refused for its algorithm: none, HS256 with the public key, ES384, and other spellings", async () => {
    await using s = await startVerifier();
    const signature = "A".repeat(86);
    for (const alg of [
      "none",
      "None",
      "es256",
      "ES256K",
      "ES384",
      "ES512",
      "RS256",
      "PS256",
      "EdDSA",
      "",
      null,
      1,
      ["ES256"],
    ])
      expect(await s.verify(`${signed({ alg, kid: key.kid })}.${signature}`, body)).toMatchObject({
        reason: "algorithm_refused",
      });
    const unsigned = `${signed({ alg: "none", kid: key.kid })}.`;
    expect(await s.verify(unsigned, body)).toMatchObject({ reason: "token_malformed" });
    const mac = createHmac("sha512", JSON.stringify(key.jwk)).update("x").digest("base64url");
    expect(await s.verify(`${signed({ alg: "HS256", kid: key.kid })}.${mac}`, body)).toMatchObject({ ok: false });
    expect(s.server.asked).toEqual([]);
  });

  test("a token that Plaid did not make is refused when another key signed it, though it names Plaid's", async () => {
    await using s = await startVerifier();
    const thief = newSigningKey(key.kid);
    expect(await s.verify(signJwt(thief, body), body)).toMatchObject({ reason: "signature_invalid" });
    const other = newSigningKey(key.kid, "P-384");
    expect(await s.verify(signJwt(other, body), body)).toMatchObject({ ok: false });
  });

  test("a token that Plaid did not make is refused when its claims or header were changed after signing", async () => {
    await using s = await startVerifier();
    const [head, , tail] = signJwt(key, body).split(".");
    const claimed = segment({ ...claims(), extra: 1 });
    expect(await s.verify(`${head}.${claimed}.${tail}`, body)).toMatchObject({ reason: "signature_invalid" });
    const [, claimsPart, end] = signJwt(key, body).split(".");
    const renamed = segment({ alg: "ES256", typ: "JWT", kid: key.kid });
    expect(await s.verify(`${renamed}.${claimsPart}.${end}`, body)).toMatchObject({ reason: "signature_invalid" });
  });

  test("a token that Plaid did not make is refused for a kid that is missing, no text, absurd, or asks for more than a key", async () => {
    await using s = await startVerifier();
    for (const kid of [undefined, null, 1, "", "a b", "../../x", "k".repeat(129), "kid\0", { a: 1 }])
      expect(await s.verify(signJwt(key, body, { header: { kid } }), body)).toMatchObject({
        reason: "key_id_malformed",
      });
    expect(await s.verify(signJwt(key, body, { header: { crit: ["b64"], b64: false } }), body)).toMatchObject({
      reason: "token_malformed",
    });
    expect(s.server.asked).toEqual([]);
  });

  test("a token that Plaid did not make never has its key taken from its own header", async () => {
    await using s = await startVerifier();
    const own = newSigningKey();
    const jwt = signJwt(own, body, { header: { jwk: own.jwk, jku: "http://127.0.0.1:1/", x5c: [] } });
    expect(await s.verify(jwt, body)).toMatchObject({ reason: "key_unknown" });
  });

  test("a token that Plaid did not make is refused for claims that are missing, of another type or out of range", async () => {
    await using s = await startVerifier();
    const wrong = [
      { iat: undefined },
      { iat: String(seconds(0)) },
      { iat: -1 },
      { iat: seconds(0) + 0.5 },
      { iat: 1e300 },
      { iat: null },
      { request_body_sha256: undefined },
      { request_body_sha256: sha256(body).slice(1) },
      { request_body_sha256: `${sha256(body)}0` },
      { request_body_sha256: sha256(body).replace(/./, "g") },
      { request_body_sha256: [sha256(body)] },
    ];
    for (const one of wrong)
      expect(await s.verify(signJwt(key, body, { claims: one }), body)).toMatchObject({ reason: "token_malformed" });
  });

  test("a token has one spelling: stray bits, padding and standard base64 are refused", async () => {
    await using s = await startVerifier();
    const jwt = signJwt(key, body);
    const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const last = alphabet.indexOf(jwt.at(-1) ?? "");
    const stray = jwt.slice(0, -1) + alphabet[last ^ 1];
    for (const other of [
      stray,
      `${jwt}==`,
      `${jwt}.`,
      `.${jwt}`,
      ` ${jwt}`,
      `${jwt}\n`,
      `${jwt}, ${jwt}`,
      `Bearer ${jwt}`,
    ])
      expect(await s.verify(other, body)).toMatchObject({ reason: "token_malformed" });
  });

  test("a token that Plaid did not make is refused when it is longer than any real one", async () => {
    await using s = await startVerifier();
    const jwt = signJwt(key, body, { claims: { pad: "x".repeat(4000) } });
    expect(await s.verify(jwt, body)).toMatchObject({ reason: "token_malformed" });
  });

  test("any text as a token is refused and never throws", async () => {
    await using s = await startVerifier();
    const jwt = signJwt(key, body);
    const mutated = fc.tuple(fc.nat(jwt.length - 1), fc.nat(255)).map(([at, code]) => {
      const changed = String.fromCharCode(code);
      return jwt.slice(0, at) + changed + jwt.slice(at + 1);
    });
    const header = fc.oneof(
      fc.json(),
      fc.string(),
      fc.object().map((value) => JSON.stringify({ alg: "ES256", kid: key.kid, ...value })),
    );
    const built = fc
      .tuple(header, fc.json(), fc.uint8Array({ minLength: 64, maxLength: 64 }))
      .map(([head, claims, tail]) =>
        [Buffer.from(head), Buffer.from(claims), Buffer.from(tail)].map((b) => b.toString("base64url")).join("."),
      );
    const resigned = fc.json().map((claims) => {
      const text = `${segment({ alg: "ES256", kid: key.kid })}.${Buffer.from(claims).toString("base64url")}`;
      const signature = sign("sha256", Buffer.from(text), { key: key.privateKey, dsaEncoding: "ieee-p1363" });
      return `${text}.${signature.toString("base64url")}`;
    });
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(mutated, built, resigned, fc.string(), fc.string({ unit: "binary" })),
        async (token) => {
          fc.pre(token !== jwt);
          const result = await s.verify(token, body);
          expect(result.ok).toBe(false);
        },
      ),
      { numRuns: 1500 },
    );
  });
});
