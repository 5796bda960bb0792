/** The steps that a rotation of an item's token and the taking in of a rescued one share, in the caller's transaction. */
import { audit } from "../audit/audit.ts";
import type { Queryable } from "../database/types.ts";
import type { Change } from "../model/change.ts";
import { DROP_ROTATION, HOLD_ITEM, HOLD_ROTATION, REPLACE_TOKEN } from "./queries.ts";

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

/** Writes the new token in place of the old one, which stays known by its hash, and ends the rotation. */
export async function replaceToken(
  tx: Queryable,
  { integrationId, itemId }: Rotation,
  { sealed, formerSha256 }: Replacement,
  by: Change,
): Promise<void> {
  await tx.query(REPLACE_TOKEN, [integrationId, itemId, sealed, formerSha256]);
  await tx.query(DROP_ROTATION, [integrationId, itemId]);
  await audit(tx, by, { action: "item.token_rotated", integrationId, target: itemId });
}
