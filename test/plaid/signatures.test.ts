import { createPublicKey, randomBytes, sign, type JsonWebKey, type KeyObject } from "node:crypto";
import type { Worker } from "node:worker_threads";
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
    await using signatures = openSignatures({ threads: 2 });
    const all = jobs(
      600,
      Array.from({ length: 7 }, () => newSigningKey()),
    );
    const results = await Promise.all(all.map(({ data, signature, key }) => signatures.check(data, signature, key)));
    expect(results).toEqual(all.map(({ holds }) => holds));
  });

  test("more keys than a thread remembers are checked correctly", async () => {
    let ended = false;
    await using signatures = openSignatures({
      threads: 1,
      onStart: (worker) => worker.on("exit", () => (ended = true)),
    });
    const keys = Array.from({ length: 300 }, () => newSigningKey());
    // Of 200 keys it has every one in the second round; of 300 it has to be given some again.
    for (const count of [200, 200, 300, 300]) {
      const all = jobs(count, keys);
      const results = await Promise.all(all.map(({ data, signature, key }) => signatures.check(data, signature, key)));
      expect(results).toEqual(all.map(({ holds }) => holds));
    }
    expect(ended).toBe(false);
  });

  test("a signature of another length or a key of another curve is false and affects no other signature", async () => {
    await using signatures = openSignatures({ threads: 1 });
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
    const signatures = openSignatures({ threads: 1 });
    const all = jobs(200, [newSigningKey()]);
    const results = all.map(({ data, signature, key }) => signatures.check(data, signature, key));
    await signatures[Symbol.asyncDispose]();
    expect(await Promise.all(results)).toEqual(all.map(({ holds }) => holds));
    const [one] = all;
    expect(one && (await signatures.check(one.data, one.signature, one.key))).toBe(true);
  });

  test("without threads Node's pool checks signatures", async () => {
    await using signatures = openSignatures({ threads: 0 });
    const all = jobs(20, [newSigningKey()]);
    const results = await Promise.all(all.map(({ data, signature, key }) => signatures.check(data, signature, key)));
    expect(results).toEqual(all.map(({ holds }) => holds));
  });

  test("signatures that come while the thread is busy, more than it takes at once, are all answered", async () => {
    await using signatures = openSignatures({ threads: 1 });
    const all = jobs(1000, [newSigningKey()]);
    for (let round = 0; round < 3; round += 1) {
      const results = await Promise.all(all.map(({ data, signature, key }) => signatures.check(data, signature, key)));
      expect(results).toEqual(all.map(({ holds }) => holds));
    }
  });

  test("signatures that come one after the other are each answered, also when the thread has gone to sleep between them", async () => {
    await using signatures = openSignatures({ threads: 1 });
    const all = jobs(300, [newSigningKey()]);
    const results = [];
    for (const [index, { data, signature, key }] of all.entries()) {
      if (index % 10 === 0) await new Promise((resolve) => setTimeout(resolve, index % 3));
      results.push(await signatures.check(data, signature, key));
    }
    expect(results).toEqual(all.map(({ holds }) => holds));
  });

  test("signed data longer than a slot is checked", async () => {
    await using signatures = openSignatures({ threads: 1 });
    const key = newSigningKey();
    for (const length of [0, 959, 960, 961, 4096]) {
      const data = randomBytes(length);
      const signature = signatureOf(key, data);
      expect(await signatures.check(data, signature, publicKey(key))).toBe(true);
      expect(await signatures.check(Buffer.concat([data, Buffer.alloc(1)]), signature, publicKey(key))).toBe(false);
    }
  });

  test("signatures that a thread has before it when it dies are checked elsewhere, and none is lost or wrong", async () => {
    for (const dieAfter of [0, 1, 5, 20]) {
      const workers: Worker[] = [];
      await using signatures = openSignatures({ threads: 2, onStart: (worker) => workers.push(worker) });
      const all = jobs(1500, [newSigningKey(), newSigningKey()]);
      const results = all.map(({ data, signature, key }) => signatures.check(data, signature, key));
      await new Promise((resolve) => setTimeout(resolve, dieAfter));
      await workers[0]?.terminate();
      expect(await Promise.all(results)).toEqual(all.map(({ holds }) => holds));
      await workers[1]?.terminate();
      const [one] = all;
      expect(one && (await signatures.check(one.data, one.signature, one.key))).toBe(true);
    }
  });

  test("a key that a thread was never given ends the thread and refuses no genuine signature", async () => {
    const workers: Worker[] = [];
    await using signatures = openSignatures({ threads: 1, onStart: (worker) => workers.push(worker) });
    // The key's message is lost on the way.
    const [worker] = workers;
    if (worker) worker.postMessage = () => undefined;
    const all = jobs(100, [newSigningKey()]);
    const results = await Promise.all(all.map(({ data, signature, key }) => signatures.check(data, signature, key)));
    expect(results).toEqual(all.map(({ holds }) => holds));
  });
});
