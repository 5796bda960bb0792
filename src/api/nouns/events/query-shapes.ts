/** The shapes of what is asked of /v1/events, and of a page of them. */
import { z } from "zod";
import { Event } from "./shapes.ts";
import { eventExample } from "./examples.ts";
import { RELAY_EXAMPLES } from "../relay-examples.ts";
import { asked, askedIntegration, askedItem, askedUser, flag, told } from "../../http/shapes.ts";

const TYPES = /^[a-z_.*]+(,[a-z_.*]+)*$/;

const filters = {
  types: asked(
    1000,
    "Event types with commas between them; `item.*` for a family. All but those about deliveries and destinations when absent.",
  )
    .regex(TYPES, "must be event types with commas between them, such as item.error,transactions.changed")
    .exactOptional(),
  integration_id: askedIntegration.exactOptional(),
  item_id: askedItem.exactOptional(),
  user_id: askedUser.exactOptional(),
  history: flag("Events of a first reading too, which are no news; a route takes them only when it says so, either."),
};

export const EventsQuery = z.strictObject({
  ...filters,
  cursor: asked(
    500,
    "The `next_cursor` of the answer before; `start` for the first event that is kept, `now` for those to come.",
  ).default("start"),
  limit: told(z.coerce.number().int().min(1).max(500).default(50), "Events of a page, 1 to 500."),
  wait_s: told(
    z.coerce.number().int().min(0).max(30).default(0),
    "Where there is none yet, wait so many seconds for one, 0 to 30.",
  ),
});

export const StreamQuery = z.strictObject({
  ...filters,
  cursor: asked(
    500,
    "Where to begin: a cursor, `start` or `now`, which it is when absent. The header Last-Event-ID goes before it.",
  ).exactOptional(),
});

/** Of the headers those that are not named are none of a shape's business. */
export const StreamHeaders = z.looseObject({
  "last-event-id": asked(500, "The `id` of the last event that arrived; it goes on behind it.").exactOptional(),
});

export const EventPage = z
  .object({
    data: told(z.array(Event), "Events, the oldest first."),
    next_cursor: told(
      z.string(),
      "Pass it as `cursor` for those that come after; it is there even where nothing is yet.",
    ),
  })
  .meta({
    description: "A page of events.",
    examples: [{ data: [eventExample("transactions.changed")], next_cursor: RELAY_EXAMPLES.eventCursor }],
  });

export const EventStream = z.string().meta({
  description: "Events as server-sent events: `id` is the cursor after it, `event` its type, `data` the event.",
  examples: [
    `id: ${RELAY_EXAMPLES.eventCursor}\nevent: item.linked\ndata: ${JSON.stringify(eventExample("item.linked"))}\n\n`,
  ],
});

export const EventParams = z.object({ id: asked(100, "Id of an event, `evt_…`.") });

export const EventTypes = z
  .object({
    data: z.array(
      z.object({
        type: told(z.string(), "Its name."),
        version: told(z.number().int(), "Version of its shape."),
        description: told(z.string(), "When it happens."),
        operator: told(z.boolean(), "About deliveries and destinations: only where a filter names it or its family."),
        component: told(z.string(), "Its schema's name in the OpenAPI document."),
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
