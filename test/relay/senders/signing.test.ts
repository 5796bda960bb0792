import { createPrivateKey, createPublicKey, randomBytes, verify } from "node:crypto";
import * as fc from "fast-check";
import { Webhook } from "standardwebhooks";
import { describe, expect, test } from "vitest";
import { newSecret, openSigner, signatures } from "../../../src/relay/senders/signing.ts";

const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString("base64");
const now = Math.floor(Date.now() / 1000);

/** A whpk_ read as a receiver reads it, by the DER form of RFC 8410. */
function publicKey(whpk: string) {
  const raw = Buffer.from(whpk.replace(/^whpk_/, ""), "base64");
  const der = Buffer.concat([Buffer.from("302a300506032b6570032100", "hex"), raw]);
  return createPublicKey({ key: der, format: "der", type: "spki" });
}

describe("v1", () => {
  test("v1 signs the specification's example to the specified signature", () => {
    // Of the standardwebhooks libraries' own tests.
    const signer = openSigner("v1", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    const body = Buffer.from('{"test": 2432232314}');
    expect(signatures([signer], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)).toBe(
      "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    );
  });

  test("v1 signs every body so that the official library verifies it", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), fc.uuid(), (text, id) => {
        const { secret } = newSecret("v1");
        const headers = {
          "webhook-id": `evt_${id}`,
          "webhook-timestamp": String(now),
          "webhook-signature": signatures([openSigner("v1", secret)], `evt_${id}`, now, Buffer.from(text)),
        };
        new Webhook(secret).verify(text, headers, { jsonParse: false });
        expect(() => new Webhook(secret).verify(`${text} `, headers, { jsonParse: false })).toThrow(/No matching/);
      }),
    );
  });

  test("v1 signs bytes that are not text as they are", () => {
    const bytes = Buffer.from([0xff, 0xfe, 0, 0x80]);
    const signer = openSigner("v1", newSecret("v1").secret);
    expect(signatures([signer], "a", 1, bytes)).not.toBe(signatures([signer], "a", 1, Buffer.from(bytes.toString())));
  });

  test("v1 creates secrets of 32 random bytes", () => {
    const secrets = [newSecret("v1"), newSecret("v1")];
    for (const { secret, publicKey } of secrets) {
      expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
      expect(publicKey).toBeNull();
    }
    expect(secrets[0]?.secret).not.toBe(secrets[1]?.secret);
  });

  test.each([24, 32, 64])("v1 accepts a secret of %i bytes", (length) => {
    expect(openSigner("v1", `whsec_${base64(randomBytes(length))}`)).toMatchObject({ scheme: "v1", publicKey: null });
  });

  test.each([0, 1, 23, 65, 100])("v1 refuses a secret of %i bytes", (length) => {
    const secret = `whsec_${base64(randomBytes(length))}`;
    expect(() => openSigner("v1", secret)).toThrow(expect.objectContaining({ code: "invalid_request" }));
  });
});

