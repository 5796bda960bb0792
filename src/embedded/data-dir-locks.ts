/**
 * The two locks of a data directory, both held by the kernel:
 *
 *   owner.lock     held by the one Tartan that runs the embedded Postgres, for as long as it lives
 *   postgres.lock  held by that Tartan and by every process of the Postgres it started: a Postgres that outlives its
 *                  Tartan keeps it, so no second one can be started on the same files, from no container
 *
 * A Tartan that finds a lock held waits while the holder may be stopping (a container that is being replaced), and refuses
 * to start at once when the holder stays.
 */
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { TartanError } from "../errors.ts";
import type { Logger } from "../logger.ts";
import { FileLock, isNeighbour, type LockHolder } from "./file-lock.ts";
import { isAlive } from "./postmaster.ts";

export interface Patience {
  dataDir: string;
  /** milliseconds to wait for a holder that may be stopping */
  waitMs: number;
  logger: Logger;
  signal: AbortSignal;
}

export const ownerLock = (dataDir: string): FileLock => new FileLock(join(dataDir, "owner.lock"));
export const postgresLock = (dataDir: string): FileLock => new FileLock(join(dataDir, "postgres.lock"));

const CHECK_EVERY_MS = 100;
const WARN_AFTER_MS = 2_000;

/**
 * Becomes the owner of the data directory. Waits for a brief holder as for one that is stopping.
 * @throws TartanError `data_dir_in_use` when another Tartan has it and keeps it
 */
export async function takeOwnership(lock: FileLock, patience: Patience, brief: boolean): Promise<void> {
  const stays = (holder: LockHolder | null) =>
    holder !== null && isNeighbour(holder) && !holder.stopping && !holder.brief && isAlive(holder.pid);
  await waitFor(patience, {
    done: async () => lock.tryTake(),
    holder: () => describeHolder(lock.lastHolder()),
    stays: () => stays(lock.lastHolder()),
  });
  lock.sign({ stopping: false, brief });
}

/**
 * Waits until nothing holds the files of the cluster any more, or until `visible` finds their Postgres in this namespace.
 * @returns whether the lock is held now
 * @throws TartanError `data_dir_in_use` when a Postgres that cannot be seen from here keeps running on them
 */
export async function takeCluster(
  lock: FileLock,
  owner: FileLock,
  visible: () => Promise<boolean>,
  patience: Patience,
): Promise<boolean> {
  await waitFor(patience, {
    done: async () => lock.tryTake() || (await visible()),
    holder: () => `a Postgres that cannot be seen from here and was started by ${describeHolder(owner.lastHolder())}`,
    stays: () => false,
  });
  return lock.fd !== undefined;
}

interface LockWait {
  done: () => Promise<boolean>;
  holder: () => string;
  /** the holder will not release the lock soon */
  stays: () => boolean;
}

async function waitFor(
  { dataDir, waitMs, logger, signal }: Patience,
  { done, holder, stays }: LockWait,
): Promise<void> {
  const start = Date.now();
  let warned = false;
  // A new holder needs a moment to sign the file, so the signature counts from the third check on.
  for (let checks = 1; !(await done()); checks += 1) {
    if ((checks > 2 && stays()) || Date.now() - start > waitMs) throw inUse(dataDir, holder());
    if (!warned && Date.now() - start > WARN_AFTER_MS) {
      warned = true;
      logger.warn({ dataDir, holder: holder(), waitMs }, "waiting: the data directory is in use");
    }
    await delay(CHECK_EVERY_MS, undefined, { signal }).catch(() => signal.throwIfAborted());
  }
}

function describeHolder(holder: LockHolder | null): string {
  if (!holder) return "another Tartan";
  const where = isNeighbour(holder) ? "" : ` on host ${holder.host}, in another container or on another machine`;
  return `another Tartan, process ${holder.pid}${where} (since ${holder.since})`;
}

function inUse(dataDir: string, holder: string): TartanError {
  return new TartanError(
    "data_dir_in_use",
    `The data directory ${dataDir} is in use by ${holder}. Stop that one, give this one a folder of its own with ` +
      "TARTAN_DATA_DIR, or let both share one Postgres with TARTAN_DATABASE_URL.",
    { fields: { TARTAN_DATA_DIR: `in use by ${holder}` } },
  );
}
