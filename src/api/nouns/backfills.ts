/** /v1/backfills and /v1/checks: start jobs that read many Items again, or prove them. */
import { z } from "zod";
import { BackfillRequest, CheckRequest } from "../../fleet/reading.schema.ts";
import { createBackfill, createCheck, type ReadingCount } from "../../fleet/readings.ts";
import { INTEGRATION_ID } from "../../model/examples.ts";
import { described } from "../../model/schema.ts";
import { IdempotencyHeaders, idempotently } from "../http/idempotency.ts";
import { about, refusals, type Api, type ApiDeps } from "../http/operation.ts";
import type { FleetJob } from "../../fleet/jobs.ts";
import { ofFleet, type EveryJob } from "./jobs/every-job.ts";
import { fleetJobExample, Job } from "./jobs/shapes.ts";

type Made = { status: 200 | 202; body: EveryJob | ReadingCount };
const answered = (made: FleetJob | ReadingCount): Made =>
  "count" in made ? { status: 200, body: made } : { status: 202, body: ofFleet(made) };

export function backfillOperations(api: Api, { database }: ApiDeps): void {
  api.post("/v1/backfills", { schema: BACKFILL }, async (request, reply) => {
    const { actor, body } = request;
    const made = await idempotently<EveryJob | ReadingCount>(database, request, reply, async (q) =>
      answered(await createBackfill(q, body, { actor, reason: body.reason })),
    );
    return reply.code(made.status as 202).send(made.body as never);
  });

  api.post("/v1/checks", { schema: CHECK }, async (request, reply) => {
    const { actor, body } = request;
    const made = await idempotently<EveryJob | ReadingCount>(database, request, reply, async (q) =>
      answered(await createCheck(q, body, { actor, reason: body.reason })),
    );
    return reply.code(made.status as 202).send(made.body as never);
  });
}

const backfillExample = {
  ...fleetJobExample,
  kind: "backfill" as const,
  asked: { mode: "webhooks", integration_id: INTEGRATION_ID, from: "2026-11-20T00:00:00.000Z" },
  reason: "the database was restored from a backup",
  done: 812,
  changed: 800,
  outstanding: 4,
  states: { pending: 9184, reading: 4, read: 800, failed: 12 },
  per_minute: 120,
};
const checkExample = {
  ...backfillExample,
  kind: "check" as const,
  asked: { integration_id: INTEGRATION_ID },
  changed: 0,
  states: { pending: 9184, reading: 4, equal: 800, failed: 12 },
};

const Count = z
  .object({ count: described(z.number().int(), "Items that it would be about.") })
  .meta({ description: "How many Items it would be about; nothing was done.", examples: [{ count: 10_000 }] });

const BACKFILL = {
  ...about("Items", {
    operationId: "startBackfill",
    summary: "Read many Items again",
    description:
      "Reads the Items of an integration or a user, named ones, or those that had webhooks in a range of time: everything again from the start, " +
      "or what those webhooks touch. Answers with a job, which goes on behind all that webhooks make due: at most a quarter of " +
      "sync's concurrency is used, and none while webhooks wait. With `dry_run` it only says how many Items it would be about.",
  }),
  headers: IdempotencyHeaders,
  body: BackfillRequest.meta({ examples: [{ integration_id: INTEGRATION_ID, dry_run: true }] }),
  response: { 202: Job.meta({ examples: [backfillExample] }), 200: Count, ...refusals(404, 409, 422) },
};

const CHECK = {
  ...about("Items", {
    operationId: "startCheck",
    summary: "Prove many Items against Plaid",
    description:
      "Checks all linked Items, or those that are chosen, as POST /v1/items/:item_id/check does one. Answers with a job, which goes on " +
      "behind all that webhooks make due. GET /v1/jobs/:id/members?state=differs lists the Items that had wrong rows.",
  }),
  headers: IdempotencyHeaders,
  body: CheckRequest.meta({ examples: [{ integration_id: INTEGRATION_ID }] }),
  response: { 202: Job.meta({ examples: [checkExample] }), 200: Count, ...refusals(404, 409, 422) },
};
