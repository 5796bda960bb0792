/**
 * What nearly every command needs: the options, a migrated database and the vault. A server (`up`, `demo`) holds the
 * embedded database for as long as it lives; a command borrows the running one, or starts it for its own duration.
 */
import { systemClock } from "../clock.ts";
import { loadConfig, type Config } from "../config.ts";
import { attachEmbedded, startEmbedded } from "../database/embedded.ts";
import { migrate } from "../database/migrate.ts";
import { openDatabase } from "../database/pool.ts";
import type { Database } from "../database/types.ts";
import { TartanError } from "../errors.ts";
import { loadMasterKeys, openVault, type Vault } from "../integrations/vault.ts";
import { createLogger, type LogLevel, type Logger } from "../logger.ts";
import { Closer } from "./closer.ts";

export interface Core extends AsyncDisposable {
  config: Config;
  logger: Logger;
  database: Database;
  databaseUrl: string;
  /** whether Postgres is one that Tartan runs itself */
  embedded: boolean;
  vault: Vault;
  closer: Closer;
}

interface Purpose {
  /** a server keeps the data directory to itself; a command shares it */
  as: "server" | "command";
  logLevel?: LogLevel;
  poolSize?: number;
}

/**
 * Opens the core; disposing it closes all that was opened.
 * @throws TartanError `config_invalid`, `data_dir_in_use`, `database_unavailable`, `schema_too_new`, `vault_key_missing`
 */
export async function openCore(env: NodeJS.ProcessEnv, purpose: Purpose): Promise<Core> {
  const config = loadConfig(env);
  const logger = createLogger(purpose.logLevel ?? config.logLevel);
  const closer = new Closer();
  try {
    const { url: databaseUrl, embedded } = await findDatabase(config, logger, closer, purpose);
    const poolSize = purpose.poolSize ?? config.databasePoolSize;
    const open = () => openMigrated({ url: databaseUrl, poolSize, applicationName: "tartan", logger });
    const database = closer.use(await (purpose.as === "server" ? patiently(open, logger) : open()));
    const { masterKey, dataDir } = config;
    const vault = openVault(await loadMasterKeys({ masterKey, dataDir, embedded }));
    const dispose = () => closer[Symbol.asyncDispose]();
    return { config, logger, database, databaseUrl, embedded, vault, closer, [Symbol.asyncDispose]: dispose };
  } catch (error) {
    await closer[Symbol.asyncDispose]();
    throw error;
  }
}

/** A command's action: opens the core around its work. */
export const withCore =
  <Args extends unknown[]>(work: (core: Core, ...args: Args) => Promise<void>, poolSize = 2) =>
  async (...args: Args): Promise<void> => {
    await using core = await openCore(process.env, { as: "command", logLevel: "warn", poolSize });
    await work(core, ...args);
  };

async function openMigrated(options: Parameters<typeof openDatabase>[0]): Promise<Database> {
  const database = await openDatabase(options);
  try {
    await migrate(database, { logger: options.logger });
    return database;
  } catch (error) {
    await database[Symbol.asyncDispose]();
    throw error;
  }
}

/** How long a server waits at its start for a Postgres that is starting too, or is just recovering. */
const PATIENCE_MS = 60_000;
const LOOK_EVERY_MS = 500;

async function patiently<T>(work: () => Promise<T>, logger: Logger): Promise<T> {
  for (const end = Date.now() + PATIENCE_MS; ;) {
    try {
      return await work();
    } catch (error) {
      if (!mayCome(error) || Date.now() > end) throw error;
      logger.warn({ error }, "waiting for Postgres");
      await systemClock.sleep(LOOK_EVERY_MS);
    }
  }
}

/** A refused login and a missing database do not mend themselves: SQLSTATE 28… and 3D000. */
function mayCome(error: unknown): boolean {
  if (!(error instanceof TartanError) || error.code !== "database_unavailable") return false;
  const { code } = (error.cause ?? {}) as { code?: unknown };
  return !/^(28...|3D000)$/.test(String(code));
}

async function findDatabase(
  { databaseUrl, dataDir }: Config,
  logger: Logger,
  closer: Closer,
  { as }: Purpose,
): Promise<{ url: string; embedded: boolean }> {
  if (databaseUrl !== undefined) return { url: databaseUrl, embedded: false };
  const running = as === "command" ? await attachEmbedded(dataDir) : null;
  if (running) return { url: running.url, embedded: true };
  return { url: closer.use(await startEmbedded({ dataDir, logger })).url, embedded: true };
}

/** The URL that heads intake URLs: as configured, or where the server listens. */
export function publicUrl({ publicUrl: configured, host, port }: Config): string {
  return configured ?? `http://${host === "0.0.0.0" || host === "::" ? "127.0.0.1" : host}:${port}`;
}
