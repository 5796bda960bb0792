/** Deletes a destination, and in the same transaction what other folders keep of it. */
import { patient } from "../database/pool.ts";
import type { Database } from "../database/types.ts";
import { destinationNotFound, markDeleted, notifyRelay } from "./destinations/deletion.ts";
import { awaitUnderWay } from "./forget.ts";
import { cancelJobsOf } from "./jobs/jobs.ts";
import { cancelDeliveriesOf } from "./ledger/deliveries.ts";
import { deleteRoutesOf } from "./routing/routes.ts";

/**
 * Deletes the destination with its secrets and routes, and cancels its jobs and the deliveries that wait. Its finished deliveries
 * stay in the list. A call that was interrupted can be repeated.
 * @throws TartanError `not_found`
 */
export async function deleteDestination(database: Database, id: string): Promise<void> {
  const deleted = await database.transaction(async (tx) => {
    if (!(await markDeleted(tx, id))) return false;
    await deleteRoutesOf(tx, id);
    await cancelJobsOf(tx, id);
    await notifyRelay(tx);
    return true;
  });
  // A dispatch or job under way may not have seen the deletion; those that begin after it ends do.
  await awaitUnderWay(patient(database));
  const cancelled = await cancelDeliveriesOf(database, id);
  if (!deleted && !cancelled) throw destinationNotFound(id);
}
