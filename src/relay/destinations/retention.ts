/** Retention of destinations. */
import type { Queryable } from "../../database/types.ts";
import { FORGET_DESTINATIONS } from "./queries.ts";

/** Deletes destinations that were deleted before `before` and have no deliveries left. */
export async function forgetDestinations(q: Queryable, before: Date): Promise<void> {
  await q.query(FORGET_DESTINATIONS, [before]);
}
