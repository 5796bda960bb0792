/**
 * What nearly every command needs: the options, a migrated database and the vault. A server (`up`, `demo`) owns the
 * embedded Postgres while it runs. A command uses the running one, or starts it for its own duration.
 */
import { urlAt } from "../../api/http/address.ts";
import { loadConfig, readTartanEnvironment, type Config } from "../../config.ts";
import { reportFacts } from "../../database/connection/facts.ts";
import { attachEmbedded, hasEmbedded, setDatabaseAside, startEmbedded } from "../../embedded/embedded.ts";
import { migrate } from "../../database/migrate.ts";
import { describeTables } from "../../mirror/comments.ts";
import { factsOf, openDatabase, urlOf } from "../../database/pool.ts";
import { listProcesses } from "../../database/processes.ts";
import { restrictLogins } from "../../embedded/restrict.ts";
import { schemaState } from "../../database/schema.ts";
import type { Database } from "../../database/types.ts";
import { forgetLibpq, type EnvironmentVariables } from "../../environment.ts";
import { TartanError } from "../../errors.ts";
import { checkSealingKey, loadMasterKeys, openVault, type Vault } from "../../integrations/vault.ts";
import { createLogger, openLogOutput, type LogLevel, type Logger } from "../../logger.ts";
import { openPressure, type Pressure } from "../../model/pressure.ts";
import { openBase, type Base } from "./base.ts";
import { Closer } from "./closer.ts";
import { patiently } from "./patience.ts";
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
  const database = await patiently(reach, { logger, signal, open });
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

type Prepare = (database: Database, logger: Logger) => Promise<void>;

const bringUp: Prepare = async (database, logger) => {
  await migrate(database, { logger });
  // Nothing depends on comments, so whatever keeps them from being written keeps nothing else.
  await describeTables(database).catch((error: unknown) =>
    logger.warn({ error }, "comments of the tables were not written"),
  );
};

/** The embedded server is Tartan's alone, so Tartan may restrict other logins. */
const bringUpEmbedded: Prepare = async (database, logger) => {
  await bringUp(database, logger);
  await restrictLogins(database);
};

/** A command that only reads changes no table: older servers may still work on this database. */
const checkSetUp: Prepare = async (database) => {
  const { version, fault } = await schemaState(database);
  if (fault === null) return;
  throw new TartanError(
    "not_set_up",
    version === 0
      ? "This database has no tables of Tartan yet. Start the server with `npx tartan up`, or make the tables with `npx tartan migrate`."
      : `This database does not fit this version of Tartan: ${fault}.`,
  );
};

/**
 * Takes options from the running server where this command's environment does not set them. So a command prints the
 * server's intake URLs and accepts a destination that the server can send to.
 */
async function withServerSettings(config: Config, env: EnvironmentVariables, database: Database): Promise<Config> {
  const processes = await listProcesses(database);
  const [receiver, relay] = ["receiver", "relay"].map((role) => processes.find(({ roles }) => roles.includes(role)));
  const isSet = (name: string): boolean => Boolean(env[name]);
  const agreed = { ...config };
  if (receiver && !["TARTAN_PUBLIC_URL", "TARTAN_HOST", "TARTAN_PORT"].some(isSet)) {
    agreed.publicUrl = receiver.public_url ?? receiver.url;
  }
  if (relay && !isSet("TARTAN_RELAY_ALLOW_HTTP")) agreed.relayAllowHttp = relay.settings.relay_allow_http;
  if (relay && !isSet("TARTAN_RELAY_ALLOWED_ADDRESSES")) {
    agreed.relayAllowedAddresses = [...relay.settings.relay_allowed_addresses];
  }
  return agreed;
}

async function openPrepared(options: Parameters<typeof openDatabase>[0], prepare: Prepare): Promise<Database> {
  const database = await openDatabase(options);
  try {
    await prepare(database, options.logger);
    return database;
  } catch (error) {
    await database[Symbol.asyncDispose]();
    throw error;
  }
}

async function openAnew(options: Parameters<typeof openDatabase>[0], prepare: Prepare): Promise<Database> {
  try {
    return await openPrepared(options, prepare);
  } catch (error) {
    if (!(error instanceof TartanError) || error.code !== "schema_too_old") throw error;
    const aside = await setDatabaseAside(options.url);
    options.logger.warn({ aside }, "the database of an older version was set aside under another name");
    return await openPrepared(options, prepare);
  }
}

/** How long a command waits for a Tartan that uses the data directory from another container, or for another command. */
const COMMAND_WAIT_MS = 5_000;

async function findDatabase(
  { databaseUrl, dataDir }: Config,
  logger: Logger,
  closer: Closer,
  purpose: Purpose,
): Promise<{ url: string; embedded: boolean }> {
  if (databaseUrl !== undefined) return { url: databaseUrl, embedded: false };
  forgetLibpq(process.env);
  const running = await attachEmbedded(dataDir);
  if (running) return { url: running.url, embedded: true };
  if (purpose.creates !== true && !(await hasEmbedded(dataDir))) throw nothingHere(dataDir);
  const wait = { waitMs: COMMAND_WAIT_MS, brief: true };
  return { url: closer.use(await startEmbedded({ dataDir, logger, ...wait })).url, embedded: true };
}

function nothingHere(dataDir: string): TartanError {
  return new TartanError(
    "not_set_up",
    `There is no Tartan in ${dataDir}. Run this command where the server runs, set TARTAN_DATA_DIR to its data ` +
      "directory or TARTAN_DATABASE_URL to its database; or start a server with `npx tartan up`.",
  );
}

/** The URL with which intake URLs begin: as configured, or where the server listens. */
export function publicUrl({ publicUrl: configured, host, port }: Config): string {
  return configured ?? urlAt(host, port);
}
