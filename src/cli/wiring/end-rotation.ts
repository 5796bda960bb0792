/** The end of a rotation of the master key: the old key is no longer needed, unless something outside of the database is sealed under it. */
import { rescuedTokens } from "../../integrations/rescued-tokens.ts";
import { finishRotation, type Vault } from "../../integrations/vault.ts";
import { rescuedExchanges } from "../../linking/rescued-exchanges.ts";
import { waitingTokens } from "../../spool/waiting-tokens.ts";
import { resealCaches, type CacheParts } from "./caches.ts";
import { spoolRoot } from "./engines.ts";

interface Rotation extends Omit<CacheParts, "config"> {
  dataDir: string;
  /** the keys are in a file of the data directory */
  generated: boolean;
  /** the old key is removed although tokens need it */
  force: boolean;
}

/** How many tokens an old key has sealed that are in no column of the database yet. */
export interface Unrotated {
  /** of items that wait in the spools */
  spooled: number;
  /** that Plaid gave while Postgres did not take them: rescue-files.ts */
  rescued: number;
}

/**
 * Seals the caches of this data directory anew. Then removes the old keys from the file, if the keys are in one and no token in the data
 * directory needs them.
 */
export async function endRotation({ dataDir, generated, force, ...parts }: Rotation): Promise<Unrotated> {
  const { vault } = parts;
  await resealCaches({ ...parts, config: { dataDir } });
  const spooled = countOld(vault, await waitingTokens(spoolRoot(dataDir)));
  const rescued = countOld(vault, [...(await rescuedTokens(dataDir)), ...(await rescuedExchanges(dataDir))]);
  if (generated && (spooled + rescued === 0 || force)) await finishRotation(dataDir);
  return { spooled, rescued };
}

/** Under a key that is not given they cannot be opened anyway. */
function countOld(vault: Vault, tokens: readonly Buffer[]): number {
  const [, ...old] = vault.keyIds;
  return tokens.filter((sealed) => old.includes(vault.keyIdOf(sealed) ?? "")).length;
}
