/**
 * Starts the embedded server, or finds the one that runs already.
 *
 *   no server → starting → ready
 *   server found → (starting, or stopping and then none) → ready
 *
 * A server is started only under postgres.lock, which all its processes then hold too (data-dir-locks.ts), so there is never
 * a second one on a cluster. Postgres' own checks (postmaster.pid, shared memory) do not see into other containers.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { open, readFile, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { TartanError } from "../errors.ts";
import type { Logger } from "../logger.ts";
import type { SystemAccount } from "./account.ts";
import type { Cluster } from "./cluster.ts";
import { findPostmaster, readPostmaster, removeStalePidFile, waitUntil, type Postmaster } from "./postmaster.ts";

/** For a small box: the whole of Tartan in 2 GB. Unix sockets have length limits and owners; TCP has neither. */
const SETTINGS: Record<string, string> = {
  listen_addresses: "127.0.0.1",
  unix_socket_directories: "",
  max_connections: "200",
  // Tartan is the superuser, so readers of the mirror cannot take its connections, however many they are.
  superuser_reserved_connections: "50",
  shared_buffers: "256MB",
  max_wal_size: "2GB",
  checkpoint_timeout: "15min",
  random_page_cost: "1.1",
  jit: "off",
  // Parallel queries need more of /dev/shm than a container has by default.
  max_parallel_workers_per_gather: "0",
  fsync: "on",
  synchronous_commit: "on",
  password_encryption: "scram-sha-256",
  timezone: "UTC",
  log_timezone: "UTC",
  log_min_messages: "warning",
  log_checkpoints: "off",
};

export interface ServerOptions {
  cluster: Cluster;
  postgres: string;
  account: SystemAccount | null;
  logger: Logger;
  /** over SETTINGS */
  settings?: Record<string, string>;
  /** the only port that it may listen on */
  port?: number;
  /**
   * Takes postgres.lock and returns its descriptor, which the server inherits; null when a server of this cluster has
   * appeared meanwhile.
   */
  takeLock: () => Promise<number | null>;
  signal: AbortSignal;
  /** gets the server's process id before it is ready */
  onSpawn: (pid: number) => void;
  /** instead of START_MS */
  startMs?: number;
}

export type RunningServer = Postmaster & { port: number };

/**
 * How long a server may report no progress. A server that was killed first replays its log, for as long as that takes, and
 * reports that it is starting: stopping it would make the next start repeat the work.
 */
const START_MS = 300_000;
const SLOW_MS = 5_000;
const ABANDON_MS = 10_000;

/**
 * The server of the cluster, accepting connections.
 * @throws TartanError `database_unavailable` with the last error of the server's log
 */
export async function ensureServer(options: ServerOptions): Promise<RunningServer> {
  const warn = () => options.logger.warn("the embedded Postgres is recovering; this may take minutes");
  const slow = setTimeout(warn, SLOW_MS);
  try {
    return await findOrStart(options);
  } finally {
    clearTimeout(slow);
  }
}

async function findOrStart(options: ServerOptions): Promise<RunningServer> {
  const { cluster, logger, signal, takeLock, startMs = START_MS } = options;
  let lastError = "a server that already runs neither answers nor stops";
  let attempt = 0;
  for (let end = Date.now() + startMs; Date.now() < end; await delay(50)) {
    signal.throwIfAborted();
    const found = await findPostmaster(cluster.data);
    if (found?.status === "ready" && found.port) return { ...found, port: found.port };
    if (found?.status === "starting") end = Date.now() + startMs;
    if (found) continue;
    const lock = await takeLock();
    if (lock === null) continue;
    const port = options.port ?? (await choosePort(cluster, attempt === 0));
    const started = await startServer(options, port, lock);
    if ("port" in started) return started;
    attempt += 1;
    lastError = started.lastError;
    if (!started.mayPass) break;
    logger.debug({ lastError }, "the embedded Postgres did not start; trying again");
    await removeStalePidFile(cluster.data);
  }
  throw new TartanError(
    "database_unavailable",
    `The embedded Postgres in ${cluster.home} does not start: ${lastError}`,
  );
}

interface Failure {
  lastError: string;
  /** another server, or the remains of one, was in the way */
  mayPass: boolean;
}

