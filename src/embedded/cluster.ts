/**
 * The files of the embedded server: <dataDir>/postgres holds the cluster itself (data), the password of its only
 * login (0600), the port it used last and its log. Tartan makes it under another name and renames it once it is complete,
 * so a kill at any instant leaves either no cluster or a complete one.
 */
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import {
  chmod,
  chown,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  realpath,
  rename,
  rm,
  stat,
  writeFile,
} from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { TartanError } from "../errors.ts";
import type { Logger } from "../logger.ts";
import type { SystemAccount } from "./account.ts";

export interface Cluster {
  /** <dataDir>/postgres, its links followed */
  home: string;
  /** the folder that Postgres owns */
  data: string;
  password: string;
}

/** The role Tartan logs in as, and its database. */
export const OWNER = "tartan";

const run = promisify(execFile);
export const homeOf = (dataDir: string): string => join(dataDir, "postgres");

/**
 * The cluster in `dataDir`, or null when none was made yet.
 * @throws TartanError `config_invalid` when something else is in its place
 */
export async function findCluster(dataDir: string): Promise<Cluster | null> {
  let home = homeOf(dataDir);
  if (await isVacant(home)) return null;
  try {
    home = await realpath(home);
    const password = (await readFile(join(home, "password"), "utf8")).trim();
    return { home, data: join(home, "data"), password };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "ENOENT" && code !== "ENOTDIR") throw unreadable(home, error);
    throw broken(`${home} is incomplete, or was not made by Tartan: it has no password file`, home);
  }
}

async function isVacant(home: string): Promise<boolean> {
  try {
    return (await readdir(home)).length === 0;
  } catch (error) {
    // A link whose target is gone is not vacant: data was there.
    return (error as NodeJS.ErrnoException).code === "ENOENT" && (await lstat(home).catch(() => null)) === null;
  }
}

function unreadable(home: string, cause: unknown): TartanError {
  const message = `The embedded database in ${home} cannot be read; run Tartan as the user that made it, or set TARTAN_DATA_DIR to another folder.`;
  return new TartanError("config_invalid", message, {
    cause,
    mayPass: true,
    fields: { TARTAN_DATA_DIR: "not readable by this user" },
  });
}

const REMEDY =
  "Put the whole folder back from a backup, move it away to begin with an empty database, or set TARTAN_DATA_DIR to another folder";

/** @param mayPass false where only another version of Tartan can use it */
function broken(fault: string, home: string, { remedy = REMEDY, mayPass = true } = {}): TartanError {
  return new TartanError("config_invalid", `${fault}. ${remedy}.`, {
    mayPass,
    fields: { TARTAN_DATA_DIR: `holds no usable database: see ${home}` },
  });
}

/**
 * Checks that the server can run on the cluster, and narrows permissions that a volume's driver widened.
 * @throws TartanError `config_invalid` when it is of another version or owner, or no cluster at all
 */
export async function checkCluster(
  { home, data }: Cluster,
  { account, major, logger }: { account: SystemAccount | null; major: number; logger: Logger },
): Promise<void> {
  const version = await readFile(join(data, "PG_VERSION"), "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT" || error.code === "ENOTDIR") return null;
    throw unreadable(home, error);
  });
  if (version === null) throw broken(`There is no Postgres cluster in ${data} (PG_VERSION is missing)`, home);
  if (Number(version) !== major) {
    const remedy = `Run the version of Tartan that made it, and copy the data with pg_dump; or set TARTAN_DATA_DIR to another folder`;
    throw broken(
      `The database in ${data} is of Postgres ${version.trim()}, and this Tartan brings Postgres ${major}`,
      home,
      { remedy, mayPass: false },
    );
  }
  const uid = account?.uid ?? process.getuid?.();
  const { uid: owner, mode } = await stat(data);
  if (uid !== undefined && owner !== uid) {
    const remedy = `Run Tartan as that user, or give the folder to the other (chown -R ${uid} '${home}')`;
    throw broken(`The database in ${data} belongs to user id ${owner}, and Postgres would run as ${uid}`, home, {
      remedy,
    });
  }
  await narrow(data, mode, logger);
}

/** Postgres takes 0700 and 0750 only; Kubernetes' fsGroup, for one, opens every folder of a volume to the group. */
async function narrow(data: string, mode: number, logger: Logger): Promise<void> {
  if ((mode & 0o027) === 0) return;
  await chmod(data, 0o700);
  logger.warn(
    { data, mode: (mode & 0o7777).toString(8) },
    "closed the database's folder, which was open to other users",
  );
}

interface Making {
  dataDir: string;
  initdb: string;
  account: SystemAccount | null;
  /** false only in tests: a crash of the machine may then lose the new cluster */
  sync: boolean;
  signal: AbortSignal;
}

/** Makes a cluster. The caller holds postgres.lock, so no other process makes one. */
export async function makeCluster({ dataDir, initdb, account, sync, signal }: Making): Promise<Cluster> {
  const home = homeOf(dataDir);
  const aside = await mkdtemp(`${home}.new-`);
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
    await initialise(initdb, { data, passwordFile, account, sync, signal });
    await rename(aside, home);
    published = true;
  } finally {
    if (!published) await discard(aside);
  }
  const made = await findCluster(dataDir);
  if (!made) throw new TartanError("internal", `the embedded database in ${home} vanished while it was made`);
  return made;
}

/**
 * A stopped initdb leaves a Postgres behind that writes for some milliseconds more. A folder that cannot be removed must not
 * hide the error that stopped initdb; removeAbandoned removes it later.
 */
async function discard(aside: string): Promise<void> {
  await rm(aside, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 }).catch(() => undefined);
}

interface Initialising {
  data: string;
  passwordFile: string;
  account: SystemAccount | null;
  sync: boolean;
  signal: AbortSignal;
}

/** Postgres' built-in locale, so that texts have the same order on every machine. */
const LOCALE = ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"];

async function initialise(initdb: string, { data, passwordFile, account, sync, signal }: Initialising): Promise<void> {
  const login = [`--username=${OWNER}`, `--pwfile=${passwordFile}`, "--auth=scram-sha-256"];
  const args = [`--pgdata=${data}`, ...login, ...LOCALE, ...(sync ? [] : ["--no-sync"])];
  try {
    await run(initdb, args, { ...account, cwd: data, env: { PATH: process.env["PATH"] ?? "" }, signal });
  } catch (error) {
    signal.throwIfAborted();
    const lastLines = (error as { stderr?: string }).stderr?.trim().split("\n").slice(-3).join(" ") ?? "";
    throw new TartanError(
      "database_unavailable",
      `The embedded Postgres could not be set up in ${data}: ${lastLines}`,
      {
        cause: error,
      },
    );
  }
}

const ABANDONED_MS = 10 * 60_000;

/** Removes the folders of clusters whose creation was killed. */
export async function removeAbandoned(dataDir: string): Promise<void> {
  for (const name of await readdir(dataDir)) {
    if (!name.startsWith("postgres.new-")) continue;
    const path = join(dataDir, name);
    const { mtimeMs } = await stat(path).catch(() => ({ mtimeMs: Date.now() }));
    if (Date.now() - mtimeMs > ABANDONED_MS) await rm(path, { recursive: true, force: true });
  }
}
