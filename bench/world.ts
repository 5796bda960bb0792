/** What the benches share: a durable Postgres of their own, Tartan processes on it, and an integration. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { Closer } from "../src/cli/wiring/closer.ts";
import { startEmbedded } from "../src/embedded/embedded.ts";
import { migrate } from "../src/database/migrate.ts";
import { openDatabase } from "../src/database/pool.ts";
import { createIntegration } from "../src/integrations/integrations.ts";
import { silentLogger } from "../src/logger.ts";
import { startTartan, type TartanProcess } from "../test/support/process.ts";
import { newMasterKey, openBase, type Base } from "../test/support/world/base.ts";
import { closeOnInterrupt, interrupted } from "./interrupt.ts";

export interface World extends Base {
  /** makes an integration whose Plaid is at `plaidUrl` */
  integrate(plaidUrl: string, clientId?: string, secret?: string): Promise<{ id: string; webhook_secret: string }>;
  /** stops Postgres (fast shutdown) and starts it again after `downMs`, on its port */
  restartPostgres(downMs: number): Promise<void>;
  /** a Tartan process on this database */
  tartan(args: string[], env?: Record<string, string>): Promise<TartanProcess>;
}

/**
 * The embedded Postgres with the settings every Tartan has: fsync and synchronous commit are on.
 * @param kept a data directory that stays afterwards, for a database that takes long to fill
 */
export async function openWorld(settings: Record<string, string> = {}, kept?: string): Promise<World> {
  const closer = closeOnInterrupt(new Closer());
  const dataDir = kept ?? mkdtempSync(join(tmpdir(), "tartan-bench-"));
  if (kept === undefined) closer.defer(() => rmSync(dataDir, { recursive: true, force: true }));
  const start = () => startEmbedded({ dataDir, logger: silentLogger, settings, signal: interrupted });
  let postgres = await start();
  const { url } = postgres;
  closer.defer(async () => await postgres[Symbol.asyncDispose]());
  const database = closer.use(
    await openDatabase({ url, poolSize: 8, applicationName: "tartan bench", logger: silentLogger }),
  );
  await migrate(database, { logger: silentLogger });
  const base = openBase(closer, { database, url, ...(kept !== undefined && { masterKey: keptKey(kept) }) });
  return {
    ...base,
    integrate: (plaid_url, client_id = "bench", secret = "bench-secret") =>
      createIntegration(database, base.vault, { client_id, secret, environment: "sandbox", plaid_url }),
    restartPostgres: async (downMs) => {
      await postgres[Symbol.asyncDispose]();
      await delay(downMs);
      // It takes the port that it had, where that is free.
      postgres = await start();
      if (postgres.url !== url) throw new Error("Postgres is back on another port");
    },
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

/** The master key of a data directory that stays: its secrets are sealed under it. */
function keptKey(dataDir: string): string {
  const file = join(dataDir, "bench-master-key");
  if (!existsSync(file)) writeFileSync(file, newMasterKey(), { mode: 0o600 });
  return readFileSync(file, "utf8");
}

/** Seconds of the processor that a process has used (Linux); 0 where that cannot be read. */
export function cpuSeconds(pid: number): number {
  const [user = 0, system = 0] = statOf(pid).slice(11, 13).map(Number);
  return (user + system) / 100;
}

/** Seconds of the processor that Postgres has used, all of its processes together. */
export async function postgresSeconds({ database }: Pick<World, "database">): Promise<number> {
  const { rows } = await database.query<{ pid: number }>("select pg_backend_pid() as pid");
  const postmaster = parentOf(rows[0]?.pid ?? 0);
  const children = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => parentOf(pid) === postmaster);
  return [postmaster, ...children].reduce((sum, pid) => sum + cpuSeconds(pid) + endedSeconds(pid), 0);
}

/** Of the children that have ended. */
const endedSeconds = (pid: number): number => {
  const [user = 0, system = 0] = statOf(pid).slice(13, 15).map(Number);
  return (user + system) / 100;
};

const parentOf = (pid: number): number => Number(statOf(pid)[1] ?? -1);

/** The fields of /proc/<pid>/stat behind the name; none where there is no such process. */
function statOf(pid: number): string[] {
  try {
    return (readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1] ?? "").split(" ");
  } catch {
    return [];
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
