/**
 * /v1/jobs, and what makes them: redriving dead letters, replaying what was sent, and routing what is past. Each is about
 * a set that is frozen when it is asked for; `dry_run` only counts it.
 */
import { TartanError } from "../../../errors.ts";
import {
  cancelJob,
  createRedrive,
  createReplay,
  createRoutePast,
  getJob,
  listJobs,
  pauseJob,
  resumeJob,
} from "../../../relay/jobs/jobs.ts";
import { IdempotencyHeaders, idempotently } from "../../http/idempotency.ts";
import { Count, Job, JobParams, JobsQuery, Redrive, Replay, RoutePast } from "./shapes.ts";
import { RELAY_EXAMPLES } from "../relay-examples.ts";
import { RouteParams } from "../routes/shapes.ts";
import { about, refusals, type Api, type ApiDeps } from "../../http/operation.ts";
import { list } from "../../http/shapes.ts";

type Made = Awaited<ReturnType<typeof createRedrive>>;

/** A job goes on after the answer; a count is all there is to it. */
const answered = (made: Made): { status: 200 | 202; body: Made } => ({
  status: "count" in made ? 200 : 202,
  body: made,
});

export function jobRoutes(api: Api, { database }: ApiDeps): void {
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
    const wish = { route_id: request.params.id, ...request.body };
    const made = await idempotently(database, request, reply, async (q) => answered(await createRoutePast(q, wish)));
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
  body: Redrive,
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
  body: Replay,
  response: { ...made, ...refusals(404, 409, 422) },
};

const ROUTE_PAST = {
  ...about("Jobs", {
    operationId: "routePastEvents",
    summary: "Route past events",
    description:
      "Sends what a route would have taken, had it been there: each event that its destination has no delivery of. With " +
      "`dry_run` it only says how many events will be looked at.",
  }),
  headers: IdempotencyHeaders,
  params: RouteParams,
  body: RoutePast,
  response: { ...made, ...refusals(404, 422) },
};

const LIST = {
  ...about("Jobs", {
    operationId: "listJobs",
    summary: "List jobs",
    description: "Replays, redrives and what routed the past, newest first.",
  }),
  querystring: JobsQuery,
  response: { 200: list(Job, RELAY_EXAMPLES.job, "A page of jobs."), ...refusals() },
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
