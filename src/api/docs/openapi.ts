/**
 * The OpenAPI 3.1 document, made of the schemas that check requests and cut answers, so it holds exactly the existing
 * routes. This file adds what the schemas cannot say: the intake, which reads raw bytes, and what each refusal means.
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
Tartan receives Plaid's webhooks, verifies them, keeps them, mirrors Plaid's data into your own Postgres and sends events
to your systems. This API configures it and shows what happened. You read the data itself with SQL, from the schema
\`plaid\`; Tartan sends each change of it to your destinations, or you fetch the events.

Every request except those to the intake, to listeners and to the probes carries \`Authorization: Bearer <API key>\`. Bodies are JSON. The API refuses
unknown fields and query parameters, so that a typing error does not go unnoticed.

Lists are \`{"data": […], "next_cursor": …}\`: pass \`next_cursor\` as \`cursor\` until it is null; that of events
and changes never is. Refusals are \`{"error": {"code", "message", "fields"?}}\`: match on \`code\`; the rest is for people.`;

const TAGS = [
  { name: "Integrations", description: "One Plaid client each: its credentials, its intake URL, its webhook secret." },
  { name: "Intake", description: "Where Plaid and your backend post webhooks." },
  {
    name: "Listeners",
    description: "Where another system posts the logins of your users, so that their Items are synced.",
  },
  { name: "Items", description: "Plaid Items, their tokens, and the state of their mirror." },
  { name: "Link", description: "Link tokens, and the public tokens that become Items." },
  {
    name: "Subjects",
    description:
      "What Plaid has that belongs to no Item: payments, transfers, users, reports; and the state of its mirror.",
  },
  { name: "Journal", description: "Accepted webhooks and their outcome, and refused requests." },
  { name: "Audit log", description: "Who changed what, when and why." },
  { name: "Events", description: "What happened: to fetch, and as webhooks to your destinations." },
  { name: "Destinations", description: "Where Tartan sends events: URL, headers, signing keys, rate limit." },
  { name: "Routes", description: "Which events a destination receives, and in what form." },
  { name: "Deliveries", description: "One event for one destination: its attempts, and dead letters." },
  {
    name: "Jobs",
    description: "Replays, redrives and the routing of past events: count first, then start, pause or cancel.",
  },
  { name: "Operation", description: "Status, probes and metrics. Probes and metrics need no API key." },
];

const REFUSALS: Record<string, string> = {
  400: "The request is not usable; `fields` says what to fix.",
  401: "The API key is missing or not known.",
  404: "It does not exist.",
  409: "It contradicts the present state.",
  422: "Plaid refused client id, secret or token.",
  502: "Plaid could not be reached, or refused.",
  503: "Not now: Postgres does not answer, or a limit is reached. `Retry-After` says when to try again.",
};

/** Records every route that is registered after it. */
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
          listenerToken: {
            type: "apiKey",
            in: "header",
            name: "Authorization",
            description: "The token of a listener, alone or behind Bearer.",
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
  // An empty body counts as {}, so a body without required fields may be left out.
  if (body && shape) body.required = (shape.required ?? []).length > 0;
  for (const [status, answer] of Object.entries(operation.responses ?? {})) {
    finishAnswer(status, answer as OpenAPIV3_1.ResponseObject, document);
  }
}

/** If the schema is a named component, its description and example are those of the answer. */
function finishAnswer(status: string, answer: OpenAPIV3_1.ResponseObject, document: Document): void {
  const media = answer.content?.["application/json"];
  const reference = (media?.schema as { $ref?: string } | undefined)?.$ref;
  const named = document.components?.schemas?.[reference?.slice(COMPONENT.length) ?? ""] as Schema | undefined;
  if (media && named?.examples) media.example ??= named.examples[0];
  for (const plain of Object.values(answer.content ?? {})) plain.example ??= (plain.schema as Schema).examples?.[0];
  answer.description = REFUSALS[status] ?? named?.description ?? answer.description;
}

/**
 * Each named schema has a form for requests and one for answers. This keeps the forms that the document refers to, directly or
 * through another kept form.
 */
function dropUnused(document: Document): void {
  const schemas = document.components?.schemas ?? {};
  const text = JSON.stringify(document);
  const unused = Object.keys(schemas).filter((name) => !text.includes(`"${COMPONENT}${name}"`));
  for (const name of unused) delete schemas[name];
  if (unused.length > 0) dropUnused(document);
}
