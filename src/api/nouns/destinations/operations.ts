/**
 * /v1/destinations: where Tartan sends events. The relay holds the deliveries of a destination that is paused, disabled or
 * failing, and sends them in their order once it is healthy again.
 */
import { z } from "zod";
import { TartanError } from "../../../errors.ts";
import { page } from "../../../model/listing.ts";
import { namedDestination } from "../../../model/schema.ts";
import { deleteDestination } from "../../../relay/delete-destination.ts";
import { DestinationChange, KeyRotation, NewDestination } from "../../../relay/destinations/destination.schema.ts";
import {
  createDestination,
  disableDestination,
  enableDestination,
  getDestination,
  listDestinations,
  pauseDestination,
  resumeDestination,
  rotateSigningKey,
  updateDestination,
} from "../../../relay/destinations/destinations.ts";
import { sendTest } from "../../../relay/ledger/test-deliveries.ts";
import { about, refusals, type Api, type ApiDeps } from "../../http/operation.ts";
import { pageOf } from "../../http/paging.ts";
import { list } from "../../http/shapes.ts";
import { checkedByOwner } from "../../http/validation.ts";
import { DeliveryWhole } from "../deliveries.ts";
import { Destination, DestinationCreated, DestinationDeleted, destinationExample, KeyRotated } from "./shapes.ts";

const noDestination = (id: string) =>
  new TartanError("not_found", `There is no destination ${id}; GET /v1/destinations lists those there are.`);

export function destinationOperations(api: Api, deps: ApiDeps): void {
  const { database } = deps;

  api.post("/v1/destinations", { schema: CREATE }, async ({ body }, reply) =>
    reply.code(201).send(await createDestination(deps, body)),
  );

  api.get("/v1/destinations", { schema: LIST }, async ({ query }) =>
    pageOf(await listDestinations(database), query, ({ created_at, id }) => [created_at, id]),
  );

  api.get("/v1/destinations/:id", { schema: SHOW }, async ({ params: { id } }) => {
    const destination = await getDestination(database, id);
    if (!destination) throw noDestination(id);
    return destination;
  });

  api.patch("/v1/destinations/:id", { schema: CHANGE }, ({ params: { id }, body }) =>
    updateDestination(deps, id, body),
  );

  api.delete("/v1/destinations/:id", { schema: DELETE }, async ({ params: { id } }) => {
    await deleteDestination(database, id);
    return { id, deleted: true as const };
  });

  api.post("/v1/destinations/:id/pause", { schema: PAUSE }, ({ params: { id } }) => pauseDestination(database, id));
  api.post("/v1/destinations/:id/resume", { schema: RESUME }, ({ params: { id } }) => resumeDestination(database, id));
  api.post("/v1/destinations/:id/enable", { schema: ENABLE }, ({ params: { id } }) => enableDestination(database, id));
  api.post("/v1/destinations/:id/disable", { schema: DISABLE }, ({ params: { id } }) =>
    disableDestination(database, id),
  );

  api.post("/v1/destinations/:id/test", { schema: TEST }, ({ params: { id } }) => sendTest(deps, id));

  api.post("/v1/destinations/:id/rotate-secret", { schema: ROTATE }, ({ params: { id }, body }) =>
    rotateSigningKey(deps, id, body),
  );
}

const DestinationParams = z.object({ id: namedDestination });

const TEST = {
  ...about("Destinations", {
    operationId: "testDestination",
    summary: "Send a test event",
    description:
      "Sends one event of type `destination.test` at once, signed and guarded like any other, with the header `Tartan-Test: " +
      "true`, and answers with the delivery and what the receiver said: `delivered`, or `cancelled` with the cause. It is not " +
      "retried, counts for nothing in the destination's health, and is sent to one that is paused or disabled too.",
  }),
  params: DestinationParams,
  response: { 200: DeliveryWhole, ...refusals(404) },
};

const CREATE = {
  ...about("Destinations", {
    operationId: "createDestination",
    summary: "Create a destination",
    description:
      "A URL to send events to. It receives nothing until it has a route. Keep `signing_secret`, which is shown " +
      "once: your receiver verifies with it, by any Standard Webhooks library.",
  }),
  body: checkedByOwner(
    NewDestination.meta({
      examples: [
        {
          name: destinationExample.name,
          description: destinationExample.description,
          url: destinationExample.url,
          headers: { authorization: "Bearer your-own-token" },
          rate_limit: destinationExample.rate_limit,
          ordering: destinationExample.ordering,
        },
      ],
    }),
  ),
  response: { 201: DestinationCreated, ...refusals() },
};

const LIST = {
  ...about("Destinations", {
    operationId: "listDestinations",
    summary: "List destinations",
    description: "All destinations and their status, oldest first, without secrets and header values.",
  }),
  querystring: z.strictObject(page),
  response: { 200: list(Destination, destinationExample, "A page of destinations."), ...refusals() },
};

const SHOW = {
  ...about("Destinations", {
    operationId: "getDestination",
    summary: "Show a destination",
    description: "Its configuration, its status, and how many deliveries wait for it.",
  }),
  params: DestinationParams,
  response: { 200: Destination, ...refusals(404) },
};

const CHANGE = {
  ...about("Destinations", {
    operationId: "updateDestination",
    summary: "Change a destination",
    description:
      "Changes the given fields and keeps the rest, also for deliveries that wait: bodies stay, but where they are sent, with " +
      "which headers and how fast, is what the destination says now. `headers` replaces all of them.",
  }),
  params: DestinationParams,
  body: checkedByOwner(DestinationChange.meta({ examples: [{ concurrency: 16, rate_limit: null }] })),
  response: { 200: Destination, ...refusals(404) },
};

const DELETE = {
  ...about("Destinations", {
    operationId: "deleteDestination",
    summary: "Delete a destination",
    description:
      "Deletes it with its routes and secrets; Tartan does not send the deliveries that wait for it. This cannot be undone.",
  }),
  params: DestinationParams,
  response: { 200: DestinationDeleted, ...refusals(404) },
};

const turn = (operationId: string, summary: string, description: string) => ({
  ...about("Destinations", { operationId, summary, description }),
  params: DestinationParams,
  response: { 200: Destination, ...refusals(404) },
});

const PAUSE = turn(
  "pauseDestination",
  "Pause a destination",
  "Tartan sends nothing until it is resumed; new events for it wait in their order.",
);
const RESUME = turn(
  "resumeDestination",
  "Resume a destination",
  "Tartan sends the waiting deliveries in their order, no faster than its rate limit.",
);
const ENABLE = turn(
  "enableDestination",
  "Enable a destination",
  "Takes it back after it was disabled, by hand or for its failures, and closes its circuit where that is open; what was held " +
    "meanwhile is sent.",
);
const DISABLE = turn(
  "disableDestination",
  "Disable a destination",
  "Tartan sends nothing until it is enabled; as with a pause, no event is lost.",
);

const ROTATE = {
  ...about("Destinations", {
    operationId: "rotateSigningKey",
    summary: "Rotate the signing secret",
    description:
      "Makes a new key. For `grace_s` seconds both sign, each with a signature of its own, so that the receiver may change " +
      "over at any moment. The new secret is shown once.",
  }),
  params: DestinationParams,
  body: checkedByOwner(KeyRotation.meta({ examples: [{ grace_s: 86_400 }] })),
  response: { 200: KeyRotated, ...refusals(404) },
};
