/** The shapes of /v1/deliveries and /v1/dead-letters: what was sent, how it went, and what gave up. */
import { z } from "zod";
import { askedDestination, destinationId } from "./destination-shapes.ts";
import { eventId } from "./event-shapes.ts";
import { RELAY_EXAMPLES } from "./relay-examples.ts";
import { routeId } from "./route-shapes.ts";
import { asked, askedItem, integrationId, itemId, noTimestamp, orNull, page, timestamp, told } from "./shapes.ts";

export const deliveryId = told(z.string(), "Id of a delivery, `dlv_…`.");
export const askedDelivery = asked(100, "Id of a delivery, `dlv_…`.");

const delivery = {
  id: deliveryId,
  destination_id: destinationId,
  event_id: eventId,
  event_type: told(z.string(), "What happened."),
  integration_id: orNull(integrationId),
  item_id: orNull(itemId),
  route_id: told(routeId, "The route that made it."),
  route_version: told(z.number().int(), "The version of it."),
  form: told(z.enum(["original", "webhook", "event", "transform"]), "What is sent of the event."),
  status: told(
    z.enum(["scheduled", "held", "delivered", "dead", "cancelled"]),
    "`held`: scheduled, at a destination that is paused, disabled or open. `dead`: it gave up.",
  ),
  due_at: noTimestamp("When the next attempt is or was due."),
  attempts: told(z.number().int(), "All there were."),
  tries: told(z.number().int(), "Since it was scheduled or last brought back: its place in the schedule."),
  job_id: told(z.string().nullable(), "The replay or redrive that brought it back last."),
  cause: told(z.string().nullable(), "Of the last failure, such as status_500, timeout or transform_error."),
  detail: told(z.string().nullable(), "The same in more words, where there are some: why a transform failed."),
  last_status: told(z.number().int().nullable(), "HTTP status of the last answer."),
  body_sha256: told(z.string().nullable(), "SHA-256 of what is sent, in hexadecimal."),
  created_at: timestamp("When it was made."),
  finished_at: noTimestamp("When it was delivered, gave up or was cancelled."),
};

export const Delivery = z
  .object(delivery)
  .meta({ id: "Delivery", description: "One event for one destination.", examples: [RELAY_EXAMPLES.delivery] });

const attempt = z.object({
  number: told(z.number().int(), "From 1."),
  started_at: timestamp("When it began."),
  duration_ms: told(
    z.number().int().nullable(),
    "How long it took, the answer included; null where Tartan ended meanwhile, so that its outcome is unknown.",
  ),
  url: told(z.string(), "Where it was posted to."),
  address: told(z.string().nullable(), "The receiver's address; null where no connection came about."),
  status: told(z.number().int().nullable(), "HTTP status; null where there was no answer."),
  error: told(z.string().nullable(), "Cause of its failure; null where it was answered 2xx."),
  response_headers: told(z.record(z.string(), z.unknown()).nullable(), "Headers of the answer."),
  response_head: told(z.string().nullable(), "The first 16 KiB of the answer, as text."),
  job_id: told(z.string().nullable(), "The replay or redrive it was made for."),
});

export const DeliveryWhole = z
  .object({ ...delivery, log: told(z.array(attempt), "Its attempts, the first one first; of more than 500 the last.") })
  .meta({ id: "DeliveryWhole", description: "A delivery and its attempts.", examples: [RELAY_EXAMPLES.deliveryWhole] });

export const DeadLetters = z
  .object({
    destination_id: destinationId,
    destination_name: told(z.string(), "Its name."),
    cause: told(z.string().nullable(), "Why they gave up."),
    count: told(
      z.number().int(),
      "Deliveries that gave up; counted up to 1001. A redrive with `dry_run` counts them all.",
    ),
    first_at: timestamp("When the first of them did."),
    last_at: timestamp("When the last of them did."),
    replayable: told(z.number().int(), "Those that can be sent again, as far as the oldest hundred tell."),
  })
  .meta({ id: "DeadLetters", description: "Dead letters of one kind.", examples: [RELAY_EXAMPLES.deadLetters] });

export const DeliveryBody = z.string().meta({
  description: "The bytes that are sent.",
  examples: ['{"id":"evt_0192f3a87d4c7a1e8c5b2f9d6e3a7b10","type":"item.linked","version":1,…}'],
});

export const DeliveryParams = z.object({ id: askedDelivery });
export const DeliveriesQuery = z.strictObject({
  destination_id: askedDestination.exactOptional(),
  item_id: askedItem.exactOptional(),
  event_id: asked(100, "Id of an event, `evt_…`.").exactOptional(),
  status: told(
    z.enum(["scheduled", "held", "delivered", "dead", "cancelled", "undelivered"]),
    "`undelivered`: whatever did not arrive, be it scheduled, held or dead.",
  ).exactOptional(),
  event_type: asked(100, "An event type.").exactOptional(),
  cause: asked(100, "Cause of the last failure.").exactOptional(),
  ...page,
});
export const DeadLettersQuery = z.strictObject({ destination_id: askedDestination.exactOptional(), ...page });
