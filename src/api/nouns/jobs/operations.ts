/**
 * /v1/jobs, and what makes them: redriving dead letters, replaying what was sent, and routing what is past. Each is about
 * a set that is frozen when it is asked for; `dry_run` only counts it.
 */
import { z } from "zod";
import { PaceRequest, RetryRequest, TurnRequest } from "../../../fleet/webhook-move.schema.ts";
import { MemberFilter } from "../../../fleet/member.schema.ts";
import { retryFleetJob } from "../../../fleet/jobs.ts";
import { listMembers } from "../../../fleet/members.ts";
import { text } from "../../../model/schema.ts";
import { RedriveRequest, ReplayRequest, RoutePastRequest } from "../../../relay/jobs/job.schema.ts";
import { createRedrive, createReplay, createRoutePast } from "../../../relay/jobs/jobs.ts";
import { IdempotencyHeaders, idempotently } from "../../http/idempotency.ts";
import { about, refusals, type Api, type ApiDeps } from "../../http/operation.ts";
import { list } from "../../http/shapes.ts";
import { RouteParams } from "../routes.ts";
import { DESTINATION_ID, ITEM_ID } from "../../../model/examples.ts";
import {
  getEveryJob,
  JobFilter,
  listEveryJob,
  ofFleet,
  ofRelay,
  paceJob,
  turnJob,
  type EveryJob,
} from "./every-job.ts";
import { Count, fleetJobExample, Job, jobExample, JobMember, memberExample } from "./shapes.ts";

type Made = Awaited<ReturnType<typeof createRedrive>>;

/** A job goes on after the answer; a count is all there is to it. */
const answered = (made: Made): { status: 200 | 202; body: EveryJob | { count: number } } =>
  "count" in made ? { status: 200, body: made } : { status: 202, body: ofRelay(made) };

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

  api.get("/v1/jobs", { schema: LIST }, ({ query }) => listEveryJob(database, query));

  api.get("/v1/jobs/:id", { schema: SHOW }, ({ params: { id } }) => getEveryJob(database, id));

  api.get("/v1/jobs/:id/members", { schema: MEMBERS }, ({ params: { id }, query }) => listMembers(database, id, query));

  for (const turn of ["pause", "resume", "cancel"] as const) {
    api.post(`/v1/jobs/:id/${turn}`, { schema: TURNS[turn] }, ({ params: { id }, body, actor }) =>
      turnJob(database, id, turn, { actor, reason: body.reason }),
    );
  }

  api.post("/v1/jobs/:id/pace", { schema: PACE }, ({ params: { id }, body: { per_minute, reason }, actor }) =>
    paceJob(database, id, per_minute, { actor, reason }),
  );

  api.post("/v1/jobs/:id/retry", { schema: RETRY }, async ({ params: { id }, body: { cause, reason }, actor }) =>
    ofFleet(await retryFleetJob(database, id, { cause }, { actor, reason })),
  );
}

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
  response: { ...made, ...refusals(404, 409, 410, 422) },
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
    description: "Replays, redrives, what routed the past, and work on many Items, newest first.",
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

const MEMBERS = {
  ...about("Jobs", {
    operationId: "listJobMembers",
    summary: "List the Items of a job",
    description: "The Items of a job about Items, each with its state; of a job about deliveries there is no list.",
  }),
  params: JobParams,
  querystring: MemberFilter,
  response: { 200: list(JobMember, memberExample, "A page of Items."), ...refusals(404) },
};

const turn = (operationId: string, summary: string, description: string) => ({
  ...about("Jobs", { operationId, summary, description }),
  params: JobParams,
  body: TurnRequest.meta({ examples: [{ reason: "Plaid reports an incident" }] }),
  response: { 200: Job, ...refusals(404, 409) },
});

const TURNS = {
  pause: turn("pauseJob", "Pause a job", "It stops after what is under way, and keeps its place."),
  resume: turn("resumeJob", "Resume a job", "It goes on where it was paused."),
  cancel: turn("cancelJob", "Cancel a job", "It stops for good; what it has scheduled is sent all the same."),
};

const PACE = {
  ...about("Jobs", {
    operationId: "paceJob",
    summary: "Change the pace of a job",
    description:
      "How many Items a job about Items begins in a minute, from now on. What is under way goes on. A paused job has the new pace when it " +
      "is resumed.",
  }),
  params: JobParams,
  body: PaceRequest.meta({ examples: [{ per_minute: 60, reason: "the bank is slow today" }] }),
  response: { 200: Job.meta({ examples: [{ ...fleetJobExample, per_minute: 60 }] }), ...refusals(404, 409) },
};

const RETRY = {
  ...about("Jobs", {
    operationId: "retryJob",
    summary: "Try failed Items of a job again",
    description: "Begins anew with the Items that failed, all or those of one cause. A job that is done runs again.",
  }),
  params: JobParams,
  body: RetryRequest.meta({ examples: [{ cause: fleetJobExample.failures[0]?.cause }] }),
  response: { 200: Job.meta({ examples: [fleetJobExample] }), ...refusals(404, 409) },
};
