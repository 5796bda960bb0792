/** The control's results: an Item, and a change. */
import type { Summary } from "../changes.ts";
import type { Item } from "../item.ts";

export interface ChangeResult {
  added: string[];
  modified: string[];
  removed: string[];
  posted: { pending_transaction_id: string; transaction_id: string }[];
}

/** An Item in one line. */
export const brief = (item: Item): Record<string, unknown> => ({
  item_id: item.itemId,
  access_token: item.accessToken,
  client_id: item.clientId,
  institution_id: item.institution.institution_id,
  user_id: item.userId,
  webhook: item.webhook,
  stage: item.stage,
  error_code: item.error?.code ?? null,
  revoked: item.revoked,
  removed: item.removed,
  sync_called: item.syncCalled,
  products: item.products,
  /** product books, by name: false until the first pull ends */
  ready: Object.fromEntries(Object.entries(item.shelf).map(([name, { pulledAt }]) => [name, pulledAt !== null])),
});

export function resultOf({ added, modified, removed }: Summary): ChangeResult {
  const ids = (list: { id: string }[]) => list.map((txn) => txn.id);
  const posted = added.flatMap((txn) =>
    txn.pendingId === null ? [] : [{ pending_transaction_id: txn.pendingId, transaction_id: txn.id }],
  );
  return { added: ids(added), modified: ids(modified), removed: ids(removed), posted };
}
