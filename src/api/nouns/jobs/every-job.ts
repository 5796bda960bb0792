/** All jobs, those about deliveries (relay/jobs) and those about items (fleet), for the API and the command line. */
import { z } from "zod";
import type { Database, Queryable } from "../../../database/types.ts";
import {
  cancelFleetJob,
  fleetJobs,
  getFleetJob,
  paceFleetJob,
  pauseFleetJob,
  resumeFleetJob,
} from "../../../fleet/jobs.ts";
import type { FleetJob } from "../../../fleet/jobs.ts";
import { TartanError } from "../../../errors.ts";
import type { Change } from "../../../model/change.ts";
import { fromCursor, toCursor } from "../../../model/cursors.ts";
import { checkedFilter, page, type FilterOf } from "../../../model/listing.ts";
import { described, namedDestination } from "../../../model/schema.ts";
import { FLEET_KINDS, JOB_KINDS, JOB_STATUSES, type FleetKind, type JobKind } from "../../../model/statuses.ts";
import { cancelJob, getJob, pauseJob, relayJobs, resumeJob, type JobRecord } from "../../../relay/jobs/jobs.ts";

export const ALL_KINDS = [...JOB_KINDS, ...FLEET_KINDS] as const;

export const JobFilter = z.strictObject({
  status: described(z.enum(JOB_STATUSES), "How it stands.").optional(),
  kind: described(z.enum(ALL_KINDS), "What it does.").optional(),
  destination_id: namedDestination.optional(),
  ...page,
});
export type JobFilter = FilterOf<typeof JobFilter>;

/** A job of either sort. What only the other sort has is empty. */
export type EveryJob = Omit<FleetJob, "kind" | "per_minute"> &
  Pick<JobRecord, "destination_id" | "route_id"> & { kind: JobKind | FleetKind; per_minute: number | null };

export const ofRelay = (job: JobRecord): EveryJob => ({
  ...job,
  failed: 0,
  outstanding: 0,
  states: {},
  failures: [],
  per_minute: null,
});
export const ofFleet = (job: FleetJob): EveryJob => ({ ...job, destination_id: null, route_id: null });

/** @throws TartanError `not_found` */
export async function getEveryJob(q: Queryable, id: string): Promise<EveryJob> {
  const job = await getJob(q, id);
  if (job) return ofRelay(job);
  const other = await getFleetJob(q, id);
  if (other) return ofFleet(other);
  throw new TartanError(
    "not_found",
    `There is no job ${id}; GET /v1/jobs or \`npx tartan jobs list\` lists those there are.`,
  );
}

/**
 * One page, newest first.
 * @throws TartanError `invalid_request` for a filter or cursor that is not usable
 */
export async function listEveryJob(
  q: Queryable,
  filter: JobFilter = {},
): Promise<{ data: EveryJob[]; next_cursor: string | null }> {
  const { status, kind, destination_id, limit, cursor } = checkedFilter(JobFilter, filter);
  const after = cursor === undefined ? undefined : fromCursor("jobs", cursor).split("|");
  const wanted = { status, after, limit: limit + 1 };
  const isFleet = (name: string): name is FleetKind => (FLEET_KINDS as readonly string[]).includes(name);
  const relay = kind !== undefined && isFleet(kind) ? [] : await relayJobs(q, { ...wanted, kind, destination_id });
  const others = destination_id !== undefined || (kind !== undefined && !isFleet(kind));
  const fleet = others ? [] : await fleetJobs(q, { ...wanted, kind });
  const merged = [
    ...relay.map(({ job, place }) => ({ job: ofRelay(job), place })),
    ...fleet.map(({ job, place }) => ({ job: ofFleet(job), place })),
  ].toSorted((a, b) => compare(b.place, a.place) || compare(b.job.id, a.job.id));
  const last = merged.length > limit ? merged[limit - 1] : undefined;
  return {
    data: merged.slice(0, limit).map(({ job }) => job),
    next_cursor: last ? toCursor("jobs", `${last.place}|${last.job.id}`) : null,
  };
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** @throws TartanError `not_found`; `conflict` for a job that is finished, or about deliveries */
export async function paceJob(database: Database, id: string, perMinute: number, by: Change): Promise<EveryJob> {
  if ((await getJob(database, id)) === null) return ofFleet(await paceFleetJob(database, id, perMinute, by));
  throw new TartanError("conflict", `Job ${id} is about deliveries; each destination has a rate limit of its own.`);
}

const TURNS = {
  pause: [pauseJob, pauseFleetJob],
  resume: [resumeJob, resumeFleetJob],
  cancel: [cancelJob, cancelFleetJob],
} as const;

/** @throws TartanError `not_found`, or `conflict` where the job is in another status */
export async function turnJob(database: Database, id: string, turn: keyof typeof TURNS, by: Change): Promise<EveryJob> {
  const [relay, fleet] = TURNS[turn];
  const isFleet = (await getJob(database, id)) === null && (await getFleetJob(database, id)) !== null;
  return isFleet ? ofFleet(await fleet(database, id, by)) : ofRelay(await relay(database, id));
}
