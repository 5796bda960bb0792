/**
 * Every lock of Tartan's in one list. A lock is an empty table of sql/0001_database.sql, which no reader of the mirror can
 * reach; it ends with its transaction. The statements can be sent as they are, alone or in a transaction.
 *
 * A transaction that takes several takes them in the order of this list. Migrations lock a table of their own, which is
 * there before all others (migrate.ts).
 */
import type { Statement } from "./types.ts";

/** Their meaning stands with their tables. */
type Lock = "partitions" | "readers" | "sealing" | "dispatch" | "retention";

const statement = (name: string, calls: readonly string[]): Statement => ({ name, text: `select ${calls.join(", ")}` });

/** Waits for the locks, in this order, and holds them until the transaction ends. */
export const take = (...locks: readonly Lock[]): Statement =>
  statement(
    `take_${locks.join("_")}`,
    locks.map((lock) => `tartan_locks.take('${lock}')`),
  );

/** As `take`, but any number may hold it like this at once. */
export const share = (lock: Lock): Statement => statement(`share_${lock}`, [`tartan_locks.share('${lock}')`]);

/** Takes the lock if it is free, and says whether it did in the column `held`. */
export const tryTake = (lock: Lock): Statement =>
  statement(`try_${lock}`, [`tartan_locks.try_take('${lock}') as held`]);
