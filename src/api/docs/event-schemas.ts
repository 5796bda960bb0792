/** The events' schemas as self-contained JSON Schemas (2020-12), for docs/events and for receivers that validate events. */
import { z } from "zod";
import type { EventType } from "../../events/event-types.ts";
import { EVENT_VERSION, eventShape } from "../nouns/events/shapes.ts";

/** The name of the file that holds the schema of a type. */
export const schemaFile = (type: string): string => `${type}.v${EVENT_VERSION}.schema.json`;

/** One self-contained schema. */
export function eventSchema(type: EventType): Record<string, unknown> {
  const { $schema, ...own } = z.toJSONSchema(eventShape(type), { io: "input" });
  return { $schema, title: `${type}, version ${EVENT_VERSION}`, ...own };
}
