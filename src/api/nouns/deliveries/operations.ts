/** /v1/deliveries and /v1/dead-letters: what was sent and how it went, and what gave up. */
import { TartanError } from "../../../errors.ts";
import { groups } from "../../../relay/ledger/dead-letters.ts";
import { cancelDelivery, getDelivery, getDeliveryBody, listDeliveries } from "../../../relay/ledger/deliveries.ts";
import { createReplay } from "../../../relay/jobs/jobs.ts";
import {
  DeadLetters,
  DeadLettersQuery,
  DeliveriesQuery,
  Delivery,
  DeliveryBody,
  DeliveryParams,
  DeliveryWhole,
} from "./shapes.ts";
import { IdempotencyHeaders, idempotently } from "../../http/idempotency.ts";
import { DeliveryReplay, Job } from "../jobs/shapes.ts";
import { RELAY_EXAMPLES } from "../relay-examples.ts";
import { about, inPlain, refusals, type Api, type ApiDeps } from "../../http/operation.ts";
import { list } from "../../http/shapes.ts";

const noBody = (id: string) =>
  new TartanError(
    "not_found",
    `There is no body of ${id}: no such delivery, or its event is no longer kept, or its transform has not run yet.`,
  );

export function deliveryRoutes(api: Api, { database }: ApiDeps): void {
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
    const wish = { destination_id, event_id, ...request.body };
    const { body } = await idempotently(database, request, reply, async (q) => ({
      status: 202,
      body: await createReplay(q, wish),
    }));
    return reply.code(202).send(body);
  });

  api.post("/v1/deliveries/:id/cancel", { schema: CANCEL }, ({ params: { id } }) => cancelDelivery(database, id));

  api.get("/v1/dead-letters", { schema: DEAD }, ({ query }) => groups(database, query));
}

const LIST = {
  ...about("Deliveries", {
    operationId: "listDeliveries",
    summary: "List deliveries",
    description:
      "What was made of events for destinations, newest first. Filters combine. `status=undelivered` with a destination is " +
      "what did not arrive there. A type, a cause, or what arrived is looked for a stretch at a time: such a page may be " +
      "short, or empty, and still name a next one.",
  }),
  querystring: DeliveriesQuery,
  response: { 200: list(Delivery, RELAY_EXAMPLES.delivery, "A page of deliveries."), ...refusals() },
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
      "The body of its requests, byte for byte, except that tokens of Plaid's are replaced by the text [cut]. `body_sha256` is of what is sent.",
  }),
  params: DeliveryParams,
  response: { 200: inPlain("application/octet-stream", DeliveryBody), ...refusals(404) },
};

const REPLAY = {
  ...about("Deliveries", {
    operationId: "replayDelivery",
    summary: "Send a delivery again",
    description:
      "Schedules it anew, whether it was delivered, gave up or was cancelled: the same body under the same id, newly signed, " +
      "with the header webhook-replay.",
  }),
  headers: IdempotencyHeaders,
  params: DeliveryParams,
  body: DeliveryReplay,
  response: { 202: Job, ...refusals(404, 409, 422) },
};

const CANCEL = {
  ...about("Deliveries", {
    operationId: "cancelDelivery",
    summary: "Cancel a delivery",
    description: "It is not attempted again; an attempt that is under way may still arrive.",
  }),
  params: DeliveryParams,
  response: { 200: DeliveryWhole, ...refusals(404, 409) },
};

const DEAD = {
  ...about("Deliveries", {
    operationId: "listDeadLetters",
    summary: "List dead letters",
    description:
      "Deliveries that gave up, counted by destination and cause; within a page the largest group first. `GET /v1/deliveries?status=dead` lists them one by one, " +
      "and `POST /v1/dead-letters/redrive` sends them again.",
  }),
  querystring: DeadLettersQuery,
  response: { 200: list(DeadLetters, RELAY_EXAMPLES.deadLetters, "A page of groups."), ...refusals() },
};
