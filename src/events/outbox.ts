/** The outbox for readers by position. sync-outbox.ts has the statements for sync. */
import type { Queryable } from "../database/types.ts";
import { GIVE_POSITIONS } from "./queries.ts";

export interface Notification {
  channel: string;
  payload: string;
}

/**
 * Gives rows of the outbox their positions, in the order of their ids. The caller's transaction holds the lock `dispatch`, so that
 * positions become visible in their order.
 * @param hint the notification that the caller sends with the commit
 */
export async function givePositions(tx: Queryable, ids: readonly number[], hint: Notification | null): Promise<void> {
  await tx.query(GIVE_POSITIONS, [ids, hint?.channel ?? "", hint?.payload ?? null]);
}
