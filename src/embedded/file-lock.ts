/**
 * A lock on a file that the kernel holds: an open file description lock on Linux, flock on macOS. It is seen from every
 * PID, IPC and mount namespace that shares the file, a child that inherits the descriptor holds it too, and it ends
 * when the last process that holds it ends, however that happens. Process ids can do none of this: they mean something
 * else in each container.
 *
 * Never delete or replace the file: a process that opened the old one would hold a lock that no other process sees.
 */
import { closeSync, ftruncateSync, openSync, readFileSync, readlinkSync, writeSync } from "node:fs";
import { createRequire } from "node:module";
import { hostname } from "node:os";
import { TartanError } from "../errors.ts";

/** The holder of a lock, as it signed the file. For messages only: the kernel knows the real holder. */
export interface LockHolder {
  pid: number;
  host: string;
  /** names the PID namespace that `pid` belongs to; empty where the system has none */
  namespace: string;
  /** ISO 8601 */
  since: string;
  /** the holder is about to release the lock */
  stopping: boolean;
  /** the holder is a command, which keeps the lock until it has done its work */
  brief: boolean;
}

const require = createRequire(import.meta.url);

/** Loaded when it is needed: only the embedded Postgres needs it, and not every platform has a build of it. */
function nativeTryLock(): (fd: number) => boolean {
  try {
    return (require("fs-native-extensions") as { tryLock(fd: number): boolean }).tryLock;
  } catch (cause) {
    throw new TartanError(
      "config_invalid",
      `File locks, which the embedded Postgres needs, are not available on ${process.platform}-${process.arch}. ` +
        "Set TARTAN_DATABASE_URL to a Postgres of your own.",
      { cause, fields: { TARTAN_DATABASE_URL: "needed on this machine: file locks are not available" } },
    );
  }
}

const namespaceHere = (): string => {
  try {
    return readlinkSync("/proc/self/ns/pid");
  } catch {
    return "";
  }
};

/** True when the holder's process id means the same process here. */
export const isNeighbour = ({ host, namespace }: LockHolder): boolean =>
  host === hostname() && namespace === namespaceHere();

export class FileLock {
  readonly file: string;
  readonly #since = new Date().toISOString();
  #fd: number | undefined;

  constructor(file: string) {
    this.file = file;
  }

  /** The descriptor that holds the lock, for a child to inherit; undefined while it is not held. */
  get fd(): number | undefined {
    return this.#fd;
  }

  /**
   * Takes the lock unless another process holds it. Taking a held lock again changes nothing.
   * @throws TartanError `config_invalid` where the file system has no locks; the file system's own errors
   */
  tryTake(): boolean {
    if (this.#fd !== undefined) return true;
    const tryLock = nativeTryLock();
    const fd = openSync(this.file, "a+", 0o600);
    try {
      if (tryLock(fd)) this.#fd = fd;
      else closeSync(fd);
    } catch (cause) {
      closeSync(fd);
      throw new TartanError(
        "config_invalid",
        `The file system cannot lock ${this.file} (${String((cause as { code?: unknown }).code)}), so nothing would keep ` +
          "two Tartans apart. Put the data directory on a local disk, or set TARTAN_DATABASE_URL.",
        { cause, fields: { TARTAN_DATA_DIR: "is on a file system without locks" } },
      );
    }
    return this.#fd !== undefined;
  }

  /** Writes the holder into the file. A full disk may prevent that; the lock is held regardless. */
  sign({ stopping, brief }: Pick<LockHolder, "stopping" | "brief">): void {
    if (this.#fd === undefined) return;
    const { pid } = process;
    const holder: LockHolder = {
      pid,
      host: hostname(),
      namespace: namespaceHere(),
      since: this.#since,
      stopping,
      brief,
    };
    try {
      ftruncateSync(this.#fd, 0);
      writeSync(this.#fd, `${JSON.stringify(holder)}\n`);
    } catch {
      // the message that names the holder will be less exact
    }
  }

  /** The last holder that signed, perhaps long ago; null when the file names none. */
  lastHolder(): LockHolder | null {
    try {
      const holder = JSON.parse(readFileSync(this.file, "utf8")) as Partial<LockHolder>;
      const { pid, host, namespace, since } = holder;
      if (typeof pid !== "number" || typeof host !== "string" || typeof namespace !== "string") return null;
      return {
        pid,
        host,
        namespace,
        since: String(since),
        stopping: holder.stopping === true,
        brief: holder.brief === true,
      };
    } catch {
      return null;
    }
  }

  /** Releases the lock. A child that inherited the descriptor still holds it. */
  release(): void {
    if (this.#fd === undefined) return;
    closeSync(this.#fd);
    this.#fd = undefined;
  }
}
