/** The outbox as its readers by position see it. What sync reads of it is in sync-outbox.ts. */
import type { Queryable } from "../database/types.ts";
import { GIVE_POSITIONS } from "./queries.ts";

export interface Notification {
  channel: string;
  payload: string;
}

/**
 * Gives rows of the outbox their positions, in the order of their ids. The caller's transaction holds the lock `dispatch`, so that
 * positions become visible in their order.
 * @param hint what the caller has to say when this commits
 */
export async function givePositions(tx: Queryable, ids: readonly number[], hint: Notification | null): Promise<void> {
  await tx.query(GIVE_POSITIONS, [ids, hint?.channel ?? "", hint?.payload ?? null]);
}
