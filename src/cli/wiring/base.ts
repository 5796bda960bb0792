/**
 * What a server has before it reaches Postgres, and keeps while Postgres is away: its options, its log, the vault, its data
 * directory, and a database whose connection comes later (core.ts makes it).
 *
 * A server opens it first of all, once. Opening it needs no database; closing it closes everything that was built on it.
 */
import { loadConfig, readTartanEnvironment, type Config } from "../../config.ts";
import { deferDatabase, type DeferredDatabase } from "../../database/pool.ts";
import { ownDataDir } from "../../embedded/embedded.ts";
import { forgetLibpq } from "../../environment.ts";
import { loadMasterKeys, openVault, type Vault } from "../../integrations/vault.ts";
import { createLogger, openLogOutput, type LogLevel, type Logger } from "../../logger.ts";
import { openPressure, type Pressure } from "../../model/pressure.ts";
import { Closer } from "./closer.ts";
import { stopSignal } from "./signals.ts";

export interface Base extends AsyncDisposable {
  config: Config;
  logger: Logger;
  vault: Vault;
  /** whether Postgres is one that Tartan runs itself; this process then owns the data directory */
  embedded: boolean;
  /** rejects with `database_unavailable` until the core is open */
  late: DeferredDatabase;
  /** the database's URL; starts the embedded Postgres, and may be called again when that failed */
  locate(): Promise<string>;
  /** of this process: whether webhooks wait */
  pressure: Pressure;
  closer: Closer;
}

/**
 * Opens the base of a server; disposing it closes all that was opened, and what was built on it.
 * @throws TartanError `config_invalid`, `data_dir_in_use`, `vault_key_missing`
 */
export async function openBase(given: NodeJS.ProcessEnv, { logLevel }: { logLevel?: LogLevel } = {}): Promise<Base> {
  const { env, notes } = readTartanEnvironment(given);
  const config = loadConfig(env);
  const logger = createLogger(logLevel ?? config.logLevel, await openLogOutput(config.logFormat));
  for (const note of notes) logger.warn(note);
  const closer = new Closer();
  try {
    const locate = await locator(config, logger, closer);
    const { masterKey, dataDir, databaseUrl } = config;
    const embedded = databaseUrl === undefined;
    const vault = openVault(await loadMasterKeys({ masterKey, dataDir, embedded }));
    const late = closer.use(deferDatabase());
    const dispose = () => closer[Symbol.asyncDispose]();
    const pressure = openPressure();
    return { config, logger, vault, embedded, late, locate, pressure, closer, [Symbol.asyncDispose]: dispose };
  } catch (error) {
    await closer[Symbol.asyncDispose]();
    throw error;
  }
}

async function locator(
  { databaseUrl, dataDir }: Config,
  logger: Logger,
  closer: Closer,
): Promise<() => Promise<string>> {
  if (databaseUrl !== undefined) return async () => databaseUrl;
  forgetLibpq(process.env);
  const owned = closer.use(await ownDataDir({ dataDir, logger, signal: stopSignal() }));
  let url: string | undefined;
  return async () => (url ??= (await owned.start()).url);
}
