/**
 * Works on jobs, one batch of members in each transaction, which also advances the job. A process that dies has completed whole
 * batches, and the process that goes on repeats none of them. Several processes may run jobs: each claims the job that waited
 * longest among those that no other process works on.
 */
import type { Clock } from "../../clock.ts";
import type { Database, Queryable } from "../../database/types.ts";
import { startWorkerLoop } from "../../database/worker-loop.ts";
import type { Logger } from "../../logger.ts";
import type { Gate } from "../../model/pressure.ts";
import { fanOut, insertDeliveries, withMatcher, type MatchingRoute } from "../dispatch/fan-out.ts";
import { formatHint } from "../model/deliveries-hint.ts";
import type { ActiveRoute, SizedEvent } from "../model/types.ts";
import { loadRoutes } from "../routing/routes.ts";
import type { JobKind } from "../../model/statuses.ts";
import { ADVANCE_JOB, CLAIM_JOB, HOLD_RETENTION, MEMBERS_UNSENT, REDRIVE, REPLAY, ROUTE_OF_JOB } from "./queries.ts";

export interface JobsOptions {
  database: Database;
  clock: Clock;
  logger: Logger;
  pollMs: number;
  gate?: Gate;
}

interface Job {
  id: string;
  kind: JobKind;
  destinationId: string | null;
  routeId: string | null;
  total: number;
  done: number;
  /** a redrive that also takes deliveries that wait for their next attempt */
  takesRetrying: boolean;
}

/** Deliveries of one batch; and events, whose payloads may have to be read. */
const BATCH = 500;
const BATCH_OF_EVENTS = 100;

/** Works on jobs until it is disposed, which waits for the batch under way. */
export async function startJobs({ database, clock, logger, pollMs, gate }: JobsOptions): Promise<AsyncDisposable> {
  // Failed jobs are skipped until every other job has had its turn, so that they do not block the others.
  const failed = new Set<string>();
  const work = async (): Promise<boolean> => {
    const more = await workOnce(database, failed);
    if (!more) failed.clear();
    return more;
  };
  const trouble = "a batch of a job failed; trying again";
  const channels = ["tartan_jobs"];
  return await startWorkerLoop({ database, clock, logger, channels, pollMs, trouble, work, ...(gate && { gate }) });
}

/**
 * Works on one batch of the job that waited longest, except those in `failed`, to which it adds a job that fails.
 * @returns whether there was a job
 */
export async function workOnce(database: Database, failed: Set<string> = new Set()): Promise<boolean> {
  let claimed: string | undefined;
  try {
    return await database.transaction(async (tx) => {
      const { rows } = await tx.query<Job>(CLAIM_JOB, [[...failed]]);
      const [job] = rows;
      if (!job) return false;
      claimed = job.id;
      await tx.query(HOLD_RETENTION);
      const size = job.kind === "redrive" ? BATCH : BATCH_OF_EVENTS;
      const scheduled = await workOn(tx, job, size);
      const changed = [...scheduled.values()].reduce((sum, count) => sum + count, 0);
      const hint = changed === 0 ? null : formatHint("jobs", scheduled.keys());
      await tx.query(ADVANCE_JOB, [job.id, size, changed, hint]);
      return true;
    });
  } catch (error) {
    if (claimed !== undefined) failed.add(claimed);
    throw error;
  }
}

/** @returns how many deliveries were scheduled, by destination */
async function workOn(
  tx: Queryable,
  { id, kind, destinationId, routeId, done, takesRetrying }: Job,
  size: number,
): Promise<Map<string, number>> {
  const batch = [id, done, size];
  if (kind === "redrive") return counts((await tx.query<Count>(REDRIVE, [...batch, takesRetrying])).rows);
  if (destinationId === null) return new Map();
  const scheduled =
    kind === "replay" ? counts((await tx.query<Count>(REPLAY, [...batch, destinationId])).rows) : new Map();
  const created = await sendUnsent(tx, id, [...batch, destinationId], await routesOf(tx, destinationId, routeId));
  return scheduled.set(destinationId, (scheduled.get(destinationId) ?? 0) + created);
}

interface Count {
  id: string;
  count: number;
}

const counts = (rows: readonly Count[]): Map<string, number> => new Map(rows.map(({ id, count }) => [id, count]));

/** The job's route, or the routes of its destination. */
async function routesOf(tx: Queryable, destinationId: string, routeId: string | null): Promise<MatchingRoute[]> {
  const routes =
    routeId === null
      ? (await loadRoutes(tx)).filter((route) => route.destinationId === destinationId)
      : (await tx.query<ActiveRoute>(ROUTE_OF_JOB, [routeId])).rows;
  return routes.map(withMatcher);
}

/** Creates the deliveries that dispatch would create of members that have none. */
async function sendUnsent(
  tx: Queryable,
  jobId: string,
  batch: readonly unknown[],
  routes: readonly MatchingRoute[],
): Promise<number> {
  if (routes.length === 0) return 0;
  const { rows } = await tx.query<SizedEvent>(MEMBERS_UNSENT, batch);
  return await insertDeliveries(tx, await fanOut(tx, rows, routes), jobId);
}
