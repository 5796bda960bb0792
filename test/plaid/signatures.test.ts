import { createPublicKey, randomBytes, sign, type JsonWebKey, type KeyObject } from "node:crypto";
import { describe, expect, test } from "vitest";
import { checkSignature, openSignatures } from "../../src/plaid/signatures.ts";
import { newSigningKey, type SigningKey } from "../support/plaid-signer.ts";

const publicKey = ({ jwk }: SigningKey): KeyObject => createPublicKey({ key: jwk as JsonWebKey, format: "jwk" });
const signatureOf = (key: SigningKey, data: Buffer): Buffer =>
  sign("sha256", data, { key: key.privateKey, dsaEncoding: "ieee-p1363" });

/** Signed data, half of it tampered with, and whether its signature holds. */
function jobs(count: number, keys: readonly SigningKey[]) {
  const publicKeys = keys.map(publicKey);
  return Array.from({ length: count }, (_, index) => {
    const key = keys[index % keys.length] as SigningKey;
    const data = randomBytes(1 + (index % 500));
    const signature = signatureOf(key, data);
    const holds = index % 2 === 0;
    if (!holds) signature.writeUInt8(signature.readUInt8(index % 64) ^ 1, index % 64);
    return { data, signature, key: publicKeys[index % keys.length] as KeyObject, holds };
  });
}

describe("signatures on threads", () => {
  test("each signature gets its own result in any batch", async () => {
    await using signatures = openSignatures(2);
    const all = jobs(
      600,
      Array.from({ length: 7 }, () => newSigningKey()),
    );
    const results = await Promise.all(all.map(({ data, signature, key }) => signatures.check(data, signature, key)));
    expect(results).toEqual(all.map(({ holds }) => holds));
  });

  test("more keys than a thread remembers are checked correctly", async () => {
    await using signatures = openSignatures(1);
    const keys = Array.from({ length: 300 }, () => newSigningKey());
    for (let round = 0; round < 2; round += 1) {
      const all = jobs(300, keys);
      const results = await Promise.all(all.map(({ data, signature, key }) => signatures.check(data, signature, key)));
      expect(results).toEqual(all.map(({ holds }) => holds));
    }
  });

  test("a signature of another length or a key of another curve is false and affects no other signature", async () => {
    await using signatures = openSignatures(1);
    const [key, other] = [newSigningKey(), newSigningKey("k", "P-384")];
    const data = randomBytes(100);
    const signature = signatureOf(key, data);
    const results = await Promise.all([
      signatures.check(data, signature.subarray(1), publicKey(key)),
      signatures.check(data, Buffer.alloc(64), publicKey(key)),
      signatures.check(data, signature, publicKey(other)),
      signatures.check(data, signature, publicKey(key)),
    ]);
    expect(results).toEqual([false, false, false, true]);
    expect(await checkSignature(data, Buffer.alloc(10), publicKey(key))).toBe(false);
  });

  test("closing the threads answers running checks, and later checks work without threads", async () => {
    const signatures = openSignatures(1);
    const all = jobs(200, [newSigningKey()]);
    const results = all.map(({ data, signature, key }) => signatures.check(data, signature, key));
    await signatures[Symbol.asyncDispose]();
    expect(await Promise.all(results)).toEqual(all.map(({ holds }) => holds));
    const [one] = all;
    expect(one && (await signatures.check(one.data, one.signature, one.key))).toBe(true);
  });

  test("without threads Node's pool checks signatures", async () => {
    await using signatures = openSignatures(0);
    const all = jobs(20, [newSigningKey()]);
    const results = await Promise.all(all.map(({ data, signature, key }) => signatures.check(data, signature, key)));
    expect(results).toEqual(all.map(({ holds }) => holds));
  });
});
