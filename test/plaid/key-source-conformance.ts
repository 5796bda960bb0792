/** What every engine of the port `KeySource` promises, as tests that take an engine. */
import type { KeyObject } from "node:crypto";
import { describe, expect, test } from "vitest";
import type { Clock } from "../../src/clock.ts";
import type { KeyRefusal, KeyScope, KeySource } from "../../src/plaid/verify.ts";
import { newSigningKey, plaidFault, startKeyServer, type KeyServer, type SigningKey } from "../support/plaid-signer.ts";
import { testClock, type TestClock } from "./support.ts";

/** An engine on an empty store. */
export interface KeySourceEngine extends AsyncDisposable {
  /** a process's source; several may be open at once. Disposing it waits for fetches under way */
  open(options: { clock: Clock; fetchesPerMinute: number }): KeySource & AsyncDisposable;
  /** while `work` runs, the store cannot be reached */
  away(work: () => Promise<void>): Promise<void>;
}

const HOUR_MS = 60 * 60_000;
const SOON = { timeout: 10_000, interval: 20 };

interface Scene {
  server: KeyServer;
  clock: TestClock;
  source: KeySource & AsyncDisposable;
  /** `found`, or the reason of the refusal */
  look(key: SigningKey, scope?: Partial<KeyScope>): Promise<string>;
}

const scopeOf = (plaidUrl: string): KeyScope => ({ plaidUrl, clientId: "client-1", secret: "a-secret" });

/** A source, and Plaid's endpoint that knows these keys. */
async function withSource(
  openEngine: () => Promise<KeySourceEngine>,
  keys: readonly SigningKey[],
  work: (scene: Scene, engine: KeySourceEngine) => Promise<void>,
  fetchesPerMinute = 60,
): Promise<void> {
  await using engine = await openEngine();
  await using server = await startKeyServer(...keys);
  const clock = testClock();
  await using source = engine.open({ clock, fetchesPerMinute });
  await work({ server, clock, source, look: lookWith(source, clock, scopeOf(server.url)) }, engine);
}

const lookWith =
  (source: KeySource, clock: Clock, scope: KeyScope): Scene["look"] =>
  async (key, more = {}) => {
    const found = await source.find({ ...scope, ...more }, key.kid, new Date(clock.now()));
    if (isKey(found)) expect(found.export({ format: "jwk" })).toMatchObject({ x: key.jwk["x"], y: key.jwk["y"] });
    return isKey(found) ? "found" : found.reason;
  };

const isKey = (found: KeyObject | KeyRefusal): found is KeyObject => !("reason" in found);

const madeUp = (count: number): SigningKey[] => {
  const { jwk, privateKey } = newSigningKey();
  return Array.from({ length: count }, (_, index) => ({ kid: `made-up-${index}-${Math.random()}`, jwk, privateKey }));
};

/** @param stores whether keys outlive the process */
export function keySourceConformance(name: string, stores: boolean, openEngine: () => Promise<KeySourceEngine>): void {
  describe(`the key source with ${name}`, () => {
    finds(openEngine);
    isBounded(openEngine);
    outages(openEngine);
    if (stores) restarts(openEngine);
  });
}

