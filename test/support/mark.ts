/** Marks what was accepted, as a worker of sync does before it claims. */
import type { Database } from "../../src/database/types.ts";
import { noteArrivals } from "../../src/linking/sessions.ts";
import { markWaiting } from "../../src/sync/marker.ts";

/** Marks until nothing is left that can be marked now. */
export async function markAll(database: Database): Promise<void> {
  for (let again = true; again;) again = (await markWaiting(database, noteArrivals)).more;
}
