/** What the benches share: a durable Postgres of their own, Tartan processes on it, and an integration. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { randomBytes } from "node:crypto";
import { Client } from "pg";
import { Closer } from "../src/cli/wiring/closer.ts";
import { startEmbedded } from "../src/embedded/embedded.ts";
import { migrate } from "../src/database/migrate.ts";
import { openDatabase } from "../src/database/pool.ts";
import type { Database } from "../src/database/types.ts";
import { createIntegration } from "../src/integrations/integrations.ts";
import { openVault, type Vault } from "../src/integrations/vault.ts";
import { silentLogger } from "../src/logger.ts";
import { startTartan, type TartanProcess } from "../test/support/process.ts";

export interface World extends AsyncDisposable {
  databaseUrl: string;
  database: Database;
  vault: Vault;
  /** makes an integration whose Plaid is at `plaidUrl` */
  integrate(plaidUrl: string, clientId?: string, secret?: string): Promise<{ id: string; webhook_secret: string }>;
  /** a Tartan process on this database */
  tartan(args: string[], env?: Record<string, string>): Promise<TartanProcess>;
}

/** The embedded Postgres with the settings every Tartan has: fsync and synchronous commit are on. */
export async function openWorld(settings: Record<string, string> = {}): Promise<World> {
  const closer = new Closer();
  const dataDir = mkdtempSync(join(tmpdir(), "tartan-bench-"));
  closer.defer(() => rmSync(dataDir, { recursive: true, force: true }));
  const { url } = closer.use(await startEmbedded({ dataDir, logger: silentLogger, settings }));
  const database = closer.use(
    await openDatabase({ url, poolSize: 8, applicationName: "tartan bench", logger: silentLogger }),
  );
  await migrate(database, { logger: silentLogger });
  const masterKey = randomBytes(32).toString("base64");
  const vault = openVault([masterKey]);
  return {
    databaseUrl: url,
    database,
    vault,
    integrate: (plaid_url, client_id = "bench", secret = "bench-secret") =>
      createIntegration(database, vault, { client_id, secret, environment: "sandbox", plaid_url }),
    tartan: async (args, env = {}) =>
      closer.use(
        await startTartan(
          { TARTAN_DATABASE_URL: url, TARTAN_MASTER_KEY: masterKey, TARTAN_LOG_LEVEL: "info", ...env },
          args,
        ),
      ),
    [Symbol.asyncDispose]: () => closer[Symbol.asyncDispose](),
  };
}

/** Resident memory of a process, in bytes (Linux); 0 where that cannot be read. */
export function residentBytes(pid: number): number {
  try {
    return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}

/** A statement's text, or its text and values. */
type Bare = string | { text: string; values: unknown[] };

/** Runs what may take minutes on a connection without Tartan's limits. */
export async function withoutLimits(url: string, ...statements: Bare[]): Promise<void> {
  const client = new Client(url);
  await client.connect();
  try {
    for (const statement of statements) await client.query(statement);
  } finally {
    await client.end();
  }
}
