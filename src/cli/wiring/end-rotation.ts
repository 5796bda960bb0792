/** The end of a rotation of the master key: the old key is no longer needed, unless something outside of the database is sealed under it. */
import { finishRotation, type Vault } from "../../integrations/vault.ts";
import { waitingTokens } from "../../spool/waiting-tokens.ts";
import { spoolRoot } from "./engines.ts";

interface Rotation {
  dataDir: string;
  vault: Vault;
  /** the keys are in a file of the data directory */
  generated: boolean;
  /** the old key is removed although tokens need it */
  force: boolean;
}

/**
 * Removes the old keys from the file, if the keys are in one and no token in the spools of this data directory needs them.
 * @returns how many tokens there an old key has sealed
 */
export async function endRotation({ dataDir, vault, generated, force }: Rotation): Promise<number> {
  const [first, ...others] = vault.keyIds;
  const tokens = await waitingTokens(spoolRoot(dataDir));
  // Under a key that is not given they cannot be opened anyway.
  const waiting = tokens.filter((sealed) => {
    const keyId = vault.keyIdOf(sealed);
    return keyId !== null && keyId !== first && others.includes(keyId);
  }).length;
  if (generated && (waiting === 0 || force)) await finishRotation(dataDir);
  return waiting;
}
