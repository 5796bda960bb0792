import { describe, expect, test } from "vitest";
import type { Queryable } from "../../src/database/types.ts";
import { testDatabase } from "../support/database.ts";
import {
  newSigningKey,
  plaidFault,
  signJwt,
  startKeyServer,
  webhookBody,
  type SigningKey,
} from "../support/plaid-signer.ts";
import { openVerifier, type Verifier } from "./support.ts";

const body = webhookBody();
const HOUR = 60 * 60_000;

/** A token of now by the test's clock. */
const jwtAt = ({ clock }: Verifier, key: SigningKey): string =>
  signJwt(key, body, { claims: { iat: Math.floor(clock.now() / 1000) } });
const check = (v: Verifier, key: SigningKey) => v.verify(jwtAt(v, key), body);

describe("verification keys", () => {
  test("a verification key is fetched once, however many webhooks wait for it at once", async () => {
    const key = newSigningKey();
    await using server = await startKeyServer(key);
    const v = openVerifier(server.url);
    const results = await Promise.all(Array.from({ length: 100 }, () => check(v, key)));
    expect(results.every(({ ok }) => ok)).toBe(true);
    expect(server.asked).toEqual([key.kid]);
  });

  test("a key rotation needs no restart: the old and the new key are both accepted", async () => {
    const [old, next] = [newSigningKey(), newSigningKey()];
    await using server = await startKeyServer(old);
    const v = openVerifier(server.url);
    expect(await check(v, old)).toMatchObject({ ok: true });
    server.keys.set(next.kid, next.jwk);
    const mixed = await Promise.all([old, next, old, next].map((key) => check(v, key)));
    expect(mixed.every(({ ok }) => ok)).toBe(true);
    expect(server.asked).toEqual([old.kid, next.kid]);
  });

  test("an expired key is refused, and a key in use is fetched again, so that its expiry is noticed", async () => {
    const key = newSigningKey();
    await using server = await startKeyServer(key);
    const v = openVerifier(server.url);
    expect(await check(v, key)).toMatchObject({ ok: true });
    server.keys.set(key.kid, { ...key.jwk, expired_at: Math.floor(v.clock.now() / 1000) });
    expect(await check(v, key)).toMatchObject({ ok: true });
    v.clock.advance(HOUR + 1000);
    await check(v, key);
    await v.keys[Symbol.asyncDispose]();
    expect(await check(v, key)).toMatchObject({ ok: false, reason: "key_expired" });
    expect(server.asked).toHaveLength(2);
    const stranger = newSigningKey();
    server.keys.set(stranger.kid, { ...stranger.jwk, expired_at: 1 });
    expect(await check(v, stranger)).toMatchObject({ reason: "key_expired" });
  });

  test("a key that Plaid withdrew is refused, and a key that cannot be fetched again stays accepted", async () => {
    const key = newSigningKey();
    await using server = await startKeyServer(key);
    const v = openVerifier(server.url);
    await check(v, key);
    server.fault = plaidFault(500, "API_ERROR", "INTERNAL_SERVER_ERROR");
    v.clock.advance(HOUR + 1000);
    expect(await check(v, key)).toMatchObject({ ok: true });
    await v.keys[Symbol.asyncDispose]();
    expect(await check(v, key)).toMatchObject({ ok: true });
    server.fault = null;
    server.keys.clear();
    v.clock.advance(HOUR + 1000);
    await check(v, key);
    await v.keys[Symbol.asyncDispose]();
    expect(await check(v, key)).toMatchObject({ reason: "key_unknown" });
  });

  test("an unknown kid is fetched again only after a while", async () => {
    const key = newSigningKey();
    await using server = await startKeyServer();
    const v = openVerifier(server.url);
    for (let turn = 0; turn < 20; turn += 1) expect(await check(v, key)).toMatchObject({ reason: "key_unknown" });
    expect(server.asked).toHaveLength(1);
    server.keys.set(key.kid, key.jwk);
    v.clock.advance(5 * 60_000 + 1000);
    expect(await check(v, key)).toMatchObject({ ok: true });
  });

  test("a flood of made-up kids causes no more fetches than the budget, and known keys keep working", async () => {
    const key = newSigningKey();
    await using server = await startKeyServer(key);
    const v = openVerifier(server.url, { fetchesPerMinute: 10 });
    await check(v, key);
    const flood = await Promise.all(
      Array.from({ length: 500 }, () => check(v, newSigningKey("kid" + Math.random().toString(36).slice(2)))),
    );
    expect(server.asked.length).toBeLessThanOrEqual(11);
    expect(flood.filter((result) => !result.ok && result.keyUnavailable).length).toBeGreaterThanOrEqual(490);
    expect(await check(v, key)).toMatchObject({ ok: true });
    v.clock.advance(30_000);
    const before = server.asked.length;
    await Promise.all(Array.from({ length: 50 }, (_, index) => check(v, newSigningKey(`again${index}`))));
    expect(server.asked.length - before).toBeLessThanOrEqual(6);
    expect(server.asked.length - before).toBeGreaterThanOrEqual(4);
  });

  test("when Plaid does not answer, the refusal says so, and the next webhook asks again", async () => {
    const key = newSigningKey();
    await using server = await startKeyServer(key);
    const v = openVerifier(server.url);
    const faults = [
      plaidFault(500, "API_ERROR", "INTERNAL_SERVER_ERROR"),
      plaidFault(400, "INVALID_INPUT", "INVALID_API_KEYS"),
      plaidFault(429, "RATE_LIMIT_EXCEEDED", "RATE_LIMIT"),
      { status: 502, body: "<html>bad gateway</html>" },
      { status: 200, body: "{}" },
      { status: 200, body: "not json" },
      { status: 200, body: JSON.stringify({ key: { ...key.jwk, kid: "another" } }) },
      { status: 200, body: JSON.stringify({ key: { ...key.jwk, crv: "P-384" } }) },
      { status: 200, body: JSON.stringify({ key: { ...key.jwk, x: "AA" } }) },
      { status: 200, body: JSON.stringify({ key: { ...key.jwk, alg: "HS256" } }) },
    ];
    for (const fault of faults) {
      server.fault = fault;
      expect(await check(v, key), fault.body).toMatchObject({ reason: "key_unavailable", keyUnavailable: true });
    }
    server.fault = null;
    expect(await check(v, key)).toMatchObject({ ok: true });
  });

  test("a fetch that gets no answer ends before Plaid's timeout for the webhook", async () => {
    const key = newSigningKey();
    await using server = await startKeyServer(key);
    server.fault = "hang";
    expect(await check(openVerifier(server.url), key)).toMatchObject({ reason: "key_unavailable" });
  });

  test("a key whose endpoint refuses connections is unavailable and not unknown", async () => {
    const key = newSigningKey();
    expect(await check(openVerifier("http://127.0.0.1:1"), key)).toMatchObject({ reason: "key_unavailable" });
  });

  test("a restart uses the stored keys without a fetch, and only those of the same Plaid environment", async () => {
    await using db = await testDatabase();
    const key = newSigningKey();
    const expiring = newSigningKey();
    await using server = await startKeyServer(key, expiring);
    const options = { database: db.database };
    const first = openVerifier(server.url, options);
    await check(first, key);
    server.keys.set(expiring.kid, { ...expiring.jwk, expired_at: 1 });
    await check(first, expiring);
    await first.keys[Symbol.asyncDispose]();
    server.fault = plaidFault(500, "API_ERROR", "INTERNAL_SERVER_ERROR");
    const restarted = openVerifier(server.url, options);
    expect(await check(restarted, key)).toMatchObject({ ok: true });
    expect(await check(restarted, expiring)).toMatchObject({ reason: "key_expired" });
    expect(server.asked).toHaveLength(2);
    await using elsewhere = await startKeyServer();
    expect(await check(openVerifier(elsewhere.url, options), key)).toMatchObject({ reason: "key_unknown" });
  });

  test("while Postgres is down keys come from Plaid and are kept in memory", async () => {
    const key = newSigningKey();
    await using server = await startKeyServer(key);
    const away: Queryable = { query: () => Promise.reject(new Error("away")) };
    const v = openVerifier(server.url, { database: away });
    expect(await check(v, key)).toMatchObject({ ok: true });
    expect(await check(v, key)).toMatchObject({ ok: true });
    expect(server.asked).toHaveLength(1);
  });

  test("the stored keys are read once for any number of kids", async () => {
    await using db = await testDatabase();
    await using server = await startKeyServer();
    let statements = 0;
    const counted: Queryable = {
      query: (statement, values) => {
        statements += 1;
        return db.database.query(statement, values);
      },
    };
    const v = openVerifier(server.url, { database: counted, fetchesPerMinute: 5 });
    await Promise.all(Array.from({ length: 200 }, (_, index) => check(v, newSigningKey(`kid-${index}`))));
    expect(statements).toBe(1);
  });
});
