/** The shapes of what is asked of /v1/events, and of a page of them. */
import { z } from "zod";
import { flag, PAGE_SIZE } from "../../../model/listing.ts";
import { namedIntegration, namedItem, namedUser, text, told, wholeNumberText } from "../../../model/schema.ts";
import { eventExample } from "./examples.ts";
import { Event } from "./shapes.ts";

const TYPES = /^[a-z_.*]+(,[a-z_.*]+)*$/;

const CURSOR = "MDAwMDAwMDAwMDAwNDI6MDAwM2E1YjNj";

const filters = {
  types: text(
    1000,
    "Event types with commas between them; `item.*` for a family. All but those about deliveries and destinations when absent.",
  )
    .regex(TYPES, "must be event types with commas between them, such as item.error,transactions.changed")
    .exactOptional(),
  integration_id: namedIntegration.exactOptional(),
  item_id: namedItem.exactOptional(),
  user_id: namedUser.exactOptional(),
  history: flag("Events of a first reading too, which are no news; a route takes them only when it says so, either."),
};

export const EventsQuery = z.strictObject({
  ...filters,
  cursor: text(
    500,
    "The `next_cursor` of the answer before; `start` for the first event that is kept, `now` for those to come.",
  ).default("start"),
  limit: wholeNumberText(PAGE_SIZE.least, PAGE_SIZE.most, "Events of a page, 1 to 500.").default(PAGE_SIZE.usual),
  wait_s: wholeNumberText(0, 30, "Where there is none yet, wait so many seconds for one, 0 to 30.").default(0),
});

export const StreamQuery = z.strictObject({
  ...filters,
  cursor: text(
    500,
    "Where to begin: a cursor, `start` or `now`, which it is when absent. The header Last-Event-ID goes before it.",
  ).exactOptional(),
});

/** Of the headers those that are not named are none of a shape's business. */
export const StreamHeaders = z.looseObject({
  "last-event-id": text(500, "The `id` of the last event that arrived; it goes on behind it.").exactOptional(),
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
    examples: [{ data: [eventExample("transactions.changed")], next_cursor: CURSOR }],
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
