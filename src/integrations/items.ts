/**
 * Items: what users linked, with their sealed access tokens.
 */
import { untilNone } from "../database/parts.ts";
import type { Queryable } from "../database/types.ts";
import { TartanError } from "../errors.ts";
import { noIntegration } from "../model/integration.ts";
import {
  DROP_ROTATION,
  DROP_TOKENS,
  FORGET_ITEM,
  HOLD_INTEGRATION,
  HOLD_INTEGRATIONS,
  PURGE_ITEMS,
  UNLINK_ITEM,
  UPSERT_ITEM,
} from "./queries.ts";
import { itemToken } from "./sealed.ts";
import { beginSealing } from "./sealing.ts";
import { findToken, sha256Of } from "./tokens.ts";
import type { Vault } from "./vault.ts";

interface SealedItem {
  integrationId: string;
  itemId: string;
  accessToken: string;
  userId?: string | undefined;
}

export interface StoredToken {
  /** your identifier of the user, if known */
  userId: string | null;
  /** false where the item was known and its token was replaced */
  created: boolean;
  /** the integration's */
  environment: string;
}

/**
 * Seals an item's token and stores it, in the caller's transaction; the integration cannot be deleted until that ends.
 * @throws TartanError `not_found` (integration), `vault_key_missing`
 */
export async function storeToken(tx: Queryable, vault: Vault, item: SealedItem): Promise<StoredToken> {
  const { integrationId, itemId, accessToken, userId } = item;
  const environment = await holdIntegration(tx, integrationId);
  await beginSealing(tx, vault);
  const known = await sameToken(tx, vault, item);
  const sealed = vault.seal(accessToken, itemToken(integrationId, itemId));
  const { rows } = await tx.query<{ user_id: string | null; created: boolean; stored: boolean }>(UPSERT_ITEM, [
    integrationId,
    itemId,
    userId ?? null,
    sealed,
    known,
    sha256Of(accessToken),
  ]);
  // The token of a rotation that did not end is not awaited any more.
  if (known === null && rows[0]?.stored) await tx.query(DROP_ROTATION, [integrationId, itemId]);
  return { userId: rows[0]?.user_id ?? null, created: rows[0]?.created ?? false, environment };
}

/** The item's sealed token, if it is the same as the new one; else null. */
async function sameToken(tx: Queryable, vault: Vault, item: SealedItem): Promise<Buffer | null> {
  try {
    const known = await findToken(tx, vault, item.integrationId, item.itemId);
    return known?.accessToken === item.accessToken ? known.sealed : null;
  } catch (error) {
    // The key that sealed it is gone; the new token replaces it.
    if (error instanceof TartanError && error.code === "vault_unsealable") return null;
    throw error;
  }
}

/** Locks the integration against its deletion. @returns its environment @throws TartanError `not_found` */
export async function holdIntegration(tx: Queryable, id: string): Promise<string> {
  const { rows } = await tx.query<{ environment: string }>(HOLD_INTEGRATION, [id]);
  if (rows[0]) return rows[0].environment;
  throw noIntegration(id);
}

/** Locks integrations against their deletion. @returns the ids of those that are there */
export async function holdIntegrations(tx: Queryable, ids: readonly string[]): Promise<Set<string>> {
  const { rows } = await tx.query<{ id: string }>(HOLD_INTEGRATIONS, [[...new Set(ids)]]);
  return new Set(rows.map(({ id }) => id));
}

/**
 * The access token of an item; null when there is none (any more).
 * @throws TartanError `vault_unsealable`
 */
export async function getItemSecret(
  q: Queryable,
  vault: Vault,
  integrationId: string,
  itemId: string,
): Promise<{ access_token: string; user_id: string | null } | null> {
  const token = await findToken(q, vault, integrationId, itemId);
  return token && { access_token: token.accessToken, user_id: token.userId };
}

/** Deletes the token of an item. @returns whether there was one */
export async function forgetToken(tx: Queryable, integrationId: string, itemId: string): Promise<boolean> {
  const { rows } = await tx.query<{ linked: boolean }>(UNLINK_ITEM, [integrationId, itemId]);
  return rows[0]?.linked ?? false;
}

/** Deletes the tokens of some of an integration's items. @returns their ids; none when no token is left */
export async function dropTokens(
  tx: Queryable,
  integrationId: string,
): Promise<{ itemId: string; userId: string | null }[]> {
  const { rows } = await tx.query<{ item_id: string; user_id: string | null }>(DROP_TOKENS, [integrationId]);
  return rows.map(({ item_id: itemId, user_id: userId }) => ({ itemId, userId }));
}

export async function forgetItem(tx: Queryable, integrationId: string, itemId: string): Promise<void> {
  await tx.query(FORGET_ITEM, [integrationId, itemId]);
}

/** In parts. */
export const purgeItems = (q: Queryable, integrationId: string): Promise<void> =>
  untilNone(q, PURGE_ITEMS, [integrationId]);
