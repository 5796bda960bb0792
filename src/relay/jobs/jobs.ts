/**
 * Jobs: operators' requests that concern many deliveries. The members of a job are frozen when it is created, in the order in which
 * they are processed, so later events neither join nor leave it. job-runner.ts does the work.
 *
 *   running ◀──resume── paused          running ──all is done──▶ done
 *      └──────pause───────▲  └──cancel──▶ cancelled ◀──cancel── running
 *
 *   redrive     schedules dead letters again, and on request deliveries that wait for their next attempt
 *   replay      sends a destination its finished deliveries again, and the events that its routes take but never sent
 *   route_past  sends the past events that a route takes
 *
 * Sending again means the same delivery with the same bytes and the same id; a header names the job.
 */
import type { Database, Queryable } from "../../database/types.ts";
import { TartanError } from "../../errors.ts";
import type { JobKind, JobStatus } from "../../model/statuses.ts";
import { newJobId } from "../../model/ids.ts";
import {
  checkRedrive,
  checkReplay,
  checkRoutePast,
  ruleOf,
  type RedriveRequest,
  type ReplayRequest,
  type RoutePastRequest,
} from "./job.schema.ts";
import {
  CANCEL_JOBS_OF,
  CHANGE_JOB,
  countMembers,
  DEAD_LETTERS,
  EVENTS_TO_REPLAY,
  EVENTS_UNSENT,
  freezeMembers,
  GET_JOB,
  HAS_DELIVERY,
  IS_KEPT,
  IS_PRUNED,
  HOLD_JOB_DESTINATION,
  INSERT_JOB,
  LIST_JOBS,
  MEMBERS_MAX,
  NOTIFY_JOBS,
  OPEN_JOB,
  ROUTE_OF_JOB,
} from "./queries.ts";
import { AWAIT_DISPATCH } from "../dispatch/queries.ts";
import { TEST_EVENT } from "../model/types.ts";
import { loadRoutes } from "../routing/routes.ts";
import type { ActiveRoute } from "../model/types.ts";

export type { RedriveRequest, ReplayRequest, RoutePastRequest } from "./job.schema.ts";

export interface JobRecord {
  /** `job_…` */
  id: string;
  kind: JobKind;
  status: JobStatus;
  destination_id: string | null;
  route_id: string | null;
  /** the request */
  asked: Record<string, unknown>;
  reason: string;
  /** its members, which are deliveries or events */
  total: number;
  /** members that it has processed */
  done: number;
  /** deliveries that it scheduled */
  changed: number;
  /** ISO 8601 */
  created_at: string;
  updated_at: string;
  finished_at: string | null;
}

/** The number of members that a job would have; no job was created. */
export interface JobCount {
  count: number;
}

type Row = Omit<JobRecord, "created_at" | "updated_at" | "finished_at"> & {
  created_at: Date;
  updated_at: Date;
  finished_at: Date | null;
  place: string;
};

/** A job to create. */
interface Plan {
  kind: JobKind;
  destinationId: string | null;
  routeId: string | null;
  asked: Record<string, unknown>;
  reason: string;
  /** the statement that yields its members */
  members: string;
  values: readonly unknown[];
}

/**
 * Sends dead letters again: those of a destination, a cause, an item or a range of time, or the named ones; without a filter all.
 * With the state `failed` it also sends deliveries that wait for their next attempt.
 * @throws TartanError `invalid_request`, `not_found`
 */
export async function createRedrive(database: Database, request: RedriveRequest): Promise<JobRecord | JobCount> {
  const { asked, deliveries, from, to } = checkRedrive(request);
  const { destination_id: destinationId = null, cause = null, item_id = null, reason = "" } = request;
  const plan: Plan = {
    kind: "redrive",
    destinationId,
    routeId: null,
    asked,
    reason,
    members: DEAD_LETTERS,
    values: [destinationId, cause, deliveries, from, to, item_id, request.state === "failed"],
  };
  return await make(database, async () => plan, request.dry_run ?? false);
}

