import { readdirSync, readFileSync } from "node:fs";
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import addFormatsModule from "ajv-formats";
import { beforeAll, describe, expect, it } from "vitest";
import { eventExample } from "../../../src/api/nouns/events/examples.ts";
import { eventSchema, schemaFile } from "../../../src/api/docs/event-schemas.ts";
import { eventShape } from "../../../src/api/nouns/events/shapes.ts";
import { EVENT_TYPES, type EventType } from "../../../src/events/event-types.ts";

const types = Object.keys(EVENT_TYPES) as EventType[];
const folder = new URL("../../../docs/events/", import.meta.url);

/** Of each type; none of the schemas has an id, so none can refer to another. */
const validators = new Map<EventType, ValidateFunction>();
beforeAll(() => {
  const ajv = new Ajv2020({ strict: true, allErrors: true, allowUnionTypes: true });
  (addFormatsModule as unknown as (ajv: Ajv2020) => void)(ajv);
  for (const type of types) validators.set(type, ajv.compile(eventSchema(type)));
});

describe("the schemas of events in docs/events", () => {
  it("docs/events has the schema of every event type and nothing else", () => {
    expect(readdirSync(folder).toSorted()).toEqual(types.map(schemaFile).toSorted());
    for (const type of types)
      expect(JSON.parse(readFileSync(new URL(schemaFile(type), folder), "utf8"))).toEqual(eventSchema(type));
  });

  it("each event schema is complete in itself and accepts its own example and no other", () => {
    const examples = types.map((type) => [type, eventExample(type)] as const);
    for (const [type, validate] of validators)
      expect([type, examples.flatMap(([other, example]) => (validate(example) ? [other] : []))]).toEqual([
        type,
        [type],
      ]);
  });

  it("an event schema accepts additional fields and requires every declared one", () => {
    for (const [type, validate] of validators) {
      const example = eventExample(type);
      const data: object = example.data;
      expect([type, validate({ ...example, new: 1, data: { ...data, new: 1 } })]).toEqual([type, true]);
      for (const field of Object.keys(example)) {
        const { [field as keyof typeof example]: _, ...rest } = example;
        expect([type, field, validate(rest)]).toEqual([type, field, false]);
      }
    }
  });

  it("an event schema describes each field", () => {
    for (const type of types) {
      expect(eventShape(type).meta()).toMatchObject({ description: EVENT_TYPES[type] });
      const { data } = eventSchema(type)["properties"] as Record<string, { properties: Record<string, object> }>;
      for (const [field, schema] of Object.entries(data?.properties ?? {}))
        expect([type, field, schema]).toEqual([
          type,
          field,
          expect.objectContaining({ description: expect.any(String) }),
        ]);
    }
  });
});
