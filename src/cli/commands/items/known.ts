/** The item that a command names. */
import type { Queryable } from "../../../database/types.ts";
import { TartanError } from "../../../errors.ts";
import { getItem, type CountedItem } from "../../../sync/items.ts";

/**
 * @param integrationId which integration is meant, if several link the item
 * @throws TartanError `not_found`, and what `getItem` throws
 */
export async function knownItem(q: Queryable, itemId: string, integrationId?: string): Promise<CountedItem> {
  const item = await getItem(q, itemId, integrationId);
  if (!item) throw new TartanError("not_found", `There is no item ${itemId}; see \`npx tartan items list\`.`);
  return item;
}
