/**
 * Postgres without an installation: a server of Tartan's own, with its data in the data directory.
 *
 * Two locks of the kernel guard it (data-dir-locks.ts): one Tartan owns the data directory, and one server runs on its
 * cluster. The server outlives a killed process that started it; the next owner finds it and takes it over, or
 * reports that a server runs where it cannot see it.
 */
import { setTimeout as delay } from "node:timers/promises";
import { Client } from "pg";
import { TartanError } from "../errors.ts";
import type { Logger } from "../logger.ts";
import { chooseAccount, type SystemAccount } from "./account.ts";
import { findBinaries } from "./binaries.ts";
import { checkCluster, findCluster, homeOf, makeCluster, OWNER, removeAbandoned, type Cluster } from "./cluster.ts";
import { clientConfig } from "../database/connection/client-config.ts";
import { ownerLock, postgresLock, takeCluster, takeOwnership, type Patience } from "./data-dir-locks.ts";
import { checkPath, checkReachable, explainFileError, prepareDataDir } from "./data-dir.ts";
import { endClient } from "../database/connection/exchange.ts";
import { codeOf, translateFailure } from "../database/failures.ts";
import type { FileLock } from "./file-lock.ts";
import { ServerKeeper } from "./server-keeper.ts";
import { findPostmaster } from "./postmaster.ts";
import { END_SESSIONS, HAS_DATABASE, NAME_ASIDE } from "./queries.ts";
import { bringHome } from "./relocate.ts";
import { ensureServer } from "./server.ts";

export interface Embedded extends AsyncDisposable {
  /** holds the password */
  url: string;
  port: number;
}

export interface EmbeddedOptions {
  /** absolute */
  dataDir: string;
  logger: Logger;
  /** Postgres settings over Tartan's; tests switch fsync off */
  settings?: Record<string, string>;
  /** milliseconds to wait for a Tartan in another container that may be stopping */
  waitMs?: number;
  /** for a command: a Tartan that starts meanwhile waits until this one is disposed */
  brief?: boolean;
  /** aborts the start: the server is stopped, and the signal's reason is thrown */
  signal?: AbortSignal;
}

const urlOf = ({ password }: Cluster, port: number, database: string = OWNER): string =>
  `postgresql://${OWNER}:${password}@127.0.0.1:${port}/${database}`;

/** A container that is being replaced has 30 s to stop, in Kubernetes; then it is killed. */
const WAIT_MS = 60_000;

/** The data directory of this process; disposing stops its server (fast shutdown), if it runs, and gives the directory up. */
export interface OwnedDataDir extends AsyncDisposable {
  /**
   * Starts the server, making it first where there is none, or takes over the one a killed Tartan left. A start that failed
   * may be tried again.
   * @throws TartanError `database_unavailable` when it does not start; `config_invalid` when the data directory's contents
   *   cannot be used
   */
  start(): Promise<Pick<Embedded, "url" | "port">>;
}

/**
 * Makes the data directory and keeps it to this process, without a server yet.
 * @throws TartanError `data_dir_in_use` when another Tartan has it; `config_invalid` when it cannot be used
 */
export async function ownDataDir(options: EmbeddedOptions): Promise<OwnedDataDir> {
  const { dataDir, logger, waitMs = WAIT_MS, brief = false, signal = new AbortController().signal } = options;
  refuseWindows();
  checkPath(dataDir);
  const owner = ownerLock(dataDir);
  const files = postgresLock(dataDir);
  try {
    const account = await chooseAccount(`${homeOf(dataDir)}/data`, logger);
    await prepareDataDir(dataDir, account);
    const patience: Patience = { dataDir, waitMs, logger, signal };
    await takeOwnership(owner, patience, brief);
    return keepOwned({ ...options, settings: options.settings ?? {} }, { account, owner, files, patience });
  } catch (error) {
    owner.release();
    throw explainFileError(dataDir, error);
  }
}

/** Takes the data directory and starts its server: `ownDataDir` and its `start` in one, with the errors of both. */
export async function startEmbedded(options: EmbeddedOptions): Promise<Embedded> {
  const owned = await ownDataDir(options);
  try {
    return { ...(await owned.start()), [Symbol.asyncDispose]: () => owned[Symbol.asyncDispose]() };
  } catch (error) {
    await owned[Symbol.asyncDispose]();
    throw error;
  }
}

interface Ownership {
  account: SystemAccount | null;
  owner: FileLock;
  files: FileLock;
  patience: Patience;
}

type Settled = EmbeddedOptions & { settings: Record<string, string> };

