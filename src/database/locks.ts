/**
 * All locks of Tartan. A lock is an empty table of sql/0001_database.sql, which no reader of the mirror can reach; it ends
 * with its transaction. Each statement may be sent alone or in a transaction.
 *
 * A transaction that takes several locks takes them in the order of this list. Migrations lock a table of their own, which
 * exists before all others.
 */
import type { Statement } from "./types.ts";

/** The comments of their tables say what each protects. */
export const LOCKS = ["partitions", "readers", "sealing", "dispatch", "retention"] as const;
type Lock = (typeof LOCKS)[number];

const statement = (name: string, calls: readonly string[]): Statement => ({ name, text: `select ${calls.join(", ")}` });

/** Waits for the locks, in this order, and holds them until the transaction ends. */
export const take = (...locks: readonly Lock[]): Statement =>
  statement(
    `take_${locks.join("_")}`,
    locks.map((lock) => `tartan_locks.take('${lock}')`),
  );

/** Waits for the lock and shares it with any number of others that share it. */
export const share = (lock: Lock): Statement => statement(`share_${lock}`, [`tartan_locks.share('${lock}')`]);

/** Takes the lock if it is free; the column `held` says whether it did. */
export const tryTake = (lock: Lock): Statement =>
  statement(`try_${lock}`, [`tartan_locks.try_take('${lock}') as held`]);

/** A connection of its own holds it for as long as a process migrates. */
export const LOCK_MIGRATIONS = "lock table tartan_meta.migrating in exclusive mode";
