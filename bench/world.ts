/** What the benches share: a durable Postgres of their own, Tartan processes on it, and an integration. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Closer } from "../src/cli/wiring/closer.ts";
import { startEmbedded } from "../src/embedded/embedded.ts";
import { migrate } from "../src/database/migrate.ts";
import { openDatabase } from "../src/database/pool.ts";
import { createIntegration } from "../src/integrations/integrations.ts";
import { silentLogger } from "../src/logger.ts";
import { startTartan, type TartanProcess } from "../test/support/process.ts";
import { openBase, type Base } from "../test/support/world/base.ts";

export interface World extends Base {
  /** makes an integration whose Plaid is at `plaidUrl` */
  integrate(plaidUrl: string, clientId?: string, secret?: string): Promise<{ id: string; webhook_secret: string }>;
  /** a Tartan process on this database */
  tartan(args: string[], env?: Record<string, string>): Promise<TartanProcess>;
}

/**
 * The embedded Postgres with the settings every Tartan has: fsync and synchronous commit are on.
 * @param kept a data directory that stays afterwards, for a database that takes long to fill
 */
export async function openWorld(settings: Record<string, string> = {}, kept?: string): Promise<World> {
  const closer = new Closer();
  const dataDir = kept ?? mkdtempSync(join(tmpdir(), "tartan-bench-"));
  if (kept === undefined) closer.defer(() => rmSync(dataDir, { recursive: true, force: true }));
  const { url } = closer.use(await startEmbedded({ dataDir, logger: silentLogger, settings }));
  const database = closer.use(
    await openDatabase({ url, poolSize: 8, applicationName: "tartan bench", logger: silentLogger }),
  );
  await migrate(database, { logger: silentLogger });
  const base = openBase(closer, { database, url });
  return {
    ...base,
    integrate: (plaid_url, client_id = "bench", secret = "bench-secret") =>
      createIntegration(database, base.vault, { client_id, secret, environment: "sandbox", plaid_url }),
    tartan: async (args, env = {}) =>
      closer.use(
        await startTartan(
          {
            TARTAN_DATA_DIR: join(dataDir, "processes"),
            TARTAN_DATABASE_URL: url,
            TARTAN_MASTER_KEY: base.masterKey,
            TARTAN_LOG_LEVEL: "info",
            ...env,
          },
          args,
        ),
      ),
  };
}

/** Seconds of the processor that a process has used (Linux); 0 where that cannot be read. */
export function cpuSeconds(pid: number): number {
  try {
    const [, rest = ""] = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ");
    const [user = 0, system = 0] = rest.split(" ").slice(11, 13).map(Number);
    return (user + system) / 100;
  } catch {
    return 0;
  }
}

/** Resident memory of a process, in bytes (Linux); 0 where that cannot be read. */
export function residentBytes(pid: number): number {
  try {
    return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}
