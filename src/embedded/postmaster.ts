/**
 * Finds and stops the server process of a cluster by its postmaster.pid. That file outlives a crash of the machine, and its
 * process id may then belong to another program, so a process counts as the server only if its working directory is the
 * cluster's folder, to which every postmaster changes.
 */
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { readFile, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";

/** The content of postmaster.pid; the server writes it line by line while it starts. */
export interface Postmaster {
  pid: number;
  /** absent until the server has bound its address */
  port: number | undefined;
  /** `starting`, `ready`, `stopping`, `standby`, or empty */
  status: string;
}

const run = promisify(execFile);
const pidFile = (cluster: string): string => join(cluster, "postmaster.pid");

async function readIfThere(file: string): Promise<string | null> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return null;
    throw error;
  }
}

function parse(text: string): Postmaster | null {
  // Lines: pid, folder, start time, port, socket folder, address, shared memory, status.
  const lines = text.split("\n").map((line) => line.trim());
  const pid = Math.abs(Number(lines[0]));
  if (!Number.isInteger(pid) || pid === 0) return null;
  return { pid, port: Number(lines[3]) || undefined, status: lines[7] ?? "" };
}

/** The content of postmaster.pid, unverified; null when there is none. */
export async function readPostmaster(cluster: string): Promise<Postmaster | null> {
  const text = await readIfThere(pidFile(cluster));
  return text === null ? null : parse(text);
}

/** The server that runs on `cluster`, or null. */
export async function findPostmaster(cluster: string): Promise<Postmaster | null> {
  const found = await readPostmaster(cluster);
  return found && (await isServerOf(found.pid, cluster)) ? found : null;
}

/** True when process `pid` lives, also when it belongs to another user. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

async function isServerOf(pid: number, cluster: string): Promise<boolean> {
  if (!isAlive(pid)) return false;
  if (process.platform !== "linux") return await looksLikeServer(pid, cluster);
  try {
    // Compared by inode: in a PID namespace shared with other containers the same path may be another volume's. A zombie
    // has no working directory any more.
    const [cwd, folder] = await Promise.all([stat(`/proc/${pid}/cwd`), stat(cluster)]);
    return cwd.dev === folder.dev && cwd.ino === folder.ino;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EACCES") return false;
    return await wasStartedOn(pid, cluster);
  }
}

/**
 * Compares the process's arguments, which every user may read: without CAP_SYS_PTRACE, root in a container may not read the
 * working directory of another user's process. A zombie has no arguments any more.
 */
async function wasStartedOn(pid: number, cluster: string): Promise<boolean> {
  try {
    const args = (await readFile(`/proc/${pid}/cmdline`, "utf8")).split("\0");
    const given = args.indexOf("-D") + 1;
    if (given === 0) return false;
    const [named, folder] = await Promise.all([stat(args[given] ?? ""), stat(cluster)]);
    return named.dev === folder.dev && named.ino === folder.ino;
  } catch {
    return false;
  }
}

async function looksLikeServer(pid: number, cluster: string): Promise<boolean> {
  try {
    const { stdout } = await run("ps", ["-o", "command=", "-p", String(pid)]);
    return stdout.includes("postgres") && stdout.includes(cluster);
  } catch {
    return false;
  }
}

const WRITING_MS = 2_000;

/**
 * Removes a postmaster.pid whose process id now belongs to another program: Postgres would never start.
 * (Where no such process lives, Postgres recovers by itself.) The caller holds postgres.lock: without it, a server in
 * another PID namespace would look like a process that does not exist. The file is renamed before it is checked again, so that
 * the file of a server that started meanwhile is put back and not lost.
 */
export async function removeStalePidFile(cluster: string): Promise<void> {
  const file = pidFile(cluster);
  const aside = `${file}.stale-${process.pid}`;
  if (await findPostmaster(cluster)) return;
  const { mtimeMs, size } = await stat(file).catch(() => ({ mtimeMs: 0, size: 0 }));
  // An empty one is left over from a full disk, unless a server is writing it just now.
  if (size === 0 && Date.now() - mtimeMs < WRITING_MS) return;
  try {
    await rename(file, aside);
  } catch {
    return;
  }
  const moved = parse((await readIfThere(aside)) ?? "");
  if (moved && (await isServerOf(moved.pid, cluster))) await rename(aside, file);
  else await rm(aside, { force: true });
}

/** Waits until `condition` holds; returns false when it does not within `ms`. */
export async function waitUntil(condition: () => Promise<boolean> | boolean, ms: number): Promise<boolean> {
  for (const end = Date.now() + ms; ;) {
    if (await condition()) return true;
    if (Date.now() > end) return false;
    await delay(20);
  }
}

const FAST_STOP_MS = 60_000;
const IMMEDIATE_STOP_MS = 20_000;

/**
 * Fast shutdown: sessions are ended, a checkpoint is written. A server that has not stopped after a minute is stopped
 * at once, which loses nothing either: it recovers from its log at the next start.
 */
export async function stopPostmaster(cluster: string): Promise<void> {
  const server = await findPostmaster(cluster);
  if (!server) return;
  const gone = async () => !(await isServerOf(server.pid, cluster));
  for (const [signal, ms] of [
    ["SIGINT", FAST_STOP_MS],
    ["SIGQUIT", IMMEDIATE_STOP_MS],
  ] as const) {
    try {
      process.kill(server.pid, signal);
    } catch {
      return; // gone already
    }
    if (await waitUntil(gone, ms)) return;
  }
}

/**
 * Asks the server to stop without waiting for it, for a process that is about to exit and may do nothing that takes time.
 * `pid` is the server that the caller knows; a server that postmaster.pid no longer names is left alone.
 */
export function askToStop(cluster: string, pid: number): void {
  try {
    if (readFileSync(pidFile(cluster), "utf8").startsWith(`${pid}\n`)) process.kill(pid, "SIGINT");
  } catch {
    // gone already
  }
}
