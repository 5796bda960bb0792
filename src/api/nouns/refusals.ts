/** /v1/refusals: requests that the intake refused and why, newest first. */
import { z } from "zod";
import { listRefusals } from "../../journal/refusals.ts";
import { page } from "../../model/listing.ts";
import { integrationId, namedIntegration, orNull, timestamp, described } from "../../model/schema.ts";
import { about, refusals, type Api, type ApiDeps } from "../http/operation.ts";
import { list } from "../http/shapes.ts";
import { INTEGRATION_ID } from "../../model/examples.ts";

export function refusalOperations(api: Api, { database }: ApiDeps): void {
  api.get("/v1/refusals", { schema: LIST }, ({ query }) => listRefusals(database, query));
}

const example = {
  refused_at: "2026-11-20T16:58:12.337Z",
  integration_id: INTEGRATION_ID,
  listener_id: null,
  reason: "webhook_secret_mismatch",
  detail: "The webhook secret is not this integration's.",
  remote_address: "203.0.113.7",
  body_bytes: 214,
  count: 12,
};

const Refusal = z
  .object({
    refused_at: timestamp("When, or since when."),
    integration_id: orNull(integrationId),
    listener_id: described(z.string().nullable(), "Id of the listener to whose URL it was sent."),
    reason: described(z.string(), "Stable code, such as signature_invalid."),
    detail: described(z.string().nullable(), "One sentence."),
    remote_address: described(z.string().nullable(), "Who sent it."),
    body_bytes: described(z.number().int().nullable(), "How long its body was."),
    count: described(z.number().int(), "Number of equal refusals that this row stands for."),
  })
  .meta({ id: "Refusal", description: "Requests that the intake refused.", examples: [example] });

const LIST = {
  ...about("Journal", {
    operationId: "listRefusals",
    summary: "List refused requests",
    description:
      "Requests that an intake URL or the URL of a listener refused and why, newest first, such as a wrong secret. Equal ones " +
      "are folded into one row; only the last ten thousand rows are kept.",
  }),
  querystring: z.strictObject({ integration_id: namedIntegration.optional(), ...page }),
  response: { 200: list(Refusal, example, "A page of refusals."), ...refusals() },
};
