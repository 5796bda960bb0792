/**
 * /v1/jobs, and what makes them: redriving dead letters, replaying what was sent, and routing what is past. Each is about
 * a set that is frozen when it is asked for; `dry_run` only counts it.
 */
import { z } from "zod";
import { TartanError } from "../../errors.ts";
import {
  anyObject,
  destinationId,
  noTimestamp,
  orNull,
  routeId,
  text,
  timestamp,
  described,
} from "../../model/schema.ts";
import { JOB_KINDS, JOB_STATUSES } from "../../model/statuses.ts";
import { JobFilter, RedriveRequest, ReplayRequest, RoutePastRequest } from "../../relay/jobs/job.schema.ts";
import {
  cancelJob,
  createRedrive,
  createReplay,
  createRoutePast,
  getJob,
  listJobs,
  pauseJob,
  resumeJob,
} from "../../relay/jobs/jobs.ts";
import { IdempotencyHeaders, idempotently } from "../http/idempotency.ts";
import { about, refusals, type Api, type ApiDeps } from "../http/operation.ts";
import { list } from "../http/shapes.ts";
import { RouteParams } from "./routes.ts";
import { DESTINATION_ID, ITEM_ID, JOB_ID } from "../../model/examples.ts";

type Made = Awaited<ReturnType<typeof createRedrive>>;

/** A job goes on after the answer; a count is all there is to it. */
const answered = (made: Made): { status: 200 | 202; body: Made } => ({
  status: "count" in made ? 200 : 202,
  body: made,
});

export function jobOperations(api: Api, { database }: ApiDeps): void {
  api.post("/v1/dead-letters/redrive", { schema: REDRIVE }, async (request, reply) => {
    const made = await idempotently(database, request, reply, async (q) =>
      answered(await createRedrive(q, request.body)),
    );
    return reply.code(made.status as 202).send(made.body as never);
  });

  api.post("/v1/replays", { schema: REPLAY }, async (request, reply) => {
    const made = await idempotently(database, request, reply, async (q) =>
      answered(await createReplay(q, request.body)),
    );
    return reply.code(made.status as 202).send(made.body as never);
  });

  api.post("/v1/routes/:id/route-past", { schema: ROUTE_PAST }, async (request, reply) => {
    const input = { route_id: request.params.id, ...request.body };
    const made = await idempotently(database, request, reply, async (q) => answered(await createRoutePast(q, input)));
    return reply.code(made.status as 202).send(made.body as never);
  });

  api.get("/v1/jobs", { schema: LIST }, ({ query }) => listJobs(database, query));

  api.get("/v1/jobs/:id", { schema: SHOW }, async ({ params: { id } }) => {
    const job = await getJob(database, id);
    if (!job) throw new TartanError("not_found", `There is no job ${id}; GET /v1/jobs lists those there are.`);
    return job;
  });

  api.post("/v1/jobs/:id/pause", { schema: PAUSE }, ({ params: { id } }) => pauseJob(database, id));
  api.post("/v1/jobs/:id/resume", { schema: RESUME }, ({ params: { id } }) => resumeJob(database, id));
  api.post("/v1/jobs/:id/cancel", { schema: CANCEL }, ({ params: { id } }) => cancelJob(database, id));
}

export const jobExample = {
  id: JOB_ID,
  kind: "redrive" as const,
  status: "running" as const,
  destination_id: DESTINATION_ID,
  route_id: null,
  asked: { destination_id: DESTINATION_ID, cause: "status_503" },
  reason: "the ledger was down on Friday",
  total: 412,
  done: 150,
  changed: 150,
  created_at: "2026-11-23T08:00:00.000Z",
  updated_at: "2026-11-23T08:00:01.300Z",
  finished_at: null,
};

