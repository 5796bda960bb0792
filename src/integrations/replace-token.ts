/** The steps that a rotation of an item's token and the taking in of a rescued one share, in the caller's transaction. */
import { audit } from "../audit/audit.ts";
import type { Queryable } from "../database/types.ts";
import type { Change } from "../model/change.ts";
import { DROP_ROTATION, ERASED_ITEM, HOLD_ITEM, HOLD_ROTATION, REPLACE_TOKEN } from "./queries.ts";
import { findToken, sha256Of } from "./tokens.ts";
import type { Vault } from "./vault.ts";

/** One rotation of one item. */
export interface Rotation {
  id: string;
  integrationId: string;
  itemId: string;
}

/** The new token, sealed, and the SHA-256 of the one that it replaces. */
export interface Replacement {
  sealed: Buffer;
  formerSha256: Buffer;
}

/** Locks the item's row and then the note, in the order in which a token is stored. @returns whether the rotation is still under way */
export async function holdRotation(tx: Queryable, { id, integrationId, itemId }: Rotation): Promise<boolean> {
  await tx.query(HOLD_ITEM, [integrationId, itemId]);
  return (await tx.query(HOLD_ROTATION, [integrationId, itemId, id])).rowCount > 0;
}

/**
 * - `former`: the item still has the token that Plaid has ended, so nothing but the new one works
 * - `another`: it has the new one by now, or a later one, or was unlinked or erased
 * - `unknown`: the database never had the item
 */
export type Stored = "former" | "another" | "unknown";

/**
 * Locks the item's row. Which token is there decides whether the new one is still needed, and not the note: a later rotation, which
 * Plaid refuses with the ended token, replaces the note.
 */
export async function holdFormer(
  tx: Queryable,
  vault: Vault,
  { integrationId, itemId }: Omit<Rotation, "id">,
  formerSha256: Buffer,
): Promise<Stored> {
  if ((await tx.query(HOLD_ITEM, [integrationId, itemId])).rowCount === 0)
    return (await tx.query(ERASED_ITEM, [integrationId, itemId])).rowCount > 0 ? "another" : "unknown";
  const stored = await findToken(tx, vault, integrationId, itemId);
  return stored && sha256Of(stored.accessToken).equals(formerSha256) ? "former" : "another";
}

/** Writes the new token in place of the old one, which stays known by its hash, and ends the rotation. */
export async function replaceToken(
  tx: Queryable,
  { integrationId, itemId }: Omit<Rotation, "id">,
  { sealed, formerSha256 }: Replacement,
  by: Change,
): Promise<void> {
  await tx.query(REPLACE_TOKEN, [integrationId, itemId, sealed, formerSha256]);
  await tx.query(DROP_ROTATION, [integrationId, itemId]);
  await audit(tx, by, { action: "item.token_rotated", integrationId, target: itemId });
}
