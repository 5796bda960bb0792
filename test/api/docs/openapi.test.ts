import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Ajv2020 } from "ajv/dist/2020.js";
import addFormatsModule from "ajv-formats";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { eventSchema } from "../../../src/api/docs/event-schemas.ts";
import { eventComponent } from "../../../src/api/nouns/events/shapes.ts";
import { CHANGED_TABLES, EVENT_TYPES, type EventType } from "../../../src/events/event-types.ts";
import { dispatch } from "../event-support.ts";
import { routesOf } from "../routes.ts";
import { startWorld, type Json, type World } from "../../support/world/index.ts";

let world: World<"api">;
let document: Json;
beforeAll(async () => {
  world = await startWorld({ api: { config: { publicUrl: "https://tartan.example.com" } } });
  document = (await world.api.call("GET /openapi.json", { key: null })).body;
});
afterAll(() => world[Symbol.asyncDispose]());

/** A destination with a route, and a delivery of each event that is there. */
async function tellSomebody(): Promise<Record<"destination" | "route" | "delivery" | "event" | "job", string>> {
  const body = { url: "https://receiver.example.com/" };
  const { id: destination } = (await world.api.call("POST /v1/destinations", { body })).body;
  const { id: route } = (await world.api.call("POST /v1/routes", { body: { destination_id: destination } })).body;
  await dispatch(world);
  await world.database.query("update relay.deliveries set status = 'dead', due_at = null, finished_at = now()");
  const { id: delivery, event_id: event } = (await world.api.call("GET /v1/deliveries")).body.data[0];
  const { id: job } = (await world.api.call("POST /v1/dead-letters/redrive", { body: {} })).body;
  return { destination, route, delivery, event, job };
}

const operations = (): [name: string, operation: Json][] =>
  Object.entries<Json>(document.paths).flatMap(([path, item]) =>
    Object.entries<Json>(item).map(([method, operation]): [string, Json] => [
      `${method.toUpperCase()} ${path}`,
      operation,
    ]),
  );