async function startServer(options: ServerOptions, port: number, lock: number): Promise<RunningServer | Failure> {
  const { cluster, postgres, account, signal, onSpawn } = options;
  const flags = Object.entries({ ...SETTINGS, ...options.settings }).map(([name, value]) => `--${name}=${value}`);
  const log = await openLog(cluster);
  const from = (await log.stat()).size;
  try {
    const child = spawn(postgres, ["-D", cluster.data, `--port=${port}`, ...flags], {
      ...account,
      cwd: cluster.data,
      // A session of its own: Ctrl-C in the terminal reaches Tartan, which drains and then stops the server.
      detached: true,
      // The fourth is inherited by each process of the server and keeps the lock for as long as one of them lives.
      stdio: ["ignore", log.fd, log.fd, lock],
      env: { PATH: process.env["PATH"] ?? "", LC_ALL: "C" },
    });
    let ended: string | undefined;
    child.once("error", (error) => (ended = error.message));
    child.once("exit", (code, signal) => (ended ??= `it ended with ${signal ?? code}`));
    child.unref();
    const pid = child.pid;
    if (pid !== undefined) onSpawn(pid);
    const isReady = await untilReady(options, pid, () => signal.aborted || ended !== undefined);
    const lastError = ended ?? "it does not become ready";
    if (!isReady) await abandon(child, () => ended !== undefined);
    signal.throwIfAborted();
    if (isReady && pid !== undefined) {
      await writeFile(join(cluster.home, "port"), String(port));
      return { pid, port, status: "ready" };
    }
    return explain(await readLog(cluster, from), lastError);
  } finally {
    await log.close();
  }
}

/** Ends a server that is not ready and no longer needed. */
async function abandon(child: ChildProcess, ended: () => boolean): Promise<void> {
  if (ended()) return;
  child.kill("SIGINT");
  if (!(await waitUntil(ended, ABANDON_MS))) child.kill("SIGQUIT");
  await waitUntil(ended, ABANDON_MS);
}

/** Returns true once the child `pid` is ready, false when `over` or after `startMs` without a report from it. */
async function untilReady(
  { cluster, startMs = START_MS }: ServerOptions,
  pid: number | undefined,
  over: () => boolean,
): Promise<boolean> {
  for (let end = Date.now() + startMs; !over() && Date.now() < end; await delay(20)) {
    // The file can be trusted: the child lives.
    const written = await readPostmaster(cluster.data);
    if (written?.pid !== pid) continue;
    if (written?.status === "ready") return true;
    if (written?.status === "starting") end = Date.now() + startMs;
  }
  return false;
}

/** Postgres' own messages, in English because LC_ALL is C. */
const IN_THE_WAY = [
  'lock file "postmaster.pid" already exists',
  "pre-existing shared memory block",
  'lock file "postmaster.pid" is empty',
  "could not bind",
  "Address already in use",
];

function explain(log: string, ended: string): Failure {
  const fatal = log.split("\n").findLast((line) => /FATAL|ERROR|error while loading/.test(line));
  const lastError = fatal?.replace(/^.*?(FATAL|ERROR):\s*/, "") ?? ended;
  return { lastError, mayPass: IN_THE_WAY.some((text) => log.includes(text)) };
}

const LOG_MAX_BYTES = 16 * 1024 * 1024;
const logFile = (cluster: Cluster): string => join(cluster.home, "server.log");

async function openLog(cluster: Cluster) {
  const { size } = await stat(logFile(cluster)).catch(() => ({ size: 0 }));
  return await open(logFile(cluster), size > LOG_MAX_BYTES ? "w" : "a", 0o600);
}

async function readLog(cluster: Cluster, from: number): Promise<string> {
  return (await readFile(logFile(cluster))).subarray(from).toString("utf8");
}

/** The previous port where it is free, so that saved connection strings stay valid; else any free port. */
async function choosePort(cluster: Cluster, preferLast: boolean): Promise<number> {
  const last = preferLast ? Number(await readFile(join(cluster.home, "port"), "utf8").catch(() => "0")) : 0;
  return (last > 0 && (await tryPort(last))) || (await tryPort(0)) || 0;
}

async function tryPort(port: number): Promise<number | undefined> {
  return await new Promise((resolve) => {
    const probe = createServer();
    probe.once("error", () => resolve(undefined));
    probe.listen(port, "127.0.0.1", () => {
      const address = probe.address();
      probe.close(() => resolve(typeof address === "object" && address ? address.port : undefined));
    });
  });
}
