/**
 * Postgres without an installation: a server of Tartan's own, with its data in the data directory.
 *
 * The server outlives the process that started it when that is killed; the next Tartan finds it and takes it over. Who
 * owns it is decided by a session lock inside the server itself, which no kill can leave behind: the owner stops the
 * server when it goes, and a second Tartan on the data directory is refused.
 */
import { resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { Client } from "pg";
import { TartanError } from "../errors.ts";
import type { Logger } from "../logger.ts";
import { chooseAccount } from "./account.ts";
import { findBinaries } from "./binaries.ts";
import {
  checkReachable,
  findCluster,
  makeCluster,
  OWNER,
  prepareDataDir,
  removeAbandoned,
  type Cluster,
} from "./cluster.ts";
import { clientConfig } from "./connection.ts";
import { codeOf } from "./failures.ts";
import { claimServer } from "./ownership.ts";
import { findPostmaster, stopPostmaster } from "./postmaster.ts";
import { HAS_DATABASE } from "./queries.ts";
import { ensureServer, type ServerOptions } from "./server.ts";

export interface Embedded extends AsyncDisposable {
  /** holds the password */
  url: string;
  port: number;
}

export interface EmbeddedOptions {
  dataDir: string;
  logger: Logger;
  /** Postgres settings over Tartan's; tests switch fsync off */
  settings?: Record<string, string>;
}

const urlOf = ({ password }: Cluster, port: number, database: string = OWNER): string =>
  `postgresql://${OWNER}:${password}@127.0.0.1:${port}/${database}`;

/**
 * Starts the server of `dataDir`, making it first where there is none, or takes over the one a killed Tartan left.
 * Disposing stops it (fast shutdown).
 * @throws TartanError `data_dir_in_use` when a live Tartan has it; `database_unavailable` when it does not start;
 *   `config_invalid` when the data directory cannot be used
 */
export async function startEmbedded({ dataDir, logger, settings = {} }: EmbeddedOptions): Promise<Embedded> {
  refuseWindows();
  const account = await chooseAccount(resolve(dataDir, "postgres", "data"), logger);
  await prepareDataDir(dataDir, account);
  const { initdb, postgres } = await findBinaries(account, logger);
  const sync = settings["fsync"] !== "off";
  const cluster = (await findCluster(dataDir)) ?? (await makeCluster({ dataDir, initdb, account, sync, logger }));
  await checkReachable(cluster, account);
  await removeAbandoned(dataDir);
  const options: ServerOptions = { cluster, postgres, account, logger, settings };
  const claim = await claimServer({
    urlAt: (port) => urlOf(cluster, port, "postgres"),
    dataDir: resolve(dataDir),
    ensure: (port) => ensureServer({ ...options, port }),
    stop: () => stopPostmaster(cluster.data),
    logger,
  });
  try {
    await ensureDatabase(urlOf(cluster, claim.port, "postgres"));
  } catch (error) {
    await claim[Symbol.asyncDispose]();
    throw error;
  }
  const dispose = () => claim[Symbol.asyncDispose]();
  return { url: urlOf(cluster, claim.port), port: claim.port, [Symbol.asyncDispose]: dispose };
}

function refuseWindows(): void {
  if (process.platform !== "win32") return;
  throw new TartanError(
    "config_invalid",
    "The embedded Postgres does not run on Windows itself; use WSL, or set TARTAN_DATABASE_URL.",
    {
      fields: { TARTAN_DATABASE_URL: "needed on Windows" },
    },
  );
}

/**
 * SQLSTATEs of two who make the database at once: it exists, it is just being made, its template is in use. Only the owner
 * of the server makes it, but a killed owner's statement goes on for a moment in a server that outlived it.
 */
const BEING_MADE = new Set(["42P04", "23505", "55006"]);

async function ensureDatabase(url: string): Promise<void> {
  const client = new Client(clientConfig({ url, applicationName: "tartan" }));
  client.on("error", () => undefined);
  await client.connect();
  try {
    for (;;) {
      const { rows } = await client.query<{ present: boolean }>(HAS_DATABASE, [OWNER]);
      if (rows[0]?.present) return;
      try {
        await client.query(`create database ${OWNER}`);
      } catch (error) {
        if (!BEING_MADE.has(codeOf(error) ?? "")) throw error;
        await delay(50);
      }
    }
  } finally {
    await client.end();
  }
}

/** Whether a server was ever made in `dataDir`. Makes nothing. */
export const hasEmbedded = async (dataDir: string): Promise<boolean> => (await findCluster(dataDir)) !== null;

/** The running server of `dataDir`, for a command beside `tartan up`; null when none runs. */
export async function attachEmbedded(dataDir: string): Promise<{ url: string } | null> {
  const cluster = await findCluster(dataDir);
  if (!cluster) return null;
  const server = await findPostmaster(cluster.data);
  if (!server?.port || server.status !== "ready") return null;
  const url = urlOf(cluster, server.port);
  const client = new Client(clientConfig({ url, applicationName: "tartan" }));
  client.on("error", () => undefined);
  try {
    await client.connect();
    return { url };
  } catch (error) {
    // Stopping, or killed before its database was made: then it is as good as not running.
    if (codeOf(error) === undefined)
      throw new TartanError("database_unavailable", "The embedded Postgres does not answer", { cause: error });
    return null;
  } finally {
    await client.end().catch(() => undefined);
  }
}
