/** /v1/deliveries: deliveries and their attempts. */
import { z } from "zod";
import { TartanError } from "../../errors.ts";
import {
  deliveryId,
  destinationId,
  eventId,
  integrationId,
  itemId,
  namedDelivery,
  noTimestamp,
  orNull,
  routeId,
  timestamp,
  described,
} from "../../model/schema.ts";
import { DELIVERY_STATUSES } from "../../model/statuses.ts";
import { ReplayRequest } from "../../relay/jobs/job.schema.ts";
import { createReplay } from "../../relay/jobs/jobs.ts";
import { cancelDelivery, getDelivery, getDeliveryBody, listDeliveries } from "../../relay/ledger/deliveries.ts";
import { DeliveryFilter } from "../../relay/ledger/delivery.schema.ts";
import { FORMS } from "../../relay/model/types.ts";
import { IdempotencyHeaders, idempotently } from "../http/idempotency.ts";
import { about, inPlain, refusals, type Api, type ApiDeps } from "../http/operation.ts";
import { list } from "../http/shapes.ts";
import { ofRelay } from "./jobs/every-job.ts";
import { Job } from "./jobs/shapes.ts";
import { DELIVERY_ID, DESTINATION_ID, EVENT_ID, INTEGRATION_ID, ITEM_ID, ROUTE_ID } from "../../model/examples.ts";

const noBody = (id: string) =>
  new TartanError(
    "not_found",
    `There is no body of ${id}: no such delivery, or its event or the body of its webhook is no longer kept, or its transform has not run yet.`,
  );

export function deliveryOperations(api: Api, { database }: ApiDeps): void {
  const find = async (id: string) => {
    const delivery = await getDelivery(database, id);
    if (!delivery) throw new TartanError("not_found", `There is no delivery ${id}; ids look like dlv_ and 32 digits.`);
    return delivery;
  };

  api.get("/v1/deliveries", { schema: LIST }, ({ query }) => listDeliveries(database, query));

  api.get("/v1/deliveries/:id", { schema: SHOW }, ({ params: { id } }) => find(id));

  api.get("/v1/deliveries/:id/body", { schema: BODY }, async ({ params: { id } }, reply) => {
    const body = await getDeliveryBody(database, id);
    if (body === null) throw noBody(id);
    return reply.type("application/octet-stream").send(body as never);
  });

  api.post("/v1/deliveries/:id/replay", { schema: REPLAY }, async (request, reply) => {
    const { destination_id, event_id } = await find(request.params.id);
    const input = { destination_id, event_id, ...request.body };
    const { body } = await idempotently(database, request, reply, async (q) => ({
      status: 202,
      body: ofRelay(await createReplay(q, input)),
    }));
    return reply.code(202).send(body);
  });

  api.post("/v1/deliveries/:id/cancel", { schema: CANCEL }, ({ params: { id } }) => cancelDelivery(database, id));
}

export const deliveryExample = {
  id: DELIVERY_ID,
  destination_id: DESTINATION_ID,
  event_id: EVENT_ID,
  event_type: "transactions.changed",
  integration_id: INTEGRATION_ID,
  item_id: ITEM_ID,
  route_id: ROUTE_ID,
  route_version: 1,
  form: "event" as const,
  status: "dead" as const,
  due_at: null,
  attempts: 8,
  tries: 8,
  job_id: null,
  cause: "status_503",
  detail: null,
  last_status: 503,
  body_sha256: "3f1a5c7e9b2d4f60718293a4b5c6d7e8f9a0b1c2d3e4f5061728394a5b6c7d8e",
  created_at: "2026-11-20T17:03:29.520Z",
  finished_at: "2026-11-21T20:41:10.004Z",
};

const attemptExample = {
  number: 8,
  started_at: "2026-11-21T20:41:09.871Z",
  duration_ms: 133,
  url: "https://ledger.example.com/webhooks/plaid",
  address: "203.0.113.80",
  status: 503,
  error: "status_503",
  response_headers: { "content-type": "text/plain" },
  response_head: "upstream is down",
  job_id: null,
};

