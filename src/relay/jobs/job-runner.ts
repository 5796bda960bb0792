/**
 * Works on jobs: a batch of members a transaction, which also says how far the job is. So a process that dies has done whole
 * batches, and whoever goes on does none of them twice. Several processes may be at it: each takes a job that nobody else
 * works on just then, the one that waited longest.
 */
import type { Clock } from "../../clock.ts";
import type { Database, Queryable } from "../../database/types.ts";
import type { Logger } from "../../logger.ts";
import { fanOut, insertDeliveries, named, withMatcher, type MatchingRoute } from "../dispatch/dispatcher.ts";
import type { JobKind } from "./jobs.ts";
import {
  ADVANCE_JOB,
  HOLD_RETENTION,
  MEMBERS_UNSENT,
  REDRIVE,
  REPLAY,
  ROUTE_OF_JOB,
  TAKE_JOB,
} from "./queries.ts";
import { loadRoutes } from "../routing/routes.ts";
import type { ActiveRoute, SizedEvent } from "../model/types.ts";

export interface JobsOptions {
  database: Database;
  clock: Clock;
  logger: Logger;
  pollMs: number;
}

interface Job {
  id: string;
  kind: JobKind;
  destinationId: string | null;
  routeId: string | null;
  total: number;
  done: number;
  /** a redrive of deliveries that wait for their next attempt too */
  takesRetrying: boolean;
}

/** Deliveries a batch; and events, whose payloads may have to be read. */
const BATCH = 500;
const BATCH_OF_EVENTS = 100;
const TROUBLE_PAUSE_MS = 1000;

/** Works on jobs until it is disposed, which waits for the batch that is under way. */
export async function startJobs({ database, clock, logger, pollMs }: JobsOptions): Promise<AsyncDisposable> {
  const stop = new AbortController();
  let news = new AbortController();
  const ear = await database.listen("tartan_jobs", () => news.abort());
  // One that fails must not keep the others from being worked on.
  const failed = new Set<string>();
  const working = (async () => {
    while (!stop.signal.aborted) {
      news = new AbortController();
      try {
        if (await workOnce(database, failed)) continue;
        failed.clear();
        await clock.sleep(pollMs, AbortSignal.any([stop.signal, news.signal]));
      } catch (error) {
        logger.warn({ error }, "a batch of a job failed; trying again");
        await clock.sleep(TROUBLE_PAUSE_MS, stop.signal);
      }
    }
  })();
  return {
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      await working;
      await ear[Symbol.asyncDispose]();
    },
  };
}

/**
 * Works on one batch of the job that waited longest, but for those in `failed`, where it notes the one that fails.
 * @returns whether there was one
 */
export async function workOnce(database: Database, failed: Set<string> = new Set()): Promise<boolean> {
  let taken: string | undefined;
  try {
    return await database.transaction(async (tx) => {
      const { rows } = await tx.query<Job>(TAKE_JOB, [[...failed]]);
      const [job] = rows;
      if (!job) return false;
      taken = job.id;
      await tx.query(HOLD_RETENTION);
      const size = job.kind === "redrive" ? BATCH : BATCH_OF_EVENTS;
      const scheduled = await workOn(tx, job, size);
      const changed = [...scheduled.values()].reduce((sum, count) => sum + count, 0);
      const told = changed === 0 ? null : named("jobs", scheduled.keys());
      await tx.query(ADVANCE_JOB, [job.id, size, changed, told]);
      return true;
    });
  } catch (error) {
    if (taken !== undefined) failed.add(taken);
    throw error;
  }
}

/** @returns how many were scheduled, by destination */
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
  const made = await sendUnsent(tx, id, [...batch, destinationId], await routesOf(tx, destinationId, routeId));
  return scheduled.set(destinationId, (scheduled.get(destinationId) ?? 0) + made);
}

interface Count {
  id: string;
  count: number;
}

const counts = (rows: readonly Count[]): Map<string, number> => new Map(rows.map(({ id, count }) => [id, count]));

/** The route that the job is about, or those of its destination. */
async function routesOf(tx: Queryable, destinationId: string, routeId: string | null): Promise<MatchingRoute[]> {
  const routes =
    routeId === null
      ? (await loadRoutes(tx)).filter((route) => route.destinationId === destinationId)
      : (await tx.query<ActiveRoute>(ROUTE_OF_JOB, [routeId])).rows;
  return routes.map(withMatcher);
}

/** Makes the deliveries that dispatch would make of the members that have none. */
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