describe("v1a", () => {
  test("v1a signs with whsk_ so that whpk_ verifies it", () => {
    const { secret, publicKey: whpk } = newSecret("v1a");
    expect(whpk).toMatch(/^whpk_[A-Za-z0-9+/]{43}=$/);
    const body = Buffer.from('{"a": 1.10}');
    const [scheme, signature = ""] = signatures([openSigner("v1a", secret)], "evt_1", 1700000000, body).split(",");
    expect(scheme).toBe("v1a");
    const signed = Buffer.concat([Buffer.from("evt_1.1700000000."), body]);
    const key = publicKey(whpk ?? "");
    expect(verify(null, signed, key, Buffer.from(signature, "base64"))).toBe(true);
    expect(verify(null, Buffer.concat([signed, Buffer.from(" ")]), key, Buffer.from(signature, "base64"))).toBe(false);
  });

  test("v1a signs the example of RFC 8032 from a seed, and from seed and public key", () => {
    // Test 1 of section 7.1.
    const seed = Buffer.from("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60", "hex");
    const pub = Buffer.from("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "hex");
    const short = openSigner("v1a", `whsk_${base64(seed)}`);
    const long = openSigner("v1a", `whsk_${base64(Buffer.concat([seed, pub]))}`);
    expect(short.publicKey).toBe(`whpk_${base64(pub)}`);
    expect(long.publicKey).toBe(short.publicKey);
    expect(long.sign("", Buffer.alloc(0))).toBe(short.sign("", Buffer.alloc(0)));
    expect(Buffer.from(short.sign("", Buffer.alloc(0)), "base64").toString("hex")).toBe(
      "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    );
  });

  test("v1a refuses a seed and a public key that do not belong together", () => {
    const halves = [newSecret("v1a"), newSecret("v1a")].map(({ secret }) => Buffer.from(secret.slice(5), "base64"));
    const mixed = Buffer.concat([halves[0]?.subarray(0, 32) ?? [], halves[1]?.subarray(32) ?? []] as Buffer[]);
    expect(() => openSigner("v1a", `whsk_${base64(mixed)}`)).toThrow(/do not belong together/);
  });

  test.each([0, 31, 33, 63, 65])("v1a refuses a key of %i bytes", (length) => {
    const secret = `whsk_${base64(randomBytes(length))}`;
    expect(() => openSigner("v1a", secret)).toThrow(expect.objectContaining({ code: "invalid_request" }));
  });

  test("v1a creates keys that other implementations can read", () => {
    const { secret, publicKey: whpk } = newSecret("v1a");
    const bytes = Buffer.from(secret.slice("whsk_".length), "base64");
    expect(bytes).toHaveLength(64);
    const der = Buffer.concat([Buffer.from("302e020100300506032b657004220420", "hex"), bytes.subarray(0, 32)]);
    const derived = createPublicKey(createPrivateKey({ key: der, format: "der", type: "pkcs8" }));
    expect(derived.equals(publicKey(whpk ?? ""))).toBe(true);
    expect(`whpk_${base64(bytes.subarray(32))}`).toBe(whpk);
  });
});

describe("a secret", () => {
  const good = base64(Buffer.alloc(32, 0xfb));
  test.each([
    ["of the other scheme", "v1", `whsk_${good}`],
    ["of the other scheme", "v1a", `whsec_${good}`],
    ["without its prefix", "v1", good],
    ["with a prefix of other letters", "v1", `WHSEC_${good}`],
    ["in the alphabet of URLs", "v1", `whsec_${good.replaceAll("+", "-").replaceAll("/", "_")}`],
    ["without padding", "v1", `whsec_${good.replaceAll("=", "")}`],
    ["with space around", "v1", ` whsec_${good} `],
    ["with a line's end", "v1", `whsec_${good}\n`],
    ["with what base64 has not", "v1", `whsec_${good.slice(0, -4)}!!!=`],
    ["that is empty", "v1", ""],
  ] as const)("%s is refused, and is not shown (%s)", (_, scheme, secret) => {
    let thrown: unknown = null;
    try {
      openSigner(scheme, secret);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toMatchObject({ code: "invalid_request", fields: { secret: expect.any(String) as unknown } });
    expect(JSON.stringify({ ...(thrown as Error), message: (thrown as Error).message })).not.toContain(
      good.slice(0, 8),
    );
  });
});

test("every key signs, in the given order, separated by spaces", () => {
  const keys = [newSecret("v1"), newSecret("v1a"), newSecret("v1")];
  const signers = keys.map(({ secret }, i) => openSigner(i === 1 ? "v1a" : "v1", secret));
  const all = signatures(signers, "a", 1, Buffer.from("x"));
  expect(all.split(" ")).toEqual(signers.map((signer) => signatures([signer], "a", 1, Buffer.from("x"))));
  expect(signatures([], "a", 1, Buffer.from("x"))).toBe("");
});

test("an id with a full stop is refused, since one signed text could be read as another", () => {
  const signer = openSigner("v1", newSecret("v1").secret);
  expect(() => signatures([signer], "a.b", 1, Buffer.from("x"))).toThrow(expect.objectContaining({ code: "internal" }));
});
