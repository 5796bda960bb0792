/**
 * The files of the embedded server: <dataDir>/postgres holds the cluster itself (data), the password of its only
 * login (0600), the port it used last and its log. It is made aside and moved into place whole, so that a kill at any
 * instant leaves either no cluster or a complete one, and of two that start at once one wins.
 */
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import {
  access,
  chmod,
  chown,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  realpath,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { promisify } from "node:util";
import { TartanError } from "../errors.ts";
import type { Logger } from "../logger.ts";
import { canEnter, SYSTEM_DIR, type Account } from "./account.ts";

export interface Cluster {
  /** <dataDir>/postgres, or where that links to */
  home: string;
  /** the folder that Postgres owns */
  data: string;
  password: string;
}

/** The role Tartan logs in as, and its database. */
export const OWNER = "tartan";

const run = promisify(execFile);
const homeOf = (dataDir: string): string => resolve(dataDir, "postgres");

/** The cluster in `dataDir`, or null when none was made yet. */
export async function findCluster(dataDir: string): Promise<Cluster | null> {
  let home = homeOf(dataDir);
  try {
    home = await realpath(home);
    const password = (await readFile(join(home, "password"), "utf8")).trim();
    return { home, data: join(home, "data"), password };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw unreadable(home, error);
  }
}

function unreadable(home: string, cause: unknown): TartanError {
  const message = `The embedded database in ${home} cannot be read; run Tartan as the user that made it, or set TARTAN_DATA_DIR to another folder.`;
  return new TartanError("config_invalid", message, {
    cause,
    fields: { TARTAN_DATA_DIR: "not readable by this user" },
  });
}

/** Makes the folder; another user who runs the server may pass through it but not look around. */
export async function prepareDataDir(dataDir: string, account: Account | null): Promise<void> {
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  if (!account) return;
  const { mode } = await stat(dataDir);
  if ((mode & 0o001) === 0) await chmod(dataDir, (mode & 0o777) | 0o011);
}

/** @throws TartanError `config_invalid` when a folder above an existing cluster was closed to the server's user */
export async function checkReachable({ data }: Cluster, account: Account | null): Promise<void> {
  if (await canEnter(account, data)) return;
  let blocked = data;
  while (dirname(blocked) !== blocked && !(await canEnter(account, dirname(blocked)))) blocked = dirname(blocked);
  throw new TartanError(
    "config_invalid",
    `Postgres does not run as root, and its user (id ${account?.uid}) may not enter ${blocked}. ` +
      "Open that folder to it (chmod o+x), or move the data directory and say where with TARTAN_DATA_DIR.",
    { fields: { TARTAN_DATA_DIR: `must be reachable by user id ${account?.uid}` } },
  );
}

interface Making {
  dataDir: string;
  initdb: string;
  account: Account | null;
  /** false only in tests: a crash of the machine may then lose the new cluster */
  sync: boolean;
  logger: Logger;
}

/** Makes a cluster; where another process was faster, its is returned. */
export async function makeCluster({ dataDir, initdb, account, sync, logger }: Making): Promise<Cluster> {
  const home = homeOf(dataDir);
  const near = await canEnter(account, dataDir);
  const aside = near ? await mkdtemp(`${home}.new-`) : await makeFarAway(home, logger);
  let published = false;
  try {
    const data = join(aside, "data");
    const passwordFile = join(aside, "password");
    await mkdir(data, { mode: 0o700 });
    await writeFile(passwordFile, randomBytes(24).toString("base64url"), { mode: 0o600 });
    if (account) {
      await chmod(aside, 0o711);
      for (const path of [data, passwordFile]) await chown(path, account.uid, account.gid);
    }
    await initialise(initdb, { data, passwordFile, account, sync });
    published = await publish(home, () => (near ? rename(aside, home) : symlink(aside, home)));
  } finally {
    if (!published) await rm(aside, { recursive: true, force: true });
  }
  const made = await findCluster(dataDir);
  if (!made) throw new TartanError("internal", `the embedded database in ${home} vanished while it was made`);
  return made;
}

/** Below root's home, say, the server's user reaches nothing; so root keeps the cluster elsewhere and links to it. */
async function makeFarAway(home: string, logger: Logger): Promise<string> {
  await mkdir(SYSTEM_DIR, { recursive: true, mode: 0o755 });
  const place = await mkdtemp(join(SYSTEM_DIR, "postgres-"));
  logger.warn(
    { place, link: home },
    "the data directory is closed to Postgres' system user; the database is kept elsewhere",
  );
  return place;
}

/** False where another process had published its own before. */
async function publish(home: string, move: () => Promise<void>): Promise<boolean> {
  try {
    await move();
    return true;
  } catch (error) {
    await access(join(home, "password")).catch(() => {
      throw error;
    });
    return false;
  }
}

interface Initialising {
  data: string;
  passwordFile: string;
  account: Account | null;
  sync: boolean;
}

/** A locale of Postgres' own, so that the order of texts is the same on every machine. */
const LOCALE = ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"];

async function initialise(initdb: string, { data, passwordFile, account, sync }: Initialising): Promise<void> {
  const login = [`--username=${OWNER}`, `--pwfile=${passwordFile}`, "--auth=scram-sha-256"];
  const args = [`--pgdata=${data}`, ...login, ...LOCALE, ...(sync ? [] : ["--no-sync"])];
  try {
    await run(initdb, args, { ...account, cwd: data, env: { PATH: process.env["PATH"] ?? "" } });
  } catch (error) {
    const told = (error as { stderr?: string }).stderr?.trim().split("\n").slice(-3).join(" ") ?? "";
    throw new TartanError("database_unavailable", `The embedded Postgres could not be set up in ${data}: ${told}`, {
      cause: error,
    });
  }
}

const ABANDONED_MS = 10 * 60_000;

/** Takes away what was left of clusters whose making was killed. */
export async function removeAbandoned(dataDir: string): Promise<void> {
  for (const name of await readdir(dataDir)) {
    if (!name.startsWith("postgres.new-")) continue;
    const path = join(dataDir, name);
    const { mtimeMs } = await stat(path).catch(() => ({ mtimeMs: Date.now() }));
    if (Date.now() - mtimeMs > ABANDONED_MS) await rm(path, { recursive: true, force: true });
  }
}