/** The operations that a page names in code: `POST`, `GET /v1/x`; and a `/y` that follows, which is under /v1/x or beside it. */
function namedOn(page: string): ReadonlySet<string> {
  const named = new Set<string>();
  for (const line of page.split("\n")) {
    let methods: string[] = [];
    let path = "";
    for (const [, method, given] of line.matchAll(/`([A-Z]+)? ?(\/[^`]*)?`/g)) {
      if (method !== undefined) [methods, path] = [path === "" ? [...methods, method] : [method], ""];
      if (given === undefined) continue;
      const bases = path === "" ? [""] : [path, path.slice(0, path.lastIndexOf("/"))];
      for (const base of bases) for (const each of methods) named.add(`${each} ${base}${given}`);
      path ||= given;
    }
  }
  return named;
}

const strictAjv = ({ components }: Json): Ajv2020 => {
  const ajv = new Ajv2020({ strict: true, allErrors: true, allowUnionTypes: true });
  (addFormatsModule as unknown as (ajv: Ajv2020) => void)(ajv);
  ajv.addVocabulary(["example", "components"]);
  return ajv.addSchema({ $id: "openapi", components });
};

/** A schema of the document, as a validator finds what it refers to. */
const absolute = (schema: Json): Json =>
  JSON.parse(JSON.stringify(schema).replaceAll('"#/components/', '"openapi#/components/'));

/** Every media type object of an operation: what is sent, and each answer. */
const mediaOf = (operation: Json): Json[] => [
  ...Object.values<Json>(operation.requestBody?.content ?? {}),
  ...Object.values<Json>(operation.responses).flatMap((answer) => Object.values<Json>(answer.content ?? {})),
];

describe("the OpenAPI document", () => {
  it("the OpenAPI document is version 3.1 and has its required parts", () => {
    expect(document.openapi).toMatch(/^3\.1\./);
    expect(document.info).toMatchObject({ title: "Tartan", version: expect.stringMatching(/^\d+\.\d+\.\d+/) });
    const tags = document.tags.map(({ name }: Json) => name);
    for (const [name, operation] of operations()) {
      expect([name, operation.operationId]).toEqual([name, expect.stringMatching(/^[a-z][A-Za-z]+$/)]);
      for (const tag of operation.tags) expect(tags).toContain(tag);
      for (const answer of Object.values<Json>(operation.responses)) expect(answer.description).toMatch(/\w/);
      const named = [...name.matchAll(/\{(\w+)\}/g)].map(([, parameter]) => parameter);
      const declared = (operation.parameters ?? []).filter((parameter: Json) => parameter.in === "path");
      expect(declared.map((parameter: Json) => parameter.name)).toEqual(named);
      for (const parameter of operation.parameters ?? [])
        expect([name, parameter]).toEqual([
          name,
          expect.objectContaining({ schema: expect.any(Object), description: expect.any(String) }),
        ]);
    }
    const ids = operations().map(([, { operationId }]) => operationId);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it("docs/api.md names every operation that the OpenAPI document has, but for the probes' methods", () => {
    const named = namedOn(readFileSync(join(import.meta.dirname, "../../../docs/api.md"), "utf8"));
    const names = operations().map(([name]) => name.replaceAll(/\{(\w+)\}/g, ":$1"));
    const probes = ["GET /livez", "GET /readyz", "GET /metrics"];
    expect(names.filter((name) => !named.has(name)).toSorted()).toEqual(probes.toSorted());
  });

  it("the OpenAPI document has every operation except itself and its page, and no other", () => {
    const served = routesOf(world.api.app)
      .filter((route) => !route.startsWith("HEAD") && !/ \/(openapi\.json|docs|docs\/:file)$/.test(route))
      .map((route) => route.replaceAll(/:(\w+)/g, "{$1}"));
    expect(
      operations()
        .map(([name]) => name)
        .toSorted(),
    ).toEqual(served.toSorted());
  });

  it("the OpenAPI document has for every operation a description, its authentication, and an example of each body and success", () => {
    for (const [name, operation] of operations()) {
      expect([name, operation.summary?.length > 3, operation.description?.length > 10]).toEqual([name, true, true]);
      expect([name, operation.security !== undefined]).toEqual([name, name.includes(" /v1/")]);
      const shown = [
        operation.requestBody,
        Object.entries<Json>(operation.responses).find(([code]) => code.startsWith("2"))?.[1],
      ];
      for (const body of shown.filter(Boolean))
        for (const [type, media] of Object.entries<Json>(body.content))
          expect([name, type, type === "application/pdf" || media.example !== undefined]).toEqual([name, type, true]);
    }
  });

  it("the OpenAPI document has a webhook for each event type, with an example that its schema accepts", () => {
    const ajv = strictAjv(document);
    const tags = document.tags.map(({ name }: Json) => name);
    const found: string[] = [];
    for (const [name, { post }] of Object.entries<Json>(document.webhooks)) {
      const { schema, examples } = post.requestBody.content["application/json"];
      const { properties, examples: own } =
        document.components.schemas[schema.$ref.replace("#/components/schemas/", "")];
      const types: string[] = properties.type.enum ?? [properties.type.const];
      const validate = ajv.compile(absolute(schema));
      for (const type of types) {
        const example = examples === undefined ? own[0] : examples[type].value;
        expect([type, example.type, validate(example)]).toEqual([type, type, true]);
      }
      expect([name, post.summary]).toEqual([types.length === 1 ? types[0] : "{table}.changed", name]);
      expect(tags).toEqual(expect.arrayContaining(post.tags));
      expect(post.parameters.map((parameter: Json) => parameter.name)).toContain("webhook-signature");
      found.push(...types);
    }
    expect(found).toEqual(Object.keys(EVENT_TYPES));
  });

  it("the OpenAPI document names each event of changed rows, with what its rows are", () => {
    const { description } = document.webhooks["{table}.changed"].post;
    for (const { type, event } of CHANGED_TABLES) expect(description).toContain(`| \`${type}\` | ${event.rows} |`);
  });

  it("an event's schema in the OpenAPI document has the same fields as its own in docs/events", () => {
    const bare = (schema: unknown): unknown =>
      JSON.parse(JSON.stringify(schema, (key, value: unknown) => (key === "description" ? undefined : value)));
    for (const type of Object.keys(EVENT_TYPES) as EventType[]) {
      const { examples: _, ...shown } = document.components.schemas[eventComponent(type)];
      const { $schema: _schema, title: _title, examples: _examples, ...own } = eventSchema(type) as Json;
      const named = shown.properties.type;
      expect([type, named.enum ?? [named.const]]).toEqual([type, expect.arrayContaining([type])]);
      own.properties.type = named;
      expect([type, bare(shown)]).toEqual([type, bare(own)]);
    }
  });

  it("every reference of the OpenAPI document has a target, and every component is referred to", () => {
    const text = JSON.stringify(document);
    const referred = new Set([...text.matchAll(/"#\/components\/schemas\/(\w+)"/g)].map(([, name]) => name));
    expect([...referred].toSorted()).toEqual(Object.keys(document.components.schemas).toSorted());
  });

  it("a validator accepts the schemas of the OpenAPI document, and they accept its examples", () => {
    const ajv = strictAjv(document);
    let checked = 0;
    for (const [name, operation] of operations()) {
      for (const media of mediaOf(operation)) {
        const validate = ajv.compile(absolute(media.schema));
        if (media.example === undefined) continue;
        validate(media.example);
        expect([name, validate.errors]).toEqual([name, null]);
        checked += 1;
      }
    }
    expect(checked).toBeGreaterThan(25);
  });

  it("the server's answers match the OpenAPI document", async () => {
    const ajv = new Ajv2020({ strict: false });
    (addFormatsModule as unknown as (ajv: Ajv2020) => void)(ajv);
    ajv.addSchema({ $id: "openapi", components: document.components });
    const { id } = await world.api.integrate();
    const item = { integration_id: id, item_id: "true-item", access_token: "access-sandbox-true" };
    await world.api.call("POST /v1/items", { body: item });
    const relay = await tellSomebody();
    const requests = {
      "/v1/integrations": "",
      "/v1/integrations/{id}": id,
      "/v1/items": "",
      "/v1/items/{item_id}": "true-item",
      "/v1/webhooks": "",
      "/v1/webhook-types": "",
      "/v1/refusals": "",
      "/v1/status": "",
      "/v1/destinations": "",
      "/v1/destinations/{id}": relay.destination,
      "/v1/routes": "",
      "/v1/routes/{id}": relay.route,
      "/v1/deliveries": "",
      "/v1/deliveries/{id}": relay.delivery,
      "/v1/dead-letters": "",
      "/v1/jobs": "",
      "/v1/jobs/{id}": relay.job,
      "/v1/events": "",
      "/v1/events/{id}": relay.event,
      "/v1/event-types": "",
      "/livez": "",
      "/readyz": "",
    };
    for (const [path, parameter] of Object.entries(requests)) {
      const { body } = await world.api.call(`GET ${path.replace(/\{\w+\}/, parameter)}`);
      const { schema } = document.paths[path].get.responses["200"].content["application/json"];
      const validate = ajv.compile(absolute(schema));
      validate(body);
      expect([path, validate.errors]).toEqual([path, null]);
    }
  });
});
