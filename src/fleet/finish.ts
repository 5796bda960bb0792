/** The end of a job that this process holds. */
import type { Database } from "../database/types.ts";
import { FINISH_JOB, LOCK_JOB } from "./queries.ts";

/**
 * Ends the job if it runs under the fence and nothing is left to do. @returns whether it did
 *
 * Who retries failed members holds the job's lock. A single statement that waits for that lock would still look at the members as they
 * were before, and end a job that has work to do again. So the lock is a statement of its own.
 */
export const finishJob = (database: Database, id: string, fence: string): Promise<boolean> =>
  database.transaction(async (tx) => {
    await tx.query(LOCK_JOB, [id]);
    return (await tx.query(FINISH_JOB, [id, fence])).rowCount > 0;
  });
