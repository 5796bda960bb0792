/**
 * The events as they are sent: one shape for each type, told apart by `type`, and all of them in the OpenAPI document and
 * in docs/events. Version 1 of a type only ever gains fields; whoever reads one ignores those it does not know.
 */
import { z } from "zod";
import { EVENT_TYPES, sentenceOf, type EventType } from "../../../events/event-types.ts";
import { eventId, integrationId, itemId, orNull, timestamp, told, userId } from "../../../model/schema.ts";
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
      type: told(z.literal(type), "What happened."),
      version: told(z.literal(EVENT_VERSION), "Version of this shape."),
      occurred_at: timestamp("When it became true here."),
      integration_id: orNull(integrationId),
      environment: told(z.string().nullable(), "Plaid's environment."),
      item_id: orNull(itemId),
      user_id: orNull(userId),
      history: told(z.boolean(), "Part of a first reading: it was so before Tartan looked, and is no news."),
      data: eventData(type),
    })
    .meta({ id: eventComponent(type), description: sentenceOf(type), examples: [eventExample(type)] });
}

export const SHAPED_TYPES = Object.keys(EVENT_TYPES) as EventType[];

const SHAPES = SHAPED_TYPES.map((type) => shapeOf(type));

/** The shape of a type. @throws Error when there is no such type */
export function eventShape(type: EventType): ReturnType<typeof shapeOf> {
  const shape = SHAPES[SHAPED_TYPES.indexOf(type)];
  if (shape === undefined) throw new Error(`there is no event ${type}`);
  return shape;
}

const [first, ...others] = SHAPES;
if (first === undefined) throw new Error("there are no events");

export const Event = z.discriminatedUnion("type", [first, ...others]).meta({
  id: "Event",
  description: "What happened, as it is sent to destinations.",
  examples: [eventExample("transactions.changed")],
});
