/**
 * What nearly everything needs: the options, a database that fits this version, and the vault. A server (`up`, `demo`) owns the
 * embedded Postgres while it runs. A command uses the running one, or starts it for its own duration.
 *
 * A command opens it first of all. A server makes it of its base (base.ts) once Postgres is reached, which may be hours after its door opened.
 */
import { urlAt } from "../../api/http/address.ts";
import { loadConfig, readTartanEnvironment, type Config } from "../../config.ts";
import { reportFacts } from "../../database/connection/facts.ts";
import { factsOf, urlOf } from "../../database/pool.ts";
import type { Database } from "../../database/types.ts";
import { checkSealingKey, loadMasterKeys, openVault, type Vault } from "../../integrations/vault.ts";
import { createLogger, openLogOutput, type LogLevel, type Logger } from "../../logger.ts";
import { openPressure, type Pressure } from "../../model/pressure.ts";
import { openBase, type Base } from "./base.ts";
import { Closer } from "./closer.ts";
import { findDatabase, withServerSettings } from "./command-database.ts";
import { retryStart } from "./retry-start.ts";
import { bringUp, bringUpEmbedded, checkSetUp, openAnew, openPrepared } from "./prepare.ts";
import { stopSignal } from "./signals.ts";

export interface Core extends AsyncDisposable {
  config: Config;
  logger: Logger;
  database: Database;
  /** without the pooler where a direct URL is configured; holds a password */
  databaseUrl: string;
  /** whether Postgres is one that Tartan runs itself */
  embedded: boolean;
  vault: Vault;
  /** whether webhooks wait for commits in this process */
  pressure: Pressure;
  closer: Closer;
}

interface Purpose {
  /** a server keeps the data directory to itself; a command shares it */
  as: "server" | "command";
  /** the command may be the first one: it makes the database and its tables where there are none */
  creates?: boolean;
  logLevel?: LogLevel;
  poolSize?: number;
  /** an embedded database that an older version made is set aside, and an empty one takes its place */
  anew?: boolean;
}

/**
 * Opens the core; disposing it closes all that was opened.
 * @throws TartanError `config_invalid`, `data_dir_in_use`, `not_set_up`, `database_unavailable`, `schema_too_new`,
 *   `schema_too_old`, `vault_key_missing`
 */
export async function openCore(given: NodeJS.ProcessEnv, purpose: Purpose): Promise<Core> {
  return purpose.as === "server" ? await openServer(given, purpose) : await openCommand(given, purpose);
}

async function openServer(given: NodeJS.ProcessEnv, { logLevel, ...purpose }: Purpose): Promise<Core> {
  const base = await openBase(given, { ...(logLevel && { logLevel }) });
  try {
    return await connect(base, { ...purpose, open: false });
  } catch (error) {
    await base[Symbol.asyncDispose]();
    throw error;
  }
}

/**
 * Makes the base of a server its core: reaches the database, migrates it, and attaches it. The core is closed with the base.
 * @param open webhooks are accepted meanwhile, so it waits until Postgres is back, however long that takes
 * @throws TartanError as `openCore` does
 */
export async function connect(
  base: Base,
  { poolSize: size, anew, open }: Pick<Purpose, "poolSize" | "anew"> & { open: boolean },
): Promise<Core> {
  const { config, logger, vault, embedded, late, pressure, closer } = base;
  const { databaseDirectUrl: directUrl } = config;
  const poolSize = size ?? config.databasePoolSize;
  const signal = stopSignal();
  const prepare = embedded ? bringUpEmbedded : bringUp;
  const reach = async (): Promise<Database> => {
    const options = { url: await base.locate(), directUrl, poolSize, applicationName: "tartan", logger, signal };
    const database = await (embedded && anew === true ? openAnew(options, prepare) : openPrepared(options, prepare));
    try {
      await checkSealingKey(database, vault);
      return database;
    } catch (error) {
      await database[Symbol.asyncDispose]();
      throw error;
    }
  };
  const database = await retryStart(reach, { logger, signal, open });
  await late.attach(database);
  reportFacts(factsOf(database), { poolSize, direct: directUrl !== undefined, logger });
  const dispose = () => base[Symbol.asyncDispose]();
  const databaseUrl = urlOf(database);
  return { config, logger, database, databaseUrl, embedded, vault, pressure, closer, [Symbol.asyncDispose]: dispose };
}

async function openCommand(given: NodeJS.ProcessEnv, purpose: Purpose): Promise<Core> {
  const { env, notes } = readTartanEnvironment(given);
  const own = loadConfig(env);
  const logger = createLogger(purpose.logLevel ?? own.logLevel, await openLogOutput(own.logFormat));
  for (const note of notes) logger.warn(note);
  const closer = new Closer();
  try {
    const { url, embedded } = await findDatabase(own, logger, closer, purpose);
    const poolSize = purpose.poolSize ?? own.databasePoolSize;
    const options = { url, directUrl: own.databaseDirectUrl, poolSize, applicationName: "tartan", logger };
    const prepare = purpose.creates !== true ? checkSetUp : embedded ? bringUpEmbedded : bringUp;
    const anew = embedded && purpose.anew === true;
    const database = closer.use(await (anew ? openAnew(options, prepare) : openPrepared(options, prepare)));
    const config = await withServerSettings(own, env, database);
    const { masterKey, dataDir } = config;
    const vault = openVault(await loadMasterKeys({ masterKey, dataDir, embedded }));
    await checkSealingKey(database, vault);
    const dispose = () => closer[Symbol.asyncDispose]();
    return {
      config,
      logger,
      database,
      databaseUrl: urlOf(database),
      embedded,
      vault,
      pressure: openPressure(),
      closer,
      [Symbol.asyncDispose]: dispose,
    };
  } catch (error) {
    await closer[Symbol.asyncDispose]();
    throw error;
  }
}

/** A command's action: opens the core around its work. */
export const withCore =
  <Args extends unknown[]>(
    work: (core: Core, ...args: Args) => Promise<void>,
    { poolSize = 2, creates = false }: Pick<Purpose, "poolSize" | "creates"> = {},
  ) =>
  async (...args: Args): Promise<void> => {
    await using core = await openCore(process.env, { as: "command", logLevel: "warn", poolSize, creates });
    await work(core, ...args);
  };

/** The URL with which intake URLs begin: as configured, or where the server listens. */
export function publicUrl({ publicUrl: configured, host, port }: Config): string {
  return configured ?? urlAt(host, port);
}
