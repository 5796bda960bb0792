/**
 * The OpenAPI 3.1 document, made of the same shapes that check requests and cut answers: a route that exists is in it,
 * and nothing else is. What the shapes cannot say is added here: the intake, whose bytes no schema may touch, and what
 * each refusal means.
 */
import swagger from "@fastify/swagger";
import type { FastifyInstance } from "fastify";
import { jsonSchemaTransform, jsonSchemaTransformObject } from "fastify-type-provider-zod";
import type { OpenAPIV3_1 } from "openapi-types";
import { INTAKE_PATHS } from "./intake.ts";
import { eventWebhooks } from "./event-webhooks.ts";

export type Document = OpenAPIV3_1.Document;
type Schema = OpenAPIV3_1.SchemaObject;
type Operation = OpenAPIV3_1.OperationObject;

const COMPONENT = "#/components/schemas/";

const ABOUT = `\
Tartan receives Plaid's webhooks, proves them, keeps every one, and mirrors the Plaid data into your own Postgres, and
tells your systems. This API sets it up and shows what happened; the data itself you read with SQL, from the schema
\`plaid\`, and what changes in it is sent to you, or fetched, as events.

Every request but those to the intake carries \`Authorization: Bearer <API key>\`. Bodies are JSON. A field or query
parameter that is not known is refused, so that a typing error cannot pass for an answer.

Lists are \`{"data": […], "next_cursor": …}\`: pass \`next_cursor\` as \`cursor\` until it is null. Refusals
are \`{"error": {"code", "message", "fields"?}}\`: match on \`code\`, read the rest.`;

const TAGS = [
  { name: "Integrations", description: "One Plaid client each: its credentials, its intake URL, its webhook secret." },
  { name: "Intake", description: "Where Plaid and your backend post webhooks." },
  { name: "Items", description: "Plaid Items, their tokens, and how their mirror stands." },
  { name: "Audit trail", description: "What was accepted, what was refused, and what came of it." },
  { name: "Events", description: "What happened, to be fetched; and, as webhooks, what destinations are sent." },
  { name: "Destinations", description: "Where events are sent: URL, headers, signing keys, pace." },
  { name: "Routes", description: "Which events a destination is sent, and in what form." },
  { name: "Deliveries", description: "One event for one destination: every attempt, and what gave up." },
  {
    name: "Jobs",
    description: "Sending again, and routing what is past: counted first, then done, paused or cancelled.",
  },
  { name: "Operation", description: "Whether all is well. The probes and the metrics need no API key." },
];

const REFUSALS: Record<string, string> = {
  400: "The request is not usable; `fields` says what to mend.",
  401: "The API key is missing or not known.",
  404: "There is no such thing.",
  409: "It contradicts what is there.",
  422: "Plaid refused client id or secret.",
  502: "Plaid could not be reached, or refused.",
  503: "Not now: Postgres is away, or something is full. `Retry-After` says when to try again.",
};

/** Notes every route that is registered after it. */
export async function describeRoutes(app: FastifyInstance, version: string): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: "3.1.0",
      info: { title: "Tartan", version, description: ABOUT, license: { name: "MIT", identifier: "MIT" } },
      servers: [{ url: "/", description: "This server" }],
      tags: TAGS,
      components: {
        securitySchemes: {
          apiKey: { type: "http", scheme: "bearer", description: "An API key of Tartan." },
          webhookSecret: {
            type: "apiKey",
            in: "header",
            name: "Tartan-Webhook-Secret",
            description: "The integration's webhook secret; `Whdb-Webhook-Secret` and a bearer token do as well.",
          },
          plaidVerification: {
            type: "apiKey",
            in: "header",
            name: "Plaid-Verification",
            description: "The JWT by which Plaid signs a webhook.",
          },
        },
      },
    },
    hideUntagged: true,
    transform: jsonSchemaTransform,
    transformObject: (input) => finish(jsonSchemaTransformObject(input) as Document),
  });
}

/** The finished document; call it when all routes are registered. */
export function documentOf(app: FastifyInstance): Document {
  return app.swagger() as Document;
}

function finish(made: Document): Document {
  const document = structuredClone(made);
  const paths = document.paths ?? {};
  for (const path of Object.values(paths)) {
    for (const operation of Object.values(path ?? {})) finishOperation(operation as Operation, document);
  }
  for (const [path, { post }] of Object.entries(INTAKE_PATHS)) {
    paths[path] = { ...paths[path], post } as OpenAPIV3_1.PathItemObject;
  }
  document.webhooks = eventWebhooks() as Record<string, OpenAPIV3_1.PathItemObject>;
  dropUnused(document);
  return document;
}

function finishOperation(operation: Operation, document: Document): void {
  const body = operation.requestBody as OpenAPIV3_1.RequestBodyObject | undefined;
  const shape = body?.content["application/json"]?.schema as Schema | undefined;
  // An empty body counts as {}, so one of which nothing is required may be left out.
  if (body && shape) body.required = (shape.required ?? []).length > 0;
  for (const [status, answer] of Object.entries(operation.responses ?? {})) {
    finishAnswer(status, answer as OpenAPIV3_1.ResponseObject, document);
  }
}

/** Where the shape is a named component, its description and example are those of the answer. */
function finishAnswer(status: string, answer: OpenAPIV3_1.ResponseObject, document: Document): void {
  const media = answer.content?.["application/json"];
  const reference = (media?.schema as { $ref?: string } | undefined)?.$ref;
  const named = document.components?.schemas?.[reference?.slice(COMPONENT.length) ?? ""] as Schema | undefined;
  if (media && named?.examples) media.example ??= named.examples[0];
  for (const plain of Object.values(answer.content ?? {})) plain.example ??= (plain.schema as Schema).examples?.[0];
  answer.description = REFUSALS[status] ?? named?.description ?? answer.description;
}

/**
 * Every named shape comes in a form for requests and one for answers; only those that are referred to stay, by something
 * that stays itself.
 */
function dropUnused(document: Document): void {
  const schemas = document.components?.schemas ?? {};
  const text = JSON.stringify(document);
  const unused = Object.keys(schemas).filter((name) => !text.includes(`"${COMPONENT}${name}"`));
  for (const name of unused) delete schemas[name];
  if (unused.length > 0) dropUnused(document);
}
