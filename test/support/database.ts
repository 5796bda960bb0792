/**
 * A real database of its own for a test: `await using db = await testDatabase()`.
 */
import { randomBytes } from "node:crypto";
import { inject } from "vitest";
import { openDatabase } from "../../src/database/pool.ts";
import type { Database } from "../../src/database/types.ts";
import { silentLogger, type Logger } from "../../src/logger.ts";
import { execute } from "./execute.ts";

export interface TestDatabase extends AsyncDisposable {
  database: Database;
  /** holds a password; for child processes and connections of one's own */
  url: string;
}

interface TestDatabaseOptions {
  poolSize?: number;
  logger?: Logger;
  /** without Tartan's tables */
  empty?: boolean;
}

/** Runs statements on the server, outside of any test's database. */
export const maintain = (...statements: string[]): Promise<void> => execute(inject("maintenanceUrl"), ...statements);

/** A fresh database, migrated unless `empty`; disposing closes the pool and drops it. */
export async function testDatabase(options: TestDatabaseOptions = {}): Promise<TestDatabase> {
  const { poolSize = 8, logger = silentLogger, empty = false } = options;
  const name = `tartan_test_${randomBytes(8).toString("hex")}`;
  await maintain(`create database ${name} template ${empty ? "template1" : inject("templateDatabase")}`);
  const url = new URL(inject("maintenanceUrl"));
  url.pathname = `/${name}`;
  const database = await openDatabase({ url: url.href, poolSize, applicationName: "tartan test", logger });
  return {
    database,
    url: url.href,
    [Symbol.asyncDispose]: async () => {
      await database[Symbol.asyncDispose]();
      await maintain(`drop database if exists ${name} with (force)`);
    },
  };
}
