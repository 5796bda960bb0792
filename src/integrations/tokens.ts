/**
 * An item's access token, as sync uses it: opened for a run, and confirmed once Plaid has answered it with this
 * item. Until then Tartan mirrors nothing that it reads.
 */
import { hash } from "node:crypto";
import type { Queryable } from "../database/types.ts";
import { CONFIRM_TOKEN, CURRENT_TOKEN, GET_ITEM_SECRET } from "./queries.ts";
import { itemToken } from "./sealed.ts";
import type { Vault } from "./vault.ts";

export interface ItemToken {
  accessToken: string;
  userId: string | null;
  /** Plaid has answered this token with this item */
  confirmed: boolean;
  /** the sealed token, which identifies the token without revealing it */
  sealed: Buffer;
}

/**
 * The access token of an item; null when there is none (any more).
 * @throws TartanError `vault_unsealable`
 */
export async function findToken(
  q: Queryable,
  vault: Vault,
  integrationId: string,
  itemId: string,
): Promise<ItemToken | null> {
  type Row = { sealed: Buffer; user_id: string | null; confirmed: boolean };
  const { rows } = await q.query<Row>(GET_ITEM_SECRET, [integrationId, itemId]);
  const [row] = rows;
  if (!row) return null;
  const accessToken = vault.open(row.sealed, itemToken(integrationId, itemId));
  return { accessToken, userId: row.user_id, confirmed: row.confirmed, sealed: row.sealed };
}

/** Records that the token is the item's, unless it was replaced meanwhile. */
export async function confirmToken(
  tx: Queryable,
  integrationId: string,
  itemId: string,
  sealed: Buffer,
): Promise<void> {
  await tx.query(CONFIRM_TOKEN, [integrationId, itemId, sealed]);
}

/** By which a token that was replaced is recognized. It is random, so its hash reveals nothing. */
export const sha256Of = (token: string): Buffer => hash("sha256", token, "buffer");

/**
 * Whether the item has another token than this one by now. Waits for a rotation of it that is under way.
 * @throws TartanError `vault_unsealable`
 */
export async function isReplaced(
  q: Queryable,
  vault: Vault,
  { integrationId, itemId, accessToken }: { integrationId: string; itemId: string; accessToken: string },
): Promise<boolean> {
  const { rows } = await q.query<{ sealed: Buffer }>(CURRENT_TOKEN, [integrationId, itemId]);
  return rows[0] !== undefined && vault.open(rows[0].sealed, itemToken(integrationId, itemId)) !== accessToken;
}
