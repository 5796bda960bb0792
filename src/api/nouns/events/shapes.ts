/**
 * The events as Tartan sends them. docs/events has a schema for each `type`. In the OpenAPI document the events of changed rows
 * share one schema: they differ in the table's name only, and 70 copies made the reference slow and generated clients large.
 * Version 1 of a type only gains fields; a receiver ignores fields that it does not know.
 */
import { z } from "zod";
import {
  CHANGED_TABLES,
  EVENT_TYPES,
  sentenceOf,
  type ChangeType,
  type EventType,
} from "../../../events/event-types.ts";
import { eventId, integrationId, itemId, orNull, timestamp, described, userId } from "../../../model/schema.ts";
import { changedRows, eventData } from "./data-shapes.ts";
import { eventExample } from "./examples.ts";

export const EVENT_VERSION = 1;

/** What the events of changed rows are in the OpenAPI document, whichever the table. */
export const ROWS_CHANGED = {
  name: "{table}.changed",
  component: "RowsChangedEvent",
  sentence:
    "Rows of a table were added, modified or removed; the rows themselves are in the event, in parts of at most 100.",
} as const;

const CHANGE_TYPES = CHANGED_TABLES.map(({ type }) => type);
const ofRows = new Set<string>(CHANGE_TYPES);

/** The name of a type's schema in the OpenAPI document, such as `ItemErrorEvent`; that of changed rows is shared. */
export function eventComponent(type: string): string {
  if (ofRows.has(type)) return ROWS_CHANGED.component;
  const words = type.split(/[._]/).map((word) => word.charAt(0).toUpperCase() + word.slice(1));
  return `${words.join("")}Event`;
}

const shaped = <Type extends z.ZodType<EventType>>(type: Type, data: z.ZodObject) =>
  z.looseObject({
    id: eventId,
    type: described(type, "What happened."),
    version: described(z.literal(EVENT_VERSION), "Version of this shape."),
    occurred_at: timestamp("When it became true here."),
    integration_id: orNull(integrationId),
    environment: described(z.string().nullable(), "Plaid's environment."),
    item_id: orNull(itemId),
    user_id: orNull(userId),
    subject: described(
      z.looseObject({
        kind: described(z.string(), "Such as payment."),
        id: described(z.string(), "Plaid's id of it."),
      }),
      "What the event is about where that belongs to no Item; else absent.",
    ).optional(),
    history: described(z.boolean(), "Part of the first sync: the data is older than the link to Tartan, and no news."),
    data,
  });

export const SHAPED_TYPES = Object.keys(EVENT_TYPES) as EventType[];

const about = (type: EventType) => ({ description: sentenceOf(type), examples: [eventExample(type)] });

/** The schema of one type. @throws Error if there is no such type */
export function eventShape(type: EventType) {
  if (!SHAPED_TYPES.includes(type)) throw new Error(`there is no event ${type}`);
  return shaped(z.literal(type), eventData(type)).meta(about(type));
}

const rowsChanged = shaped(z.enum(CHANGE_TYPES as [ChangeType, ...ChangeType[]]), changedRows).meta({
  id: ROWS_CHANGED.component,
  description: ROWS_CHANGED.sentence,
  examples: [eventExample("transactions.changed")],
});

const others = SHAPED_TYPES.filter((type) => !ofRows.has(type)).map((type) =>
  eventShape(type).meta({ ...about(type), id: eventComponent(type) }),
);

export const Event = z.discriminatedUnion("type", [rowsChanged, ...others]).meta({
  id: "Event",
  description: "An event, as Tartan sends it to destinations.",
  examples: [eventExample("transactions.changed")],
});
