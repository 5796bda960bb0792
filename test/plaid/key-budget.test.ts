/** Forged kids must not keep out the one that Plaid has just rotated in. */
import { describe, expect, test } from "vitest";
import { testDatabase } from "../support/database.ts";
import { newSigningKey, signJwt, startKeyServer, webhookBody, type SigningKey } from "../support/plaid-signer.ts";
import { openVerifier, type Verifier } from "./support.ts";

const body = webhookBody();
const PER_MINUTE = 60;

/** A genuine webhook signed by `key`. */
const verify = (v: Verifier, key: SigningKey) =>
  v.verify(signJwt(key, body, { claims: { iat: Math.floor(v.clock.now() / 1000) } }), body);

let forged = 0;

/** So many forged kids, each a new one unless `kids` are given. */
async function flood(
  v: Verifier,
  count: number,
  { from = null, kids }: { from?: string | null; kids?: string[] } = {},
) {
  for (let index = 0; index < count; index += 1) {
    const kid = kids?.[index % kids.length] ?? `forged-${(forged += 1)}`;
    await v.keys.find(v.scope, kid, new Date(v.clock.now()), from);
  }
}

describe("verification keys under a flood of forged kids", () => {
  test("a kid beyond the budget is refused at once, without a promise, while the table was read a moment ago", async () => {
    await using server = await startKeyServer();
    await using opened = await testDatabase();
    const { database } = opened;
    const v = openVerifier(server.url, { database, fetchesPerMinute: 1, still: true });
    const find = (kid: string) => v.keys.find(v.scope, kid, new Date(v.clock.now()));
    await find("first");
    const refused = {
      reason: "key_unavailable",
      detail: "too many unknown kids of this integration came in this minute",
    };
    expect(find("second")).toEqual(refused);
    v.clock.advance(2_000);
    const waiting = find("third");
    expect(waiting).toBeInstanceOf(Promise);
    expect(await waiting).toEqual(refused);
    expect(find("fourth")).toEqual(refused);
    expect(server.asked).toEqual(["first"]);
    // Its body is not hashed: it may have a MiB.
    const jwt = signJwt(newSigningKey(), body, { claims: { iat: Math.floor(v.clock.now() / 1000) } });
    expect(await v.verify(jwt, Buffer.from("another body"))).toMatchObject({ reason: "key_unavailable" });
  });

  test("the second webhook of a newly rotated key is accepted during a flood of ten thousand new kids a second", async () => {
    await using server = await startKeyServer();
    const v = openVerifier(server.url, { fetchesPerMinute: PER_MINUTE });
    await flood(v, 10_000);
    const rotated = newSigningKey();
    server.keys.set(rotated.kid, rotated.jwk);
    const accepted: boolean[] = [];
    for (let second = 0; second < 3; second += 1) {
      accepted.push((await verify(v, rotated)).ok);
      await flood(v, 10_000);
      v.clock.advance(1000);
    }
    expect(accepted.slice(1)).toEqual([true, true]);
    expect(server.asked.length).toBeLessThan(PER_MINUTE * 1.5 + 10);
  }, 60_000);

  test("a webhook that was refused is accepted when Plaid sends it again after half a minute of flood", async () => {
    await using server = await startKeyServer();
    const v = openVerifier(server.url, { fetchesPerMinute: PER_MINUTE });
    const rotated = newSigningKey();
    server.keys.set(rotated.kid, rotated.jwk);
    await flood(v, 1000);
    expect(await verify(v, rotated)).toMatchObject({ reason: "key_unavailable" });
    for (let second = 0; second < 35; second += 5) {
      await flood(v, 2000);
      v.clock.advance(5000);
    }
    await flood(v, 1000);
    expect(await verify(v, rotated)).toMatchObject({ ok: true });
  }, 60_000);

  test("repeated forged kids do not keep out webhooks from addresses that sent genuine ones", async () => {
    const known = newSigningKey();
    await using server = await startKeyServer(known);
    const v = openVerifier(server.url, { fetchesPerMinute: PER_MINUTE });
    const jwt = (key: SigningKey) => signJwt(key, body, { claims: { iat: Math.floor(v.clock.now() / 1000) } });
    const { verifyWebhook } = await import("../../src/plaid/verify.ts");
    const from = (address: string, key: SigningKey) =>
      verifyWebhook({
        jwt: jwt(key),
        body,
        receivedAt: new Date(v.clock.now()),
        keys: v.keys,
        integration: v.scope,
        from: address,
      });
    expect(await from("52.21.26.131", known)).toMatchObject({ ok: true });
    const kids = Array.from({ length: 5000 }, (_, index) => `again-${index}`);
    await flood(v, 20_000, { from: "198.51.100.7", kids });
    const rotated = newSigningKey();
    server.keys.set(rotated.kid, rotated.jwk);
    expect(await from("198.51.100.8", rotated)).toMatchObject({ reason: "key_unavailable" });
    expect(await from("52.21.26.131", rotated)).toMatchObject({ ok: true });
  }, 60_000);

  test("a genuine but late webhook does not make its sender trusted", async () => {
    const known = newSigningKey();
    await using server = await startKeyServer(known);
    const v = openVerifier(server.url, { fetchesPerMinute: PER_MINUTE });
    const { verifyWebhook } = await import("../../src/plaid/verify.ts");
    const late = signJwt(known, body, { claims: { iat: Math.floor(v.clock.now() / 1000) - 1000 } });
    const given = {
      body,
      receivedAt: new Date(v.clock.now()),
      keys: v.keys,
      integration: v.scope,
      from: "198.51.100.7",
    };
    expect(await verifyWebhook({ ...given, jwt: late })).toMatchObject({ reason: "issued_too_old" });
    await flood(v, 1000, { from: "203.0.113.1" });
    const before = server.asked.length;
    await flood(v, 100, { from: "198.51.100.7" });
    expect(server.asked.length).toBe(before);
  });

  test("forged kids for one integration leave the budget of another alone", async () => {
    await using server = await startKeyServer();
    const v = openVerifier(server.url, { fetchesPerMinute: 5 });
    const [one, other] = [
      { ...v.scope, id: "svi_one" },
      { ...v.scope, id: "svi_other" },
    ];
    for (let index = 0; index < 200; index += 1) await v.keys.find(one, `kid-${index}`, new Date(v.clock.now()));
    const [first, second] = [newSigningKey(), newSigningKey()];
    for (const { kid, jwk } of [first, second]) server.keys.set(kid, jwk);
    const at = new Date(v.clock.now());
    expect(await v.keys.find(one, first.kid, at)).toMatchObject({ reason: "key_unavailable" });
    expect(await v.keys.find(other, second.kid, at)).toMatchObject({ type: "public" });
    // Keys are those of the environment: what one integration has fetched all have.
    expect(await v.keys.find(one, second.kid, at)).toMatchObject({ type: "public" });
  });

  test("a verification key that another process has fetched is found although the budget is used up", async () => {
    await using db = await testDatabase();
    await using server = await startKeyServer();
    const [v, other] = [1, 2].map(() => openVerifier(server.url, { database: db.database, fetchesPerMinute: 5 }));
    if (!v || !other) throw new Error("no verifiers");
    await flood(v, 200);
    const rotated = newSigningKey();
    server.keys.set(rotated.kid, rotated.jwk);
    expect(await verify(other, rotated)).toMatchObject({ ok: true });
    v.clock.advance(2001);
    const before = server.asked.length;
    expect(await verify(v, rotated)).toMatchObject({ ok: true });
    expect(server.asked.length).toBe(before);
  });
});