/**
 * Sends a destination its finished deliveries again, by event, item, integration, type or time, and the events that its routes take
 * but never sent. It does not change deliveries that are still scheduled.
 * @throws TartanError `invalid_request`, `not_found`; `conflict` for an event that cannot be replayed, `body_pruned`
 */
export async function createReplay(
  database: Database,
  request: ReplayRequest & { dry_run?: false | undefined },
): Promise<JobRecord>;
export async function createReplay(database: Database, request: ReplayRequest): Promise<JobRecord | JobCount>;
export async function createReplay(database: Database, request: ReplayRequest): Promise<JobRecord | JobCount> {
  const { asked, from, to, types, event } = checkReplay(request);
  const { destination_id: destinationId, item_id = null, integration_id = null, reason = "" } = request;
  const plan = async (tx: Queryable): Promise<Plan> => {
    const rules = (await loadRoutes(tx)).filter((route) => route.destinationId === destinationId).map(ruleOf);
    const values = [destinationId, from, to, item_id, integration_id, types, event, JSON.stringify(rules), false];
    return { kind: "replay", destinationId, routeId: null, asked, reason, members: EVENTS_TO_REPLAY, values };
  };
  await database.query(AWAIT_DISPATCH);
  const made = await make(database, plan, request.dry_run ?? false, async (tx) => {
    if (event !== null) await explain(tx, event, destinationId);
  });
  return made;
}

const bodyPruned = (): TartanError =>
  new TartanError(
    "body_pruned",
    "The body of this webhook is no longer kept (TARTAN_JOURNAL_BODY_RETENTION_DAYS), so it cannot be sent. What the mirror has of its " +
      "subject is up to date; `GET /v1/webhooks/:id` has the webhook without its body.",
  );

/** Throws the reason why there is nothing to replay of the event. */
async function explain(tx: Queryable, event: string, destinationId: string): Promise<void> {
  if ((await tx.query(IS_PRUNED, [event])).rowCount > 0) throw bodyPruned();
  const { rows } = await tx.query<{ event_type: string }>(HAS_DELIVERY, [event, destinationId]);
  const [sent] = rows;
  if (sent?.event_type === TEST_EVENT) throw new TartanError("conflict", "A test is not sent again; send another one.");
  if (sent) throw new TartanError("conflict", "The event is still to be sent there; there is nothing to repeat.");
  const there = await tx.query(IS_KEPT, [event]);
  if (there.rowCount === 0) throw new TartanError("not_found", "There is no such event, or it is no longer kept.");
  throw new TartanError("conflict", "No route of the destination takes the event, so there is nothing to send.");
}

/**
 * Sends the route's destination the past events that the route matches and for which the destination has no delivery.
 * @throws TartanError `invalid_request`, `not_found`
 */
export async function createRoutePast(database: Database, request: RoutePastRequest): Promise<JobRecord | JobCount> {
  const { asked, from, to } = checkRoutePast(request);
  const plan = async (tx: Queryable): Promise<Plan> => {
    const { rows } = await tx.query<ActiveRoute & { enabled: boolean }>(ROUTE_OF_JOB, [request.route_id]);
    const [route] = rows;
    if (!route) throw new TartanError("not_found", `There is no route ${request.route_id}.`);
    const { id: routeId, destinationId } = route;
    // Dispatch ignores a disabled route, so the job takes the events that wait for dispatch.
    const values = [destinationId, from, to, null, null, null, null, JSON.stringify([ruleOf(route)]), !route.enabled];
    const { reason = "" } = request;
    return { kind: "route_past", destinationId, routeId, asked, reason, members: EVENTS_UNSENT, values };
  };
  await database.query(AWAIT_DISPATCH);
  return await make(database, plan, request.dry_run ?? false);
}

