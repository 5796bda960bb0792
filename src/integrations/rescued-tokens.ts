/**
 * Files with tokens of rotations that may not be in the database yet: <data directory>/rescued-tokens/<rotation>.json (rescue-files.ts).
 * A rotation writes one before its commit and deletes it afterwards; servers look for such files when they start and every minute.
 */
import { join } from "node:path";
import { z } from "zod";
import type { Database } from "../database/types.ts";
import type { Logger } from "../logger.ts";
import { BY_TARTAN } from "../model/change.ts";
import { holdFormer, replaceToken } from "./replace-token.ts";
import { openRescueFile, sealedIn, takeInFiles, type Fate } from "./rescue-files.ts";
import { itemToken } from "./sealed.ts";
import { beginSealing } from "./sealing.ts";
import type { Vault } from "./vault.ts";

const FOLDER = "rescued-tokens";

const Kept = z.strictObject({
  integration_id: z.string(),
  item_id: z.string(),
  sealed: z.base64(),
  former_sha256: z.hex(),
});
type KeptToken = z.infer<typeof Kept>;

export interface Rescue {
  file: string;
  /** Resolves once it is on the disk. */
  keep(token: { integrationId: string; itemId: string; sealed: Buffer; formerSha256: Buffer }): Promise<void>;
  /** Deletes the file; that it cannot is no failure, since the next look finds that the token is stored. */
  discard(): Promise<void>;
}

/** Opens the file of a rotation before it begins. */
export async function openRescue(dataDir: string, rotationId: string): Promise<Rescue> {
  const { file, keep, discard } = await openRescueFile(join(dataDir, FOLDER), rotationId);
  return {
    file,
    keep: async ({ integrationId, itemId, sealed, formerSha256 }) => {
      const kept: KeptToken = {
        integration_id: integrationId,
        item_id: itemId,
        sealed: sealed.toString("base64"),
        former_sha256: formerSha256.toString("hex"),
      };
      await keep(kept);
    },
    discard,
  };
}

/** The sealed tokens that may not be in the database yet. @throws the file system's own errors */
export const rescuedTokens = (dataDir: string): Promise<Buffer[]> => sealedIn(join(dataDir, FOLDER));

interface TakeInDeps {
  database: Database;
  vault: Vault;
  logger: Logger;
}

interface Which {
  integrationId: string;
  itemId: string;
}

/**
 * Takes in the tokens that other processes could not store.
 * @param only this item's; absent: all
 * @returns the ids of the items that have their token now
 */
export async function takeInTokens(deps: TakeInDeps, dataDir: string, only?: Which): Promise<string[]> {
  const taken: string[] = [];
  await takeInFiles({ folder: join(dataDir, FOLDER), shape: Kept, logger: deps.logger }, async (kept) => {
    if (only !== undefined && !isOf(kept, only)) return null;
    const fate = await takeIn(deps, kept);
    if (fate === "taken") taken.push(kept.item_id);
    return fate;
  });
  return taken;
}

const isOf = (kept: KeptToken, { integrationId, itemId }: Which): boolean =>
  kept.integration_id === integrationId && kept.item_id === itemId;

/** Stores the token if the item still has the one that Plaid has ended for it. */
async function takeIn({ database, vault, logger }: TakeInDeps, kept: KeptToken): Promise<Fate> {
  const { integration_id: integrationId, item_id: itemId } = kept;
  const place = itemToken(integrationId, itemId);
  const formerSha256 = Buffer.from(kept.former_sha256, "hex");
  const fate = await database.transaction<Fate>(async (tx) => {
    await beginSealing(tx, vault);
    const stored = await holdFormer(tx, vault, { integrationId, itemId }, formerSha256);
    if (stored !== "former") return stored === "another" ? "over" : stored;
    // Under the key of today.
    const sealed = vault.seal(vault.open(Buffer.from(kept.sealed, "base64"), place), place);
    await replaceToken(tx, { integrationId, itemId }, { sealed, formerSha256 }, BY_TARTAN);
    return "taken";
  });
  if (fate === "taken")
    logger.warn({ item_id: itemId }, "a rotated token that was not in the database was taken in from a file");
  return fate;
}
