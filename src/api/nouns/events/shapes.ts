/**
 * The events as Tartan sends them: one schema for each `type`, all of them in the OpenAPI document and in docs/events.
 * Version 1 of a type only gains fields; a receiver ignores fields that it does not know.
 */
import { z } from "zod";
import { EVENT_TYPES, sentenceOf, type EventType } from "../../../events/event-types.ts";
import { eventId, integrationId, itemId, orNull, timestamp, described, userId } from "../../../model/schema.ts";
import { eventData } from "./data-shapes.ts";
import { eventExample } from "./examples.ts";

export const EVENT_VERSION = 1;

/** `transactions.changed` → `TransactionsChangedEvent`, its name in the OpenAPI document. */
export function eventComponent(type: string): string {
  const words = type.split(/[._]/).map((word) => word.charAt(0).toUpperCase() + word.slice(1));
  return `${words.join("")}Event`;
}

function shapeOf<Type extends EventType>(type: Type) {
  return z
    .looseObject({
      id: eventId,
      type: described(z.literal(type), "What happened."),
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
      history: described(
        z.boolean(),
        "Part of the first sync: the data is older than the link to Tartan, and no news.",
      ),
      data: eventData(type),
    })
    .meta({ id: eventComponent(type), description: sentenceOf(type), examples: [eventExample(type)] });
}

export const SHAPED_TYPES = Object.keys(EVENT_TYPES) as EventType[];

const SHAPES = SHAPED_TYPES.map((type) => shapeOf(type));

/** The schema of a type. @throws Error if there is no such type */
export function eventShape(type: EventType): ReturnType<typeof shapeOf> {
  const shape = SHAPES[SHAPED_TYPES.indexOf(type)];
  if (shape === undefined) throw new Error(`there is no event ${type}`);
  return shape;
}

const [first, ...others] = SHAPES;
if (first === undefined) throw new Error("there are no events");

export const Event = z.discriminatedUnion("type", [first, ...others]).meta({
  id: "Event",
  description: "An event, as Tartan sends it to destinations.",
  examples: [eventExample("transactions.changed")],
});