const fields = {
  id: deliveryId,
  destination_id: destinationId,
  event_id: eventId,
  event_type: described(z.string(), "What happened."),
  integration_id: orNull(integrationId),
  item_id: orNull(itemId),
  route_id: described(routeId, "The route that made it."),
  route_version: described(z.number().int(), "The version of it."),
  form: described(z.enum(FORMS), "What is sent of the event."),
  status: described(
    z.enum(DELIVERY_STATUSES),
    "`held`: scheduled, at a destination that is paused, disabled or open. `dead`: it gave up.",
  ),
  due_at: noTimestamp("When the next attempt is or was due."),
  attempts: described(z.number().int(), "All there were."),
  tries: described(
    z.number().int(),
    "Attempts since it was scheduled, replayed or redriven: its place in the retry schedule.",
  ),
  job_id: described(z.string().nullable(), "The last replay or redrive of it."),
  cause: described(z.string().nullable(), "Cause of the last failure, such as status_500, timeout or transform_error."),
  detail: described(z.string().nullable(), "Details of the cause, such as why a transform failed."),
  last_status: described(z.number().int().nullable(), "HTTP status of the last answer."),
  body_sha256: described(z.string().nullable(), "SHA-256 of what is sent, in hexadecimal."),
  created_at: timestamp("When it was made."),
  finished_at: noTimestamp("When it was delivered, became a dead letter or was cancelled."),
};

const Delivery = z
  .object(fields)
  .meta({ id: "Delivery", description: "One event for one destination.", examples: [deliveryExample] });

const attempt = z.object({
  number: described(z.number().int(), "From 1."),
  started_at: timestamp("When it began."),
  duration_ms: described(
    z.number().int().nullable(),
    "How long it took, with the answer; null if Tartan ended meanwhile, so its outcome is unknown.",
  ),
  url: described(z.string(), "Where it was posted to."),
  address: described(z.string().nullable(), "The receiver's address; null without a connection."),
  status: described(z.number().int().nullable(), "HTTP status; null where there was no answer."),
  error: described(z.string().nullable(), "Cause of its failure; null if the answer was 2xx."),
  response_headers: described(z.record(z.string(), z.unknown()).nullable(), "Headers of the answer."),
  response_head: described(z.string().nullable(), "The first 16 KiB of the answer, as text."),
  job_id: described(z.string().nullable(), "The replay or redrive it was made for."),
});

export const DeliveryWhole = z
  .object({ ...fields, log: described(z.array(attempt), "Its attempts, the oldest first; at most the last 500.") })
  .meta({
    id: "DeliveryWhole",
    description: "A delivery and its attempts.",
    examples: [{ ...deliveryExample, log: [attemptExample] }],
  });

const DeliveryBody = z.string().meta({
  description: "The bytes that are sent.",
  examples: ['{"id":"evt_0192f3a87d4c7a1e8c5b2f9d6e3a7b10","type":"item.linked","version":1,…}'],
});

const DeliveryParams = z.object({ id: namedDelivery });

const LIST = {
  ...about("Deliveries", {
    operationId: "listDeliveries",
    summary: "List deliveries",
    description:
      "Deliveries of events to destinations, newest first. Filters combine. `status=undelivered` with a destination is " +
      "what did not arrive there. A type, a cause, or what arrived is looked for a stretch at a time: such a page may be " +
      "short, or empty, and still name a next one.",
  }),
  querystring: DeliveryFilter,
  response: { 200: list(Delivery, deliveryExample, "A page of deliveries."), ...refusals() },
};

const SHOW = {
  ...about("Deliveries", {
    operationId: "getDelivery",
    summary: "Show a delivery",
    description: "One delivery with every attempt: time, latency, address, status, headers and the head of the answer.",
  }),
  params: DeliveryParams,
  response: { 200: DeliveryWhole, ...refusals(404) },
};

const BODY = {
  ...about("Deliveries", {
    operationId: "getDeliveryBody",
    summary: "Show what a delivery sends",
    description:
      "The body of its requests, byte for byte, with the text [cut] for Plaid's tokens. `body_sha256` is the hash of the sent body.",
  }),
  params: DeliveryParams,
  response: { 200: inPlain("application/octet-stream", DeliveryBody), ...refusals(404) },
};

const REPLAY = {
  ...about("Deliveries", {
    operationId: "replayDelivery",
    summary: "Send a delivery again",
    description:
      "Schedules it again, whether it was delivered, dead or cancelled: the same body with the same id and new signatures, " +
      "with the header webhook-replay.",
  }),
  headers: IdempotencyHeaders,
  params: DeliveryParams,
  body: ReplayRequest.pick({ reason: true }).meta({ examples: [{ reason: "the ledger lost it" }] }),
  response: { 202: Job, ...refusals(404, 409, 422) },
};

const CANCEL = {
  ...about("Deliveries", {
    operationId: "cancelDelivery",
    summary: "Cancel a delivery",
    description: "Tartan does not attempt it again; an attempt under way may still arrive.",
  }),
  params: DeliveryParams,
  response: { 200: DeliveryWhole, ...refusals(404, 409) },
};