export const Job = z
  .object({
    id: described(z.string(), "Id of a job, `job_…`; what it sends says it in the header webhook-replay."),
    kind: described(z.enum(JOB_KINDS), "What it does."),
    status: described(z.enum(JOB_STATUSES), "Cancelled, it takes back nothing it has done."),
    destination_id: orNull(destinationId),
    route_id: orNull(routeId),
    asked: anyObject("What was asked for."),
    reason: described(z.string(), "Why, as its maker said."),
    total: described(z.number().int(), "Deliveries or events that it is about, counted when it was made."),
    done: described(z.number().int(), "Those it has been through."),
    changed: described(z.number().int(), "Those of them that it scheduled; the others need or can not be."),
    created_at: timestamp("When it was asked for."),
    updated_at: timestamp("When it last went on."),
    finished_at: noTimestamp("When it was done or cancelled."),
  })
  .meta({ id: "Job", description: "Work on many deliveries.", examples: [jobExample] });

const Count = z
  .object({ count: described(z.number().int(), "Deliveries or events that it would be about.") })
  .meta({ description: "How many it would be about; nothing was done.", examples: [{ count: 412 }] });

const JobParams = z.object({ id: text(100, "Id of a job, `job_…`.") });

const made = { 202: Job, 200: Count };

const REDRIVE = {
  ...about("Jobs", {
    operationId: "redriveDeadLetters",
    summary: "Send dead letters again",
    description:
      "Schedules deliveries that gave up, with their schedule from its beginning: those of a destination, a cause, an Item or a " +
      "range of time, or those that are named. With `state` `failed` and `from`, all that failed since then is recovered: what " +
      "waits for its next attempt is sent now, too. The same body is sent under the same id. With `dry_run` it only says how many.",
  }),
  headers: IdempotencyHeaders,
  body: RedriveRequest.meta({
    examples: [{ destination_id: DESTINATION_ID, cause: "status_503", reason: jobExample.reason }],
  }),
  response: { ...made, ...refusals(404, 422) },
};

const REPLAY = {
  ...about("Jobs", {
    operationId: "replayEvents",
    summary: "Send events again",
    description:
      "Sends a destination what it was sent before, by event, Item, type or time: the same bodies under the same ids, " +
      "newly signed, with the header webhook-replay. An event that its routes would take and that was never sent to it is " +
      "sent too. With `dry_run` it only says how many.",
  }),
  headers: IdempotencyHeaders,
  body: ReplayRequest.meta({
    examples: [
      {
        destination_id: DESTINATION_ID,
        item_id: ITEM_ID,
        from: "2026-11-20T00:00:00.000Z",
        reason: "the ledger lost a day",
        dry_run: true,
      },
    ],
  }),
  response: { ...made, ...refusals(404, 409, 422) },
};

const ROUTE_PAST = {
  ...about("Jobs", {
    operationId: "routePastEvents",
    summary: "Route past events",
    description:
      "Sends what a route would have taken, had it been there: each event that its destination has no delivery of. With " +
      "`dry_run` it only says how many events it will examine.",
  }),
  headers: IdempotencyHeaders,
  params: RouteParams,
  body: RoutePastRequest.omit({ route_id: true }).meta({
    examples: [{ from: "2026-11-01T00:00:00.000Z", reason: "a new receiver" }],
  }),
  response: { ...made, ...refusals(404, 422) },
};

const LIST = {
  ...about("Jobs", {
    operationId: "listJobs",
    summary: "List jobs",
    description: "Replays, redrives and what routed the past, newest first.",
  }),
  querystring: JobFilter,
  response: { 200: list(Job, jobExample, "A page of jobs."), ...refusals() },
};

const SHOW = {
  ...about("Jobs", {
    operationId: "getJob",
    summary: "Show a job",
    description: "One job and how far it is.",
  }),
  params: JobParams,
  response: { 200: Job, ...refusals(404) },
};

const turn = (operationId: string, summary: string, description: string) => ({
  ...about("Jobs", { operationId, summary, description }),
  params: JobParams,
  response: { 200: Job, ...refusals(404, 409) },
});

const PAUSE = turn("pauseJob", "Pause a job", "It stops after the batch that is under way, and keeps its place.");
const RESUME = turn("resumeJob", "Resume a job", "It goes on where it was paused.");
const CANCEL = turn("cancelJob", "Cancel a job", "It stops for good; what it has scheduled is sent all the same.");
