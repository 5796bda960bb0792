/**
 * Chooses the master key that seals: one for all processes on a database, named in tartan.sealing_key. A process with
 * TARTAN_MASTER_KEY=new,old still seals under the old key, so that processes which know only the old one can open what it
 * seals. `rotateVault` moves the database to the new key, once every running process knows it.
 */
import type { Database, Queryable } from "../database/types.ts";
import { GET_SEALING_KEY, INSERT_SEALING_KEY, LOCK_SEALING } from "./queries.ts";
import type { Vault } from "./seal.ts";

/**
 * Call it before the first seal of a transaction: the key then stays the same until the transaction ends, and a rotation finds what
 * the transaction sealed.
 * @throws TartanError `vault_key_missing` when this process does not have the key
 */
export async function beginSealing(tx: Queryable, vault: Vault): Promise<void> {
  await tx.query(LOCK_SEALING);
  const known = await getSealingKey(tx);
  if (known === null) await tx.query(INSERT_SEALING_KEY, [vault.keyIds[0]]);
  // When two first seals happen at once, one names the key, and the other uses it.
  vault.use(known ?? (await getSealingKey(tx)) ?? vault.keyIds[0]);
}

/**
 * Makes sure that this process can open what is sealed from now on. A server calls it after it has added itself to the list of
 * processes. A rotation reads that list under the lock that is shared here, so one of the two sees the other.
 * @throws TartanError `vault_key_missing`
 */
export async function checkSealingKey(database: Database, vault: Vault): Promise<void> {
  const known = await database.transaction(async (tx) => {
    await tx.query(LOCK_SEALING);
    return await getSealingKey(tx);
  });
  if (known !== null) vault.use(known);
}

async function getSealingKey(q: Queryable): Promise<string | null> {
  return (await q.query<{ key_id: string }>(GET_SEALING_KEY)).rows[0]?.key_id ?? null;
}