/** Creates the job and freezes its members in one transaction, or only counts them. */
async function make(
  database: Database,
  planning: (tx: Queryable) => Promise<Plan>,
  dryRun: boolean,
  onNone?: (tx: Queryable) => Promise<void>,
): Promise<JobRecord | JobCount> {
  return await database.transaction(async (tx) => {
    const { kind, destinationId, routeId, asked, reason, members, values } = await planning(tx);
    if (destinationId !== null && (await tx.query(HOLD_JOB_DESTINATION, [destinationId])).rowCount === 0) {
      throw new TartanError("not_found", `There is no destination ${destinationId}.`);
    }
    if (dryRun) {
      const { rows } = await tx.query<JobCount>(countMembers(members), values);
      const count = rows[0]?.count ?? 0;
      if (count === 0) await onNone?.(tx);
      return { count: few(count) };
    }
    const id = newJobId();
    await tx.query(INSERT_JOB, [id, kind, destinationId, routeId, JSON.stringify(asked), reason]);
    const { rowCount } = await tx.query(freezeMembers(members, values.length), [...values, id]);
    if (rowCount === 0) await onNone?.(tx);
    await tx.query(OPEN_JOB, [id, few(rowCount)]);
    await tx.query(NOTIFY_JOBS);
    return await existing(tx, id);
    // A million members take longer to freeze than a statement usually may.
  }, "long");
}

function few(count: number): number {
  if (count <= MEMBERS_MAX) return count;
  throw new TartanError(
    "invalid_request",
    "A job is about a million deliveries or events at most, and these are more: choose a shorter time.",
    {
      fields: { from: "must leave at most 1000000 deliveries or events" },
    },
  );
}

export async function getJob(q: Queryable, id: string): Promise<JobRecord | null> {
  const { rows } = await q.query<Row>(GET_JOB, [id]);
  return rows[0] ? toRecord(rows[0]) : null;
}

interface Wanted {
  status?: JobStatus | undefined;
  kind?: JobKind | undefined;
  destination_id?: string | undefined;
  /** `created_at` and `id` of the last job of the page before */
  after?: readonly string[] | undefined;
  limit: number;
}

/** Jobs, newest first, each with its place in a list of several sorts of jobs. */
export async function relayJobs(
  q: Queryable,
  { status, kind, destination_id, after: [at, behind] = [], limit }: Wanted,
): Promise<{ job: JobRecord; place: string }[]> {
  const values = [status ?? null, destination_id ?? null, at ?? null, behind ?? null, limit, kind ?? null];
  const { rows } = await q.query<Row>(LIST_JOBS, values);
  return rows.map((row) => ({ job: toRecord(row), place: row.place }));
}

/** Pauses the job after the batch under way. @throws TartanError `not_found`, or `conflict` when it is not running */
export const pauseJob = async (q: Queryable, id: string): Promise<JobRecord> =>
  await change(q, id, "paused", ["running"]);

/** Continues the job where it was paused. @throws TartanError `not_found`, or `conflict` when it is not paused */
export async function resumeJob(q: Queryable, id: string): Promise<JobRecord> {
  const job = await change(q, id, "running", ["paused"]);
  await q.query(NOTIFY_JOBS);
  return job;
}

/** Ends the job; the deliveries that it scheduled are sent. @throws TartanError `not_found`, or `conflict` when it is finished */
export const cancelJob = async (q: Queryable, id: string): Promise<JobRecord> =>
  await change(q, id, "cancelled", ["running", "paused"]);

/** Cancels the jobs of a destination that is deleted in the same transaction. */
export async function cancelJobsOf(tx: Queryable, destinationId: string): Promise<void> {
  await tx.query(CANCEL_JOBS_OF, [destinationId]);
}

async function change(q: Queryable, id: string, status: JobStatus, from: readonly JobStatus[]): Promise<JobRecord> {
  const changed = await q.query(CHANGE_JOB, [id, status, from]);
  const job = await existing(q, id);
  if (changed.rowCount > 0) return job;
  throw new TartanError(
    "conflict",
    `Job ${id} is ${job.status}; only one that is ${from.join(" or ")} can become ${status}.`,
  );
}

async function existing(q: Queryable, id: string): Promise<JobRecord> {
  const job = await getJob(q, id);
  if (!job) throw new TartanError("not_found", `There is no job ${id}.`);
  return job;
}

const toRecord = ({ place: _place, ...row }: Row): JobRecord => ({
  ...row,
  created_at: row.created_at.toISOString(),
  updated_at: row.updated_at.toISOString(),
  finished_at: row.finished_at?.toISOString() ?? null,
});
