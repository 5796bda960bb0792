/** A verifier against a key server, with time in the test's hands. */
import { systemClock, type Clock } from "../../src/clock.ts";
import type { Queryable } from "../../src/database/types.ts";
import { silentLogger } from "../../src/logger.ts";
import { createPlaidClient } from "../../src/plaid/client.ts";
import { keyTable, type KeyTable } from "../../src/plaid/key-table.ts";
import { openVerificationKeys, type VerificationKeys } from "../../src/plaid/keys.ts";
import { verifyWebhook, type KeyScope } from "../../src/plaid/verify.ts";

export interface TestClock extends Clock {
  advance(ms: number): void;
}

/** @param still time passes only when the test says so */
export function testClock(start = Date.now(), still = false): TestClock {
  let offset = 0;
  const started = Date.now();
  return {
    now: () => start + offset + (still ? 0 : Date.now() - started),
    sleep: (ms, signal) => systemClock.sleep(ms, signal),
    advance: (ms) => {
      offset += ms;
    },
  };
}

export interface Verifier {
  keys: VerificationKeys;
  scope: KeyScope;
  clock: TestClock;
  verify(jwt: string, body: Buffer, receivedAt?: Date): ReturnType<typeof verifyWebhook>;
}

export function openVerifier(
  plaidUrl: string,
  {
    database = null,
    table = database && keyTable(database),
    fetchesPerMinute = 60,
    still = false,
  }: { database?: Queryable | null; table?: KeyTable | null; fetchesPerMinute?: number; still?: boolean } = {},
): Verifier {
  const clock = testClock(Date.now(), still);
  const scope = { plaidUrl, clientId: "client-1", secret: "a-secret" };
  const keys = openVerificationKeys({
    table,
    clientFor: ({ plaidUrl: baseUrl, clientId, secret }) =>
      createPlaidClient({ baseUrl, clientId, secret, timeoutMs: 5000, clock }),
    clock,
    logger: silentLogger,
    fetchesPerMinute,
  });
  return {
    keys,
    scope,
    clock,
    verify: (jwt, body, receivedAt = new Date(clock.now())) =>
      verifyWebhook({ jwt, body, receivedAt, keys, integration: scope }),
  };
}
