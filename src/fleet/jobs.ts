/**
 * Fleet jobs: work on many items, an item at a time. Their members are frozen when a job is created, so items that are linked later do
 * not join it. runner.ts does the work; kind.ts says what a kind is.
 *
 *   running ◀──resume── paused          running ──nothing is left to do──▶ done ──retry: failed members again──▶ running
 *      └──────pause───────▲  └──cancel──▶ cancelled ◀──cancel── running
 */
import { audit } from "../audit/audit.ts";
import type { Action } from "../audit/audit.schema.ts";
import type { Database, Queryable } from "../database/types.ts";
import { TartanError } from "../errors.ts";
import type { Change } from "../model/change.ts";
import { newJobId } from "../model/ids.ts";
import type { FleetKind, JobStatus } from "../model/statuses.ts";
import { recordOf, type FleetJob, type JobRow } from "./job-record.ts";
import { kindOf } from "./kinds/index.ts";
import {
  BUSY_ELSEWHERE,
  CHANGE_JOB,
  COUNT_UNFINISHED,
  freezeMembers,
  GET_JOB,
  INSERT_JOB,
  IS_HELD,
  LIST_JOBS,
  LOCK_CREATION,
  LOCK_JOB,
  MEMBERS_MAX,
  NOTIFY_JOBS,
  OPEN_JOB,
  REOPEN_JOB,
  RETRY_FAILED,
  SET_PACE,
  UNFINISHED_MAX,
} from "./queries.ts";

export type { FleetJob } from "./job-record.ts";

/** A job to create. */
export interface NewJob {
  kind: FleetKind;
  /** null: items of any integration */
  integrationId: string | null;
  /** the request, as it is shown with the job */
  asked: Readonly<Record<string, unknown>>;
  /** members that are begun in a minute; by default the kind's */
  perMinute?: number | undefined;
  members: Members;
}

/** A statement that yields `integration_id`, `item_id` and `details` (jsonb) of each member once, and its values. */
export interface Members {
  text: string;
  values: readonly unknown[];
}

/**
 * Creates a job and freezes its members, in one transaction.
 * @throws TartanError `conflict` where too many jobs are unfinished, or where an item is in another unfinished job of a kind that takes
 *   no item twice; `invalid_request` for more than a million members
 */
export async function createFleetJob(database: Database, job: NewJob, by: Change): Promise<FleetJob> {
  const { kind: name, integrationId, asked, perMinute, members } = job;
  const kind = kindOf(name);
  const [first = ""] = Object.keys(kind.states);
  return await database.transaction(async (tx) => {
    await tx.query(LOCK_CREATION);
    await expectFew(tx);
    const id = newJobId();
    const pace = perMinute ?? kind.perMinute;
    await tx.query(INSERT_JOB, [id, name, integrationId, JSON.stringify(shown(asked)), by.reason ?? "", pace]);
    const { text, values } = members;
    const { rowCount } = await tx.query(freezeMembers(text, values.length), [...values, id, first]);
    if (rowCount > MEMBERS_MAX)
      throw new TartanError(
        "invalid_request",
        "A job is about a million items at most, and these are more: choose fewer.",
      );
    if (kind.exclusive) await expectFree(tx, name, id);
    await tx.query(OPEN_JOB, [id, rowCount]);
    const details = { kind: name, items: rowCount };
    await audit(tx, by, { action: "job.started", integrationId: integrationId ?? undefined, target: id, details });
    await tx.query(NOTIFY_JOBS);
    return await existing(tx, id);
  }, "long");
}

const NAMED_MAX = 100;

/** A request may name 10,000 items. Each list of jobs would carry them all, so a job shows the first; its members are all of them. */
function shown(asked: NewJob["asked"]): NewJob["asked"] {
  const named = asked["item_ids"];
  if (!Array.isArray(named) || named.length <= NAMED_MAX) return asked;
  return { ...asked, item_ids: named.slice(0, NAMED_MAX), item_ids_left_out: named.length - NAMED_MAX };
}

async function expectFew(tx: Queryable): Promise<void> {
  const { rows } = await tx.query<{ count: number }>(COUNT_UNFINISHED);
  if ((rows[0]?.count ?? 0) < UNFINISHED_MAX) return;
  throw new TartanError(
    "conflict",
    `There are ${UNFINISHED_MAX} unfinished jobs about items, and there may be no more. Wait for some of them, or cancel them.`,
  );
}

async function expectFree(tx: Queryable, kind: FleetKind, id: string): Promise<void> {
  const { rows } = await tx.query<{ id: string }>(BUSY_ELSEWHERE, [kind, id]);
  const [other] = rows;
  if (!other) return;
  throw new TartanError(
    "conflict",
    `Job ${other.id} still works on some of these items. Wait until it is done, or cancel it with POST /v1/jobs/${other.id}/cancel.`,
  );
}

export async function getFleetJob(q: Queryable, id: string): Promise<FleetJob | null> {
  const { rows } = await q.query<JobRow>(GET_JOB, [id]);
  return rows[0] ? recordOf(rows[0]) : null;
}

