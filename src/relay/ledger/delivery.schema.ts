/** Which deliveries a list shows. */
import { z } from "zod";
import { fromEventId } from "../../model/ids.ts";
import { page, type FilterOf } from "../../model/listing.ts";
import { namedDestination, namedItem, text, described } from "../../model/schema.ts";
import { DELIVERY_FILTER_STATUSES } from "../../model/statuses.ts";

const eventName = text(100, "Id of an event, `evt_…`.").refine(
  (id) => fromEventId(id) !== null,
  "must be the id of an event: evt_ and 32 digits",
);

export const DeliveryFilter = z.strictObject({
  destination_id: namedDestination.optional(),
  item_id: namedItem.optional(),
  event_id: described(eventName, "Id of an event, `evt_…`.").optional(),
  status: described(
    z.enum(DELIVERY_FILTER_STATUSES),
    "`undelivered`: all that did not arrive: scheduled, held or dead.",
  ).optional(),
  event_type: text(100, "An event type.").optional(),
  cause: text(100, "Cause of the last failure.").optional(),
  ...page,
});
export type DeliveryFilter = FilterOf<typeof DeliveryFilter>;

export const DeadLetterFilter = z.strictObject({ destination_id: namedDestination.optional(), ...page });
export type DeadLetterFilter = FilterOf<typeof DeadLetterFilter>;
