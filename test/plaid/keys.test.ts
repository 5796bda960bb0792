import { describe, expect, test } from "vitest";
import type { Database, Queryable } from "../../src/database/types.ts";
import { TartanError } from "../../src/errors.ts";
import { silentLogger as logger } from "../../src/logger.ts";
import { createPlaidClient } from "../../src/plaid/client.ts";
import { keyTable } from "../../src/plaid/key-table.ts";
import { openVerificationKeys } from "../../src/plaid/keys.ts";
import { testDatabase } from "../support/database.ts";
import { startKeyServer } from "../support/plaid-signer.ts";
import { keySourceConformance, type KeySourceEngine } from "./key-source-conformance.ts";
import { openVerifier } from "./support.ts";

const open =
  (database: Queryable | null): KeySourceEngine["open"] =>
  ({ clock, fetchesPerMinute }) =>
    openVerificationKeys({
      table: database && keyTable(database),
      clientFor: ({ plaidUrl: baseUrl, clientId, secret }) =>
        createPlaidClient({ baseUrl, clientId, secret, timeoutMs: 5000, clock }),
      clock,
      logger,
      fetchesPerMinute,
    });

/** The database, with a switch. */
function switchable(database: Database) {
  let isAway = false;
  const query: Queryable["query"] = (statement, values) =>
    isAway ? Promise.reject(new TartanError("database_unavailable", "away")) : database.query(statement, values);
  const away: KeySourceEngine["away"] = async (work) => {
    isAway = true;
    await work().finally(() => (isAway = false));
  };
  return { query, away };
}

keySourceConformance("Postgres", true, async () => {
  const { database, ...held } = await testDatabase();
  const { query, away } = switchable(database);
  return { open: open({ query }), away, [Symbol.asyncDispose]: () => held[Symbol.asyncDispose]() };
});

keySourceConformance("no store", false, async () => ({
  open: open(null),
  away: (work) => work(),
  [Symbol.asyncDispose]: () => Promise.resolve(),
}));

describe("verification keys in Postgres", () => {
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
    const at = new Date(v.clock.now());
    await Promise.all(Array.from({ length: 200 }, (_, index) => v.keys.find(v.scope, `kid-${index}`, at)));
    expect(statements).toBe(1);
  });
});