function finds(openEngine: () => Promise<KeySourceEngine>): void {
  test("a verification key is fetched once, however many webhooks need it at the same time", async () => {
    const key = newSigningKey();
    await withSource(openEngine, [key], async ({ server, look }) => {
      const found = await Promise.all(Array.from({ length: 100 }, () => look(key)));
      expect(new Set(found)).toEqual(new Set(["found"]));
      expect(server.asked).toEqual([key.kid]);
    });
  });

  test("a key rotation needs no restart: the old and the new key are both found", async () => {
    const [old, next] = [newSigningKey(), newSigningKey()];
    await withSource(openEngine, [old], async ({ server, look }) => {
      expect(await look(old)).toBe("found");
      server.keys.set(next.kid, next.jwk);
      expect(await Promise.all([old, next, old, next].map((key) => look(key)))).toEqual(Array(4).fill("found"));
      expect(server.asked).toEqual([old.kid, next.kid]);
    });
  });

  test("an expired key is refused, and a key in use is fetched again each hour, so that its expiry is noticed", async () => {
    const [key, expired] = [newSigningKey(), newSigningKey()];
    await withSource(openEngine, [key], async ({ server, clock, look }) => {
      expect(await look(key)).toBe("found");
      server.keys.set(key.kid, { ...key.jwk, expired_at: Math.floor(clock.now() / 1000) });
      expect(await look(key)).toBe("found");
      expect(server.asked).toHaveLength(1);
      clock.advance(HOUR_MS + 1000);
      await expect.poll(() => look(key), SOON).toBe("key_expired");
      expect(server.asked).toHaveLength(2);
      server.keys.set(expired.kid, { ...expired.jwk, expired_at: 1 });
      expect(await look(expired)).toBe("key_expired");
    });
  });

  test("a key that Plaid withdrew is refused, and a key that cannot be fetched again is still found", async () => {
    const key = newSigningKey();
    await withSource(openEngine, [key], async ({ server, clock, look }) => {
      await look(key);
      server.fault = plaidFault(500, "API_ERROR", "INTERNAL_SERVER_ERROR");
      clock.advance(HOUR_MS + 1000);
      expect(await look(key)).toBe("found");
      await expect.poll(() => server.asked.length, SOON).toBeGreaterThan(1);
      expect(await look(key)).toBe("found");
      server.fault = null;
      server.keys.clear();
      const lookAnHourLater = (): Promise<string> => {
        clock.advance(HOUR_MS + 1000);
        return look(key);
      };
      await expect.poll(lookAnHourLater, SOON).toBe("key_unknown");
    });
  });

  test("keys of one Plaid environment prove nothing in another", async () => {
    const key = newSigningKey();
    await withSource(openEngine, [key], async ({ look }) => {
      await using elsewhere = await startKeyServer();
      expect(await look(key)).toBe("found");
      expect(await look(key, { plaidUrl: elsewhere.url })).toBe("key_unknown");
    });
  });
}

function isBounded(openEngine: () => Promise<KeySourceEngine>): void {
  test("an unknown kid is fetched again only after five minutes", async () => {
    const key = newSigningKey();
    await withSource(openEngine, [], async ({ server, clock, look }) => {
      for (let turn = 0; turn < 20; turn += 1) expect(await look(key)).toBe("key_unknown");
      clock.advance(5 * 60_000 - 60_000);
      expect(await look(key)).toBe("key_unknown");
      expect(server.asked).toHaveLength(1);
      server.keys.set(key.kid, key.jwk);
      clock.advance(61_000);
      expect(await look(key)).toBe("found");
    });
  });

  test("a flood of made-up kids causes no more fetches than the budget, and known keys are found meanwhile", async () => {
    const key = newSigningKey();
    const flood = async ({ server, clock, look }: Scene) => {
      await look(key);
      const answers = await Promise.all(madeUp(500).map((each) => look(each)));
      expect(server.asked.length).toBeLessThanOrEqual(11);
      expect(answers.filter((answer) => answer === "key_unavailable").length).toBeGreaterThanOrEqual(490);
      expect(await look(key)).toBe("found");
      clock.advance(30_000);
      const before = server.asked.length;
      await Promise.all(madeUp(50).map((each) => look(each)));
      expect(server.asked.length - before).toBeLessThanOrEqual(6);
      expect(server.asked.length - before).toBeGreaterThanOrEqual(4);
    };
    await withSource(openEngine, [key], flood, 10);
  });

  test("made-up kids for one integration leave the budget of another alone, and both find its keys", async () => {
    const [first, second] = [newSigningKey(), newSigningKey()];
    const flood = async ({ look }: Scene) => {
      for (const each of madeUp(200)) await look(each, { id: "svi_one" });
      expect(await look(first, { id: "svi_one" })).toBe("key_unavailable");
      expect(await look(second, { id: "svi_other" })).toBe("found");
      expect(await look(second, { id: "svi_one" })).toBe("found");
    };
    await withSource(openEngine, [first, second], flood, 5);
  });
}

