/**
 * The data directory: the only folder that Tartan writes to. It must be absolute, writable by this user and, where Tartan is
 * root, reachable by the user that Postgres runs as. Each obstacle becomes an error that says what to do.
 */
import { chmod, mkdir, stat } from "node:fs/promises";
import { dirname, isAbsolute } from "node:path";
import { TartanError } from "../errors.ts";
import { canEnter, type SystemAccount } from "./account.ts";

/** Postgres silently truncates longer paths (MAXPGPATH is 1024); the files below the folder need the rest. */
const PATH_MAX_BYTES = 900;

const unusable = (message: string, fault: string, cause?: unknown): TartanError =>
  new TartanError("config_invalid", message, { cause, mayPass: true, fields: { TARTAN_DATA_DIR: fault } });

/** @throws TartanError `config_invalid` for a path that Postgres cannot work with */
export function checkPath(dataDir: string): void {
  if (!isAbsolute(dataDir)) throw new TartanError("internal", "the data directory must be an absolute path");
  if (Buffer.byteLength(dataDir) > PATH_MAX_BYTES) {
    const length = Buffer.byteLength(dataDir);
    throw unusable(
      `The path of the data directory has ${length} bytes, and Postgres takes at most ${PATH_MAX_BYTES}. ` +
        "Set TARTAN_DATA_DIR to a shorter one.",
      `has ${length} bytes; at most ${PATH_MAX_BYTES}`,
    );
  }
  if (/[\n\r]/.test(dataDir)) {
    throw unusable(
      "The path of the data directory holds a line break, which Postgres cannot work with. Set TARTAN_DATA_DIR to another.",
      "holds a line break",
    );
  }
}

/**
 * Makes the folder; the server's user may enter it but not list it.
 * @throws TartanError `config_invalid` when it cannot be made, or that user cannot enter it
 */
export async function prepareDataDir(dataDir: string, account: SystemAccount | null): Promise<void> {
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  if (!account) return;
  const { mode } = await stat(dataDir);
  if ((mode & 0o001) === 0) await chmod(dataDir, (mode & 0o777) | 0o011);
  await checkReachable(dataDir, account);
}

/** @throws TartanError `config_invalid` naming the folder that is closed to the server's user */
export async function checkReachable(folder: string, account: SystemAccount | null): Promise<void> {
  if (await canEnter(account, folder)) return;
  let blocked = folder;
  while (dirname(blocked) !== blocked && !(await canEnter(account, dirname(blocked)))) blocked = dirname(blocked);
  throw unusable(
    `Postgres does not run as root, and its user (id ${account?.uid}) may not enter ${blocked}. Open that folder to it ` +
      `(chmod o+x '${blocked}'), or keep the data in a folder that it may enter (TARTAN_DATA_DIR=/var/lib/tartan), or run Tartan as ` +
      "an ordinary user.",
    `must be reachable by user id ${account?.uid}`,
  );
}

const user = (): string => `user id ${process.getuid?.() ?? "unknown"}`;

/** Error code of the file system → what is wrong with the data directory, and how to fix it. */
const FAULTS: Record<string, (dataDir: string) => [message: string, fault: string]> = {
  EACCES: (dataDir) => [
    `The data directory ${dataDir} cannot be written by ${user()}. Give it to that user (chown -R), run Tartan as the ` +
      "user that made it, or set TARTAN_DATA_DIR to another folder.",
    `not writable by ${user()}`,
  ],
  EROFS: (dataDir) => [
    `The data directory ${dataDir} is on a read-only file system. Mount it writable, or set TARTAN_DATA_DIR to another folder.`,
    "is on a read-only file system",
  ],
  ENOSPC: (dataDir) => [
    `There is no space left on the disk of the data directory ${dataDir}. Make room there, or set TARTAN_DATA_DIR to another disk.`,
    "no space left",
  ],
  ENOTDIR: (dataDir) => [
    `The data directory ${dataDir} is a file, or lies below one. Set TARTAN_DATA_DIR to a folder.`,
    "is not a folder",
  ],
};
const ALIASES: Record<string, string> = { EPERM: "EACCES", EDQUOT: "ENOSPC", EEXIST: "ENOTDIR" };

/** Translates a failure of the file system into an error about the data directory; returns any other error as it is. */
export function explainFileError(dataDir: string, error: unknown): unknown {
  const code = String((error as { code?: unknown } | undefined)?.code);
  const fault = FAULTS[ALIASES[code] ?? code];
  if (error instanceof TartanError || !fault || typeof (error as { syscall?: unknown }).syscall !== "string") {
    return error;
  }
  return unusable(...fault(dataDir), error);
}
