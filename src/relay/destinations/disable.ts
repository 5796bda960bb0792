/** Disables destinations because of what an attempt showed. */
import type { Queryable } from "../../database/types.ts";
import { DISABLE_DESTINATION } from "./queries.ts";

/** Disables those with a reason in `disable`, in the transaction that records why; the workers learn of it by NOTIFY `tartan_relay`. */
export async function disableDestinations(
  tx: Queryable,
  results: readonly { destinationId: string; disable: string | null }[],
): Promise<void> {
  for (const { destinationId, disable } of results) {
    if (disable !== null) await tx.query(DISABLE_DESTINATION, [destinationId, disable]);
  }
}
