/** The accounts of an item that the mirror has by another id too, as the API and events show them. */
import type { Queryable } from "../database/types.ts";
import { counterpartsOf, type Certainty, type Pair } from "../mirror/counterparts.ts";

/** What to do about a login that is linked twice, in plain words. */
export const ONE_OF_TWO =
  "The user seems to have linked the same login twice, and Plaid bills both items. Decide which one to keep, move what you hold of " +
  "the other to the accounts of the pairs, then remove the other at Plaid and unlink it here. Next time, open Link in update mode.";

/** Another linked item that has some of the same accounts. */
export interface Duplicate {
  item_id: string;
  accounts: { account_id: string; other_account_id: string; certainty: Certainty }[];
}

/** An account of the item, and the id by which it was known before. */
export interface Replacement {
  account_id: string;
  old_account_id: string;
  /** the item itself, where the id changed within it */
  old_item_id: string;
  certainty: Certainty;
}

export function duplicatesByItem(duplicates: readonly Pair[]): Duplicate[] {
  const byItem = new Map<string, Duplicate>();
  for (const { account_id, counterpart_item_id: item_id, counterpart_account_id, certainty } of duplicates) {
    const known = byItem.get(item_id) ?? { item_id, accounts: [] };
    known.accounts.push({ account_id, other_account_id: counterpart_account_id, certainty });
    byItem.set(item_id, known);
  }
  return [...byItem.values()];
}

export const replacementsOf = (replaced: readonly Pair[]): Replacement[] =>
  replaced.map(({ account_id, counterpart_item_id, counterpart_account_id, certainty }) => ({
    account_id,
    old_account_id: counterpart_account_id,
    old_item_id: counterpart_item_id,
    certainty,
  }));

/** The other items that have accounts of the item, and the accounts that were known by another id before. */
export async function knownTwice(
  q: Queryable,
  integrationId: string,
  itemId: string,
): Promise<{ duplicates: Duplicate[]; replaces: Replacement[] }> {
  const { duplicates, replaced } = await counterpartsOf(q, integrationId, itemId);
  return { duplicates: duplicatesByItem(duplicates), replaces: replacementsOf(replaced) };
}
