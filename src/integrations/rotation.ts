/**
 * Re-seals everything under the active key, while servers read and write. Batches are small transactions and change only values
 * that another key sealed, so you can run an interrupted rotation again.
 *
 * Why the rotation misses nothing: every transaction that seals holds a shared lock from before it reads the
 * keys until it commits. After the new key is in place, the rotation takes that lock exclusively for an instant. Everything
 * sealed with an old key has committed then, so the rotation finds it; everything sealed later uses the new key.
 */
import { listProcessesWithoutKey } from "../database/processes.ts";
import type { Database, Queryable } from "../database/types.ts";
import { TartanError } from "../errors.ts";
import { COUNT_RESEALS, LOCK_ROTATION, SELECT_RESEALS, SET_SEALING_KEY } from "./queries.ts";
import { sealPrefix, type Vault } from "./seal.ts";
import type { SealedColumn } from "./sealed.ts";

const BATCH = 200;

export type Progress = (done: number, total: number) => void;

interface Row {
  key: string[];
  sealed: Buffer;
}

/**
 * Makes the first key of `vault` the one that all processes seal under, and re-seals the columns under it.
 * @param columns all sealed columns, of all owners
 * @returns how many values were re-sealed, by `table.column`
 * @throws TartanError `conflict` while a running process does not know the key; `vault_unsealable` after everything else was
 *   re-sealed, naming the rows that could not be opened; keep the old keys until these are fixed
 */
export async function reseal(
  database: Database,
  vault: Vault,
  columns: readonly SealedColumn[],
  onProgress?: Progress,
): Promise<Record<string, number>> {
  const [keyId] = vault.keyIds;
  await database.transaction(async (tx) => {
    await tx.query(LOCK_ROTATION);
    await tx.query(SET_SEALING_KEY, [keyId]);
    const unprepared = await listProcessesWithoutKey(tx, keyId);
    if (unprepared.length > 0) throw notYet(unprepared);
  });
  vault.use(keyId);
  const prefix = sealPrefix(vault.activeKeyId);
  const total = await countAll(database, columns, prefix);
  const counts: Record<string, number> = {};
  const unopened: string[] = [];
  let done = 0;
  for (const column of columns) {
    const name = `${column.table}.${column.column}`;
    counts[name] = 0;
    for await (const { resealed, failed, seen } of batches(database, vault, column, prefix)) {
      counts[name] += resealed;
      unopened.push(...failed.map((key) => `${name} of ${key.join(" ")}`));
      done += seen;
      onProgress?.(Math.min(done, total), total);
    }
  }
  if (unopened.length > 0) throw leftBehind(unopened);
  return counts;
}

async function countAll(database: Queryable, columns: readonly SealedColumn[], prefix: Buffer): Promise<number> {
  let total = 0;
  for (const column of columns) {
    const { rows } = await database.query<{ count: number }>(COUNT_RESEALS(column), [prefix]);
    total += rows[0]?.count ?? 0;
  }
  return total;
}

async function* batches(database: Database, vault: Vault, column: SealedColumn, prefix: Buffer) {
  let after = column.key.map(() => "");
  for (;;) {
    const { rows } = await database.query<Row>(SELECT_RESEALS(column), [prefix, BATCH, ...after]);
    const last = rows.at(-1);
    if (!last) return;
    after = last.key;
    const failed: string[][] = [];
    const resealed = await database.transaction(async (tx) => {
      failed.length = 0;
      let count = 0;
      for (const row of rows) {
        const sealed = sealAnew(vault, column, row);
        if (!sealed) failed.push(row.key);
        // Changes a value only if it is still the one that was read: a server may have stored a newer token meanwhile.
        else count += (await tx.query(column.reseal, [sealed, row.sealed, ...row.key])).rowCount;
      }
      return count;
    });
    yield { resealed, failed, seen: rows.length };
  }
}

function sealAnew(vault: Vault, column: SealedColumn, { key, sealed }: Row): Buffer | null {
  const context = column.context(key);
  try {
    return vault.seal(vault.open(sealed, context), context);
  } catch (error) {
    if (error instanceof TartanError && error.code === "vault_unsealable") return null;
    throw error;
  }
}

const NAMED = 10;

function notYet(unprepared: readonly { host: string; pid: number }[]): TartanError {
  const named = unprepared.slice(0, NAMED).map(({ host, pid }) => `process ${pid} on ${host}`);
  const more = unprepared.length > NAMED ? ` and ${unprepared.length - NAMED} more` : "";
  return new TartanError(
    "conflict",
    `Nothing was changed: ${named.join(", ")}${more} would not be able to open what is sealed under the new master key. ` +
      "Restart every process with TARTAN_MASTER_KEY=new,old, then run `tartan vault rotate` again.",
  );
}

function leftBehind(unopened: readonly string[]): TartanError {
  const more = unopened.length > NAMED ? ` and ${unopened.length - NAMED} more` : "";
  return new TartanError(
    "vault_unsealable",
    `Everything else is sealed anew, but these could not be opened: ${unopened.slice(0, NAMED).join(", ")}${more}. ` +
      "Give the master key that sealed them, or store their secrets anew, and rotate again.",
  );
}