/** Whether a process still works on the job: a cancelled one is given back when its last request has ended. */
export const isHeld = async (q: Queryable, id: string): Promise<boolean> => (await q.query(IS_HELD, [id])).rowCount > 0;

interface Wanted {
  status?: JobStatus | undefined;
  kind?: FleetKind | undefined;
  /** `[created_at, id]` of the last job of the page before */
  after?: readonly string[] | undefined;
  limit: number;
}

/** Jobs, newest first, each with its place in a merged list. */
export async function fleetJobs(
  q: Queryable,
  { status, kind, after: [at, behind] = [], limit }: Wanted,
): Promise<{ job: FleetJob; place: string }[]> {
  const values = [status ?? null, kind ?? null, at ?? null, behind ?? null, limit];
  const { rows } = await q.query<JobRow & { place: string }>(LIST_JOBS, values);
  return rows.map((row) => ({ job: recordOf(row), place: row.place }));
}

/** Nothing more is begun; requests that are under way end. @throws TartanError `not_found`, or `conflict` when it is not running */
export const pauseFleetJob = (database: Database, id: string, by: Change): Promise<FleetJob> =>
  change(database, id, by, { action: "job.paused", status: "paused", from: ["running"] });

/** @throws TartanError `not_found`, or `conflict` when it is not paused */
export const resumeFleetJob = (database: Database, id: string, by: Change): Promise<FleetJob> =>
  change(database, id, by, { action: "job.resumed", status: "running", from: ["paused"] });

/** Ends the job; what it did stays. @throws TartanError `not_found`, or `conflict` when it is finished */
export const cancelFleetJob = (database: Database, id: string, by: Change): Promise<FleetJob> =>
  change(database, id, by, { action: "job.cancelled", status: "cancelled", from: ["running", "paused"] });

interface Turn {
  action: Action;
  status: JobStatus;
  from: readonly JobStatus[];
}

async function change(database: Database, id: string, by: Change, { action, status, from }: Turn): Promise<FleetJob> {
  return await database.transaction(async (tx) => {
    const changed = await tx.query(CHANGE_JOB, [id, status, from]);
    const job = await existing(tx, id);
    if (changed.rowCount === 0) {
      const words = `Job ${id} is ${job.status}; only one that is ${from.join(" or ")} can become ${status}.`;
      throw new TartanError("conflict", words);
    }
    await audit(tx, by, { action, target: id });
    await tx.query(NOTIFY_JOBS);
    return job;
  });
}

/**
 * Changes how many members are begun in a minute; its holder keeps the new pace at once.
 * @throws TartanError `not_found`, or `conflict` when it is finished
 */
export async function paceFleetJob(database: Database, id: string, perMinute: number, by: Change): Promise<FleetJob> {
  return await database.transaction(async (tx) => {
    const changed = await tx.query(SET_PACE, [id, perMinute]);
    const job = await existing(tx, id);
    if (changed.rowCount === 0)
      throw new TartanError("conflict", `Job ${id} is ${job.status}, so it begins no more items.`);
    await audit(tx, by, { action: "job.paced", target: id, details: { per_minute: perMinute } });
    await tx.query(NOTIFY_JOBS);
    return job;
  });
}

/**
 * Works on failed members again from their first state, on those of one cause or on all. A job that is done runs again.
 * @throws TartanError `not_found`; `conflict` for a cancelled job, where nothing failed so, or where another job works on the items
 */
export async function retryFleetJob(
  database: Database,
  id: string,
  { cause }: { cause?: string | undefined },
  by: Change,
): Promise<FleetJob> {
  return await database.transaction(async (tx) => {
    await tx.query(LOCK_CREATION);
    const { rows } = await tx.query<{ kind: FleetKind; status: JobStatus }>(LOCK_JOB, [id]);
    const [job] = rows;
    if (!job) throw noJob(id);
    if (job.status === "cancelled") throw new TartanError("conflict", `Job ${id} is cancelled; start another one.`);
    if (job.status === "done") await expectFew(tx);
    const kind = kindOf(job.kind);
    const [first = ""] = Object.keys(kind.states);
    const { rowCount } = await tx.query(RETRY_FAILED, [id, cause ?? null, first]);
    if (rowCount === 0) throw new TartanError("conflict", `Job ${id} has no failed items to try again.`);
    if (kind.exclusive) await expectFree(tx, job.kind, id);
    await tx.query(REOPEN_JOB, [id]);
    await audit(tx, by, { action: "job.retried", target: id, details: { items: rowCount } });
    await tx.query(NOTIFY_JOBS);
    return await existing(tx, id);
  }, "long");
}

async function existing(q: Queryable, id: string): Promise<FleetJob> {
  const job = await getFleetJob(q, id);
  if (!job) throw noJob(id);
  return job;
}

export const noJob = (id: string): TartanError =>
  new TartanError(
    "not_found",
    `There is no job ${id}; GET /v1/jobs or \`npx tartan jobs list\` lists those there are.`,
  );
