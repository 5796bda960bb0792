/** The schemas of requests to /v1/events, and of a page of events. */
import { z } from "zod";
import { flag, PAGE_SIZE } from "../../../model/listing.ts";
import { namedIntegration, namedItem, namedUser, text, described, wholeNumberText } from "../../../model/schema.ts";
import { HAS_MORE } from "../../../relay/feed/page-text.ts";
import { eventExample } from "./examples.ts";
import { Event } from "./shapes.ts";

const TYPES = /^[a-z_.*]+(,[a-z_.*]+)*$/;

const CURSOR = "MDAwMDAwMDAwMDAwNDI6MDAwM2E1YjNj";

const filters = {
  types: text(
    1000,
    "Event types with commas between them; `item.*` for a family. Without it, all but those about deliveries and destinations.",
  )
    .regex(TYPES, "must be event types with commas between them, such as item.error,transactions.changed")
    .exactOptional(),
  integration_id: namedIntegration.exactOptional(),
  item_id: namedItem.exactOptional(),
  user_id: namedUser.exactOptional(),
  history: flag(
    "Also events of an Item's first sync, which are no news; a route matches them only with the same flag.",
  ),
};

export const EventsQuery = z.strictObject({
  ...filters,
  cursor: text(
    500,
    "The `next_cursor` of the previous answer; `start` for the oldest kept event, `now` for future events.",
  ).default("start"),
  limit: wholeNumberText(PAGE_SIZE.least, PAGE_SIZE.most, "Events of a page, 1 to 500.").default(PAGE_SIZE.usual),
  wait_s: wholeNumberText(0, 30, "Seconds to wait for an event if there is none, 0 to 30.").default(0),
});

export const StreamQuery = z.strictObject({
  ...filters,
  cursor: text(
    500,
    "Where to begin: a cursor, `start` or `now`, the default. The header Last-Event-ID overrides it.",
  ).exactOptional(),
});

/** Loose, since a request may have any other headers. */
export const StreamHeaders = z.looseObject({
  "last-event-id": text(500, "The `id` of the last event that arrived; the stream goes on after it.").exactOptional(),
});

export const EventPage = z
  .object({
    data: described(z.array(Event), "Events, the oldest first."),
    has_more: described(z.boolean(), HAS_MORE),
    next_cursor: described(
      z.string(),
      "Pass it as `cursor` for later events; it is present even if there are no events yet.",
    ),
  })
  .meta({
    description: "A page of events.",
    examples: [{ data: [eventExample("transactions.changed")], has_more: false, next_cursor: CURSOR }],
  });

export const EventStream = z.string().meta({
  description: "Events as server-sent events: `id` is the cursor after it, `event` its type, `data` the event.",
  examples: [`id: ${CURSOR}\nevent: item.linked\ndata: ${JSON.stringify(eventExample("item.linked"))}\n\n`],
});

export const EventParams = z.object({ id: text(100, "Id of an event, `evt_…`.") });

export const EventTypes = z
  .object({
    data: z.array(
      z.object({
        type: described(z.string(), "Its name."),
        version: described(z.number().int(), "Version of its shape."),
        description: described(z.string(), "When it happens."),
        operator: described(
          z.boolean(),
          "About deliveries and destinations: only where a filter names it or its family.",
        ),
        component: described(
          z.string(),
          "Name of its schema in the OpenAPI document; the events of changed rows share one.",
        ),
      }),
    ),
  })
  .meta({
    id: "EventTypes",
    description: "What can happen.",
    examples: [
      {
        data: [
          {
            type: "item.error",
            version: 1,
            description: "Plaid says that something ails an Item.",
            operator: false,
            component: "ItemErrorEvent",
          },
        ],
      },
    ],
  });