function keepOwned(options: Settled, ownership: Ownership): OwnedDataDir {
  const { owner, files } = ownership;
  let running: ServerKeeper | undefined;
  const stop = async () => {
    owner.sign({ stopping: true, brief: false });
    await running?.[Symbol.asyncDispose]();
    files.release();
    owner.release();
  };
  let stopped: Promise<void> | undefined;
  return {
    start: async () => {
      try {
        const { cluster, keeper } = await startOwned(options, ownership);
        running = keeper;
        return { url: urlOf(cluster, keeper.port), port: keeper.port };
      } catch (error) {
        files.release();
        throw explainFileError(options.dataDir, error);
      }
    },
    [Symbol.asyncDispose]: () => (stopped ??= stop()),
  };
}

async function startOwned(options: Settled, ownership: Ownership): Promise<{ cluster: Cluster; keeper: ServerKeeper }> {
  const { dataDir, logger, settings } = options;
  const { account, owner, files, patience } = ownership;
  const { cluster, postgres } = await prepareCluster(options, ownership);
  const takeLock = async (signal: AbortSignal) => {
    const held = await takeCluster(files, owner, () => hasServer(dataDir), { ...patience, signal });
    return held ? (files.fd ?? null) : null;
  };
  const server = { cluster, postgres, account, logger, settings };
  const keeper = new ServerKeeper({
    urlAt: (port) => urlOf(cluster, port, "postgres"),
    cluster: cluster.data,
    ensure: (by) => ensureServer({ ...server, ...by, takeLock: () => takeLock(by.signal) }),
    logger,
  });
  try {
    await keeper.start(patience.signal);
    await ensureDatabase(urlOf(cluster, keeper.port, "postgres"));
    return { cluster, keeper };
  } catch (error) {
    await keeper[Symbol.asyncDispose]();
    throw error;
  }
}

/** Finds or makes the cluster and checks that a server can run on it. Changes nothing while its server runs. */
async function prepareCluster(
  { dataDir, logger, settings }: Settled,
  { account, owner, files, patience }: Ownership,
): Promise<{ cluster: Cluster; postgres: string }> {
  const { initdb, postgres, major } = await findBinaries({ dataDir, account, logger });
  const held = await takeCluster(files, owner, () => hasServer(dataDir), patience);
  // The server of a Tartan from before postgres.lock holds no lock.
  if (held && !(await hasServer(dataDir))) {
    await bringHome(homeOf(dataDir), logger);
    await removeAbandoned(dataDir);
    const sync = settings["fsync"] !== "off";
    const { signal } = patience;
    if (!(await findCluster(dataDir))) await makeCluster({ dataDir, initdb, account, sync, signal });
  }
  const cluster = await existing(dataDir);
  await checkReachable(cluster.home, account);
  await checkCluster(cluster, { account, major, logger });
  return { cluster, postgres };
}

async function hasServer(dataDir: string): Promise<boolean> {
  const cluster = await findCluster(dataDir).catch(() => null);
  return cluster !== null && (await findPostmaster(cluster.data)) !== null;
}

async function existing(dataDir: string): Promise<Cluster> {
  const cluster = await findCluster(dataDir);
  if (!cluster) throw new TartanError("internal", `the embedded database in ${homeOf(dataDir)} vanished`);
  return cluster;
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
 * SQLSTATEs when two processes make the database at once: it exists, it is being made, its template is in use. Only the
 * server's owner makes it, but a killed owner's statement runs on for a moment in a server that outlives it.
 */
const BEING_MADE = new Set(["42P04", "23505", "55006"]);

/** @throws TartanError `database_unavailable` when the server was killed since it was ready */
async function ensureDatabase(url: string): Promise<void> {
  const client = new Client(clientConfig({ url, applicationName: "tartan" }));
  client.on("error", () => undefined);
  try {
    await client.connect();
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
  } catch (error) {
    throw translateFailure(error);
  } finally {
    await endClient(client);
  }
}

/**
 * Renames the embedded database of `url` and makes an empty one in its place. Nothing is lost: the old one stays in the cluster.
 * @returns its new name
 */
export async function setDatabaseAside(url: string): Promise<string> {
  const maintenance = new URL(url);
  maintenance.pathname = "/postgres";
  const client = new Client(clientConfig({ url: maintenance.href, applicationName: "tartan" }));
  client.on("error", () => undefined);
  await client.connect();
  try {
    const { rows } = await client.query<{ name: string }>(NAME_ASIDE, [OWNER]);
    const name = rows[0]?.name ?? `${OWNER}_aside`;
    await client.query(END_SESSIONS, [OWNER]);
    await client.query(`alter database ${OWNER} rename to ${name}`);
    await client.query(`create database ${OWNER}`);
    return name;
  } finally {
    await endClient(client);
  }
}

/** True when `dataDir` holds a cluster. Makes nothing. */
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
    // The server is stopping, or its owner was killed before the database was made: a command cannot use it.
    if (codeOf(error) === undefined)
      throw new TartanError("database_unavailable", "The embedded Postgres does not answer", { cause: error });
    return null;
  } finally {
    await endClient(client);
  }
}
