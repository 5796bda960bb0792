/**
 * Finds the database of a command, and the options that it takes from the running server.
 *
 * It runs once, at the start of a command. A server knows both: it owns the data directory, and its options are its own.
 */
import type { Config } from "../../config.ts";
import { listProcesses } from "../../database/processes.ts";
import type { Database } from "../../database/types.ts";
import { attachEmbedded, hasEmbedded, startEmbedded } from "../../embedded/embedded.ts";
import { forgetLibpq, type EnvironmentVariables } from "../../environment.ts";
import { TartanError } from "../../errors.ts";
import type { Logger } from "../../logger.ts";
import type { Closer } from "./closer.ts";

/**
 * Takes options from the running server where this command's environment does not set them. So a command prints the
 * server's intake URLs and accepts a destination that the server can send to.
 */
export async function withServerSettings(
  config: Config,
  env: EnvironmentVariables,
  database: Database,
): Promise<Config> {
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

/** How long a command waits for a Tartan that uses the data directory from another container, or for another command. */
const COMMAND_WAIT_MS = 5_000;

/**
 * The database of the running server, or one that is started until `closer` is closed.
 * @throws TartanError `not_set_up` when there is none
 */
export async function findDatabase(
  { databaseUrl, dataDir }: Config,
  logger: Logger,
  closer: Closer,
  purpose: { creates?: boolean },
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
