/**
 * Which master key seals: one for all processes on a database, named in tartan.sealing_key. A process that is given
 * TARTAN_MASTER_KEY=new,old goes on sealing under the old key, so that processes which know only the old one can open what it
 * seals. `rotateVault` moves the database to the new key, once every process that lives knows it.
 */
import type { Database, Queryable } from "../database/types.ts";
import { GET_SEALING_KEY, INSERT_SEALING_KEY, LOCK_SEALING } from "./queries.ts";
import type { Vault } from "./seal.ts";

/**
 * Comes before the first seal of a transaction: nothing changes the key until it ends, and a rotation finds what it sealed.
 * @throws TartanError `vault_key_missing` when this process does not have the key
 */
export async function beginSealing(tx: Queryable, vault: Vault): Promise<void> {
  await tx.query(LOCK_SEALING);
  const known = await getSealingKey(tx);
  if (known === null) await tx.query(INSERT_SEALING_KEY, [vault.keyIds[0]]);
  // Of two first seals at once one names the key, and the other uses that.
  vault.use(known ?? (await getSealingKey(tx)) ?? vault.keyIds[0]);
}

/**
 * Makes sure that this process can open what is sealed from now on. A server does this after it has added itself to the list of
 * processes: a rotation looks at that list under the lock that is shared here, so one of the two finds the other.
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
