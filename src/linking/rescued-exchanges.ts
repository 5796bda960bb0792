/**
 * Access tokens of public tokens that Plaid has exchanged, which may not be in the database yet: sealed, in
 * <data directory>/rescued-exchanges/<public token's UUID>.<claim>.json. Servers look for them when they start and every minute, and who
 * claims a public token looks for its own before Plaid is asked again.
 */
import { join } from "node:path";
import { z } from "zod";
import { audit } from "../audit/audit.ts";
import type { Database, Queryable } from "../database/types.ts";
import { openRescueFile, sealedIn, takeInFiles, type Fate, type RescueFile } from "../integrations/rescue-files.ts";
import { itemToken } from "../integrations/sealed.ts";
import type { Vault } from "../integrations/vault.ts";
import { linkWithin } from "../journal/link.ts";
import type { Logger } from "../logger.ts";
import { BY_TARTAN, type Change } from "../model/change.ts";
import { toPublicTokenId, toWebhookId } from "../model/ids.ts";
import { TartanError } from "../errors.ts";
import { createdBody, recordLinked, type Claim } from "./outcomes.ts";
import { HOLD_PUBLIC_TOKEN, NOTE_LINKED } from "./queries.ts";

const FOLDER = "rescued-exchanges";

const Kept = z.strictObject({
  /** UUID of its row */
  public_token: z.string(),
  integration_id: z.string(),
  item_id: z.string(),
  user_id: z.string().nullable(),
  sealed: z.base64(),
});
type Kept = z.infer<typeof Kept>;

/** What Plaid gave for a public token. */
export interface Exchanged {
  accessToken: string;
  itemId: string;
}

export interface LinkedByToken {
  item_id: string;
  /** `whk_…` of ITEM/CREATED; null where it was linked already */
  webhook_id: string | null;
  /** false where the item was known and its token was replaced */
  created: boolean;
}

/** Opens the file of a claim before Plaid is asked. */
export const openExchange = (dataDir: string, { id, fence }: Claim): Promise<RescueFile> =>
  openRescueFile(join(dataDir, FOLDER), `${id}.${fence}`);

export function contentOf(vault: Vault, claim: Claim, { accessToken, itemId }: Exchanged): Kept {
  const { id, integrationId, userId } = claim;
  // A rotation of the master key puts the new key first and then looks into the files for what the others have sealed.
  const sealed = vault.sealNewest(accessToken, itemToken(integrationId, itemId)).toString("base64");
  return { public_token: id, integration_id: integrationId, item_id: itemId, user_id: userId, sealed };
}

/**
 * Links the item in the caller's transaction, once: of a token that was taken in from a file meanwhile nothing is written again.
 * @param by who requested the exchange; null: nobody, since Tartan adopts the item
 */
export async function linkExchanged(
  tx: Queryable,
  vault: Vault,
  claim: Claim,
  { accessToken, itemId }: Exchanged,
  by: Change | null,
): Promise<LinkedByToken> {
  const { integrationId, userId, adopt } = claim;
  const [row] = (await tx.query<{ status: string }>(HOLD_PUBLIC_TOKEN, [claim.id])).rows;
  if (row?.status === "linked") return { item_id: itemId, webhook_id: null, created: false };
  const body = adopt ? createdBody(itemId, claim) : undefined;
  const item = { integrationId, itemId, accessToken, userId: userId ?? undefined, body };
  const { id, created } = await linkWithin(tx, vault, item);
  await tx.query(NOTE_LINKED, [claim.id, itemId]);
  await recordLinked(tx, claim, itemId, created);
  if (by) await audit(tx, by, { action: "public_token.exchanged", integrationId, target: itemId });
  return { item_id: itemId, webhook_id: toWebhookId(id), created };
}

/** The sealed tokens that may not be in the database yet. @throws the file system's own errors */
export const rescuedExchanges = (dataDir: string): Promise<Buffer[]> => sealedIn(join(dataDir, FOLDER));

export interface TakeInDeps {
  database: Database;
  vault: Vault;
  logger: Logger;
  dataDir: string;
}

/**
 * Takes in the access tokens that other processes, or earlier attempts, could not store.
 * @param only UUID of a public token's row; absent: all
 * @returns the items that are linked now
 */
export async function takeInExchanges(deps: TakeInDeps, only?: string): Promise<LinkedByToken[]> {
  const { dataDir, logger } = deps;
  const linked: LinkedByToken[] = [];
  await takeInFiles({ folder: join(dataDir, FOLDER), shape: Kept, logger }, async (kept) => {
    if (only !== undefined && kept.public_token !== only) return null;
    const { fate, item } = await takeIn(deps, kept);
    if (item) linked.push(item);
    return fate;
  });
  return linked;
}

async function takeIn(
  { database, vault, logger }: TakeInDeps,
  kept: Kept,
): Promise<{ fate: Fate; item?: LinkedByToken }> {
  const { integration_id: integrationId, item_id: itemId, user_id: userId } = kept;
  try {
    const item = await database.transaction(async (tx) => {
      const [claim] = (await tx.query<Claim>(HOLD_PUBLIC_TOKEN, [kept.public_token])).rows;
      if (claim === undefined) return null;
      const accessToken = vault.open(Buffer.from(kept.sealed, "base64"), itemToken(integrationId, itemId));
      const exchanged = { accessToken, itemId };
      const by = claim.adopt ? null : BY_TARTAN;
      return await linkExchanged(tx, vault, { ...claim, userId: userId ?? claim.userId }, exchanged, by);
    });
    if (item === null) return { fate: "unknown" };
    if (item.webhook_id === null) return { fate: "over" };
    const about = { item_id: itemId, public_token: toPublicTokenId(kept.public_token) };
    logger.warn(about, "the access token of an exchanged public token was taken in from a file");
    return { fate: "taken", item };
  } catch (error) {
    if (error instanceof TartanError && error.code === "not_found") return { fate: "unknown" };
    throw error;
  }
}
