/** Retention of jobs and of requests with an idempotency key. */
import type { Queryable } from "../../database/types.ts";
import { END_PAUSED_JOBS, FORGET_JOBS, FORGET_MEMBERS } from "./queries.ts";
import { FORGET_REQUESTS } from "./request-queries.ts";

const MEMBERS_AT_ONCE = 5000;

/** Cancels jobs that have been paused since before `before`, so that they no longer keep their events. */
export async function cancelLongPausedJobs(q: Queryable, before: Date): Promise<void> {
  await q.query(END_PAUSED_JOBS, [before]);
}

/** Deletes the members of finished jobs, in batches. */
export async function forgetMembers(q: Queryable, signal?: AbortSignal): Promise<void> {
  for (;;) {
    const { rowCount } = await q.query(FORGET_MEMBERS, [MEMBERS_AT_ONCE]);
    if (rowCount < MEMBERS_AT_ONCE || signal?.aborted) break;
  }
}

/** Deletes jobs that finished before `before`, and requests after their 24 hours. */
export async function forgetJobs(q: Queryable, before: Date): Promise<void> {
  await q.query(FORGET_REQUESTS);
  await q.query(FORGET_JOBS, [before]);
}
