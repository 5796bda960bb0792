/** Replaces the master key: seals the sealed columns of all owners anew. */
import type { Database } from "../database/types.ts";
import { reseal, type Progress } from "../integrations/rotation.ts";
import { SEALED_COLUMNS } from "../integrations/sealed.ts";
import type { Vault } from "../integrations/vault.ts";
import { SEALED_COLUMNS as OF_LINKING } from "../linking/sealed.ts";
import { SEALED_COLUMNS as OF_THE_RELAY } from "../relay/destinations/sealed.ts";

/**
 * Makes the first key of `vault` the sealing key of all processes, and re-seals every sealed column with it.
 * @returns how many values were re-sealed, by `table.column`
 * @throws TartanError as `reseal` does
 */
export const rotateVault = (database: Database, vault: Vault, onProgress?: Progress): Promise<Record<string, number>> =>
  reseal(database, vault, [...SEALED_COLUMNS, ...OF_LINKING, ...OF_THE_RELAY], onProgress);
