/** Forgets the deliveries of an item's events, or of an integration's. */
import { take } from "../database/locks.ts";
import { DELETED_AT_ONCE, untilNone } from "../database/parts.ts";
import type { Queryable } from "../database/types.ts";

/**
 * Waits for the dispatch and the batches of jobs that are under way, which have read what is about to be deleted and would
 * make deliveries of it; those that begin later find nothing.
 */
const AWAIT_RELAY = take("dispatch", "retention");
const FORGET_ITEM = "delete from relay.deliveries where integration_id = $1 and item_id = $2";
const PURGE = `delete from relay.deliveries where ctid = any (array(
  select ctid from relay.deliveries where integration_id = $1 limit ${DELETED_AT_ONCE}))`;

export async function forgetItem(tx: Queryable, integrationId: string, itemId: string): Promise<void> {
  await tx.query(FORGET_ITEM, [integrationId, itemId]);
}

/** In parts. */
export const purgeIntegration = (q: Queryable, id: string): Promise<void> => untilNone(q, PURGE, [id]);

/** Locks out dispatch and jobs until the transaction ends, so that no delivery is made of rows that are deleted after it. */
export async function awaitUnderWay(q: Queryable): Promise<void> {
  await q.query(AWAIT_RELAY);
}
