/** /v1/webhook-moves: starts jobs that move the webhook URLs of many Items. */
import { z } from "zod";
import { WebhookMoveRequest } from "../../fleet/webhook-move.schema.ts";
import { createWebhookMove, type MovePlan } from "../../fleet/webhook-moves.ts";
import { INTEGRATION_ID } from "../../model/examples.ts";
import { described } from "../../model/schema.ts";
import { IdempotencyHeaders, idempotently } from "../http/idempotency.ts";
import { about, refusals, type Api, type ApiDeps } from "../http/operation.ts";
import { ofFleet, type EveryJob } from "./jobs/every-job.ts";
import { fleetJobExample, Job } from "./jobs/shapes.ts";

export function webhookMoveOperations(api: Api, { database, publicUrl }: ApiDeps): void {
  api.post("/v1/webhook-moves", { schema: MOVE }, async (request, reply) => {
    const { actor, body } = request;
    const made = await idempotently<EveryJob | MovePlan>(database, request, reply, async (q) => {
      const job = await createWebhookMove(q, body, { publicUrl: publicUrl(), by: { actor, reason: body.reason } });
      return "groups" in job ? { status: 200, body: job } : { status: 202, body: ofFleet(job) };
    });
    return reply.code(made.status as 202).send(made.body as never);
  });
}

const count = (description: string) => described(z.number().int(), description);
const url = (description: string) => described(z.string().nullable(), description);

const Plan = z
  .object({
    count: count("Items that it would be about."),
    unchanged: count("Those of them that have the URL already, as far as the mirror knows."),
    groups: described(
      z.array(
        z.object({
          from: url("The present URL; null is none."),
          from_known: described(z.boolean(), "False where the mirror has not read the Item yet."),
          to: url("The URL that they would get; null is none."),
          items: count("Items."),
        }),
      ),
      "By present and new URL, the largest groups first, at most 20.",
    ),
  })
  .meta({
    description: "What would be done; nothing was done.",
    examples: [
      {
        count: 10_000,
        unchanged: 0,
        groups: [
          {
            from: "https://old.example.com/plaid",
            from_known: true,
            to: "https://tartan.example.com/v1/integrations/svi_1",
            items: 10_000,
          },
        ],
      },
    ],
  });

const MOVE = {
  ...about("Items", {
    operationId: "moveWebhooks",
    summary: "Move webhook URLs",
    description:
      "Gives many Items another webhook URL with /item/webhook/update: a URL of yours, Tartan's intake, none, or their former ones " +
      "(`roll_back`). Answers with a job; each Item goes from `pending` over `updated` and `acknowledged` to `verified`. With " +
      "`dry_run` it only says what would be done, as far as the mirror knows the present URLs.",
  }),
  headers: IdempotencyHeaders,
  body: WebhookMoveRequest.meta({ examples: [{ to_intake: true, integration_id: INTEGRATION_ID, dry_run: true }] }),
  response: { 202: Job.meta({ examples: [fleetJobExample] }), 200: Plan, ...refusals(404, 409, 422) },
};