function outages(openEngine: () => Promise<KeySourceEngine>): void {
  test("when Plaid does not answer with the key, it is unavailable and not unknown, and is asked for again", async () => {
    const key = newSigningKey();
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
    await withSource(openEngine, [key], async ({ server, clock, look }) => {
      for (const fault of faults) {
        server.fault = fault;
        expect([fault.body, await look(key)]).toEqual([fault.body, "key_unavailable"]);
        clock.advance(31_000);
      }
      expect(server.asked).toHaveLength(faults.length);
      expect(await look(key, { plaidUrl: "http://127.0.0.1:1" })).toBe("key_unavailable");
      server.fault = null;
      expect(await look(key)).toBe("found");
    });
  });

  test("a fetch that gets no answer ends before Plaid's timeout for the webhook", async () => {
    const key = newSigningKey();
    await withSource(openEngine, [key], async ({ server, look }) => {
      server.fault = "hang";
      expect(await look(key)).toBe("key_unavailable");
    });
  });

  test("while the store is away keys are fetched from Plaid and kept, also by a process that starts then", async () => {
    const [known, key] = [newSigningKey(), newSigningKey()];
    await withSource(openEngine, [known, key], async ({ server, clock, look }, engine) => {
      await look(known);
      await engine.away(async () => {
        expect(await Promise.all([look(known), look(key), look(key)])).toEqual(["found", "found", "found"]);
        expect(server.asked).toEqual([known.kid, key.kid]);
        await using started = engine.open({ clock, fetchesPerMinute: 60 });
        const lookThere = lookWith(started, clock, scopeOf(server.url));
        expect([await lookThere(key), await lookThere(key)]).toEqual(["found", "found"]);
      });
      expect(await look(key)).toBe("found");
      expect(server.asked).toEqual([known.kid, key.kid, key.kid]);
    });
  });
}

function restarts(openEngine: () => Promise<KeySourceEngine>): void {
  test("a key that Plaid withdrew is not found again after a restart", async () => {
    const key = newSigningKey();
    await withSource(openEngine, [key], async ({ server, clock, source, look }, engine) => {
      await look(key);
      server.keys.clear();
      clock.advance(HOUR_MS + 1000);
      await expect.poll(() => look(key), SOON).toBe("key_unknown");
      await source[Symbol.asyncDispose]();
      await using restarted = engine.open({ clock, fetchesPerMinute: 60 });
      expect(await lookWith(restarted, clock, scopeOf(server.url))(key)).toBe("key_unknown");
    });
  });

  test("a restart while Plaid does not answer finds the keys that were stored, and refuses those that have expired", async () => {
    const [key, expiring] = [newSigningKey(), newSigningKey()];
    await withSource(openEngine, [key, expiring], async ({ server, clock, source, look }, engine) => {
      await look(key);
      server.keys.set(expiring.kid, { ...expiring.jwk, expired_at: 1 });
      await look(expiring);
      await source[Symbol.asyncDispose]();
      server.fault = plaidFault(500, "API_ERROR", "INTERNAL_SERVER_ERROR");
      await using restarted = engine.open({ clock, fetchesPerMinute: 60 });
      const lookAgain = lookWith(restarted, clock, scopeOf(server.url));
      expect([await lookAgain(key), await lookAgain(expiring)]).toEqual(["found", "key_expired"]);
      expect(server.asked).toHaveLength(2);
      await using elsewhere = await startKeyServer();
      expect(await lookAgain(key, { plaidUrl: elsewhere.url })).toBe("key_unknown");
    });
  });
}
