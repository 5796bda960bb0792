/**
 * The intake in the OpenAPI document, written by hand: it reads raw bytes, so it has no schema, and it takes no API key.
 */
import type { OpenAPIV3_1 } from "openapi-types";
import { LISTENER_ID } from "../../model/examples.ts";

const accepted: OpenAPIV3_1.SchemaObject = {
  type: "object",
  properties: {
    ok: { type: "boolean", const: true },
    webhook_id: { type: "string", description: "Its id in the journal." },
    duplicate: { type: "boolean", description: "Whether Tartan had accepted this request before." },
  },
  required: ["ok", "webhook_id", "duplicate"],
};

const body: OpenAPIV3_1.SchemaObject = {
  type: "object",
  properties: {
    webhook_type: { type: "string", description: "Such as ITEM or TRANSACTIONS." },
    webhook_code: { type: "string", description: "Such as CREATED or HISTORICAL_UPDATE." },
    item_id: { type: "string", description: "Plaid's id of the Item." },
    access_token: { type: "string", description: "With ITEM/CREATED and from your backend only; sealed at once." },
    user_id: {
      type: "string",
      description:
        "Your own identifier of the Item's user. In a webhook about a user, such as INCOME/BANK_INCOME_COMPLETE, Plaid's, as Plaid sends it.",
    },
  },
  additionalProperties: true,
};

const refusal = (description: string): OpenAPIV3_1.ResponseObject => ({
  description,
  content: { "application/json": { schema: { $ref: "#/components/schemas/Error" } } },
});

const post: OpenAPIV3_1.OperationObject = {
  operationId: "acceptWebhook",
  tags: ["Intake"],
  summary: "Accept a webhook",
  description:
    "The integration's own URL, for Plaid and for your backend. A request with `Plaid-Verification` must be signed by " +
    "Plaid; any other must carry the webhook secret. The answer 200 means that Tartan has stored it and queued its work.\n\n" +
    "Your backend posts `ITEM/CREATED` with item_id and access_token after the public token was exchanged, " +
    "`ITEM/UPDATED` after update mode, and `TRANSACTIONS/HISTORICAL_UPDATE` to have the history read. With " +
    '`"full": true` everything is read again.',
  security: [{ webhookSecret: [] }, { plaidVerification: [] }],
  parameters: [
    {
      name: "id",
      in: "path",
      required: true,
      description: "Id of the integration.",
      schema: { type: "string" },
      example: "svi_5q0w3kd2m8z1n7x4c6v9b2",
    },
  ],
  requestBody: {
    required: true,
    description: "Plaid's webhook, or yours. At most 1 MiB.",
    content: {
      "application/json": {
        schema: body,
        example: {
          webhook_type: "ITEM",
          webhook_code: "CREATED",
          item_id: "eVBnVMp7zdTJLkRNr33Rs6zr7KNJqBFL9DrE6",
          access_token: "access-production-de3ce8ef-33f8-452c-a685-8671031fc0f6",
          user_id: "user-4711",
        },
      },
    },
  },
  responses: {
    200: {
      description: "It is stored, and what it is about is due.",
      content: {
        "application/json": {
          schema: accepted,
          example: { ok: true, webhook_id: "whk_0192f3a87c5b7e1f9a3d4c6b8e0f1a2b", duplicate: false },
        },
      },
    },
    400: refusal("Your backend's webhook is not usable; `fields` says what to fix."),
    401: refusal("Plaid did not sign it, and it does not carry the webhook secret."),
    403: refusal("The sender's address is not allowed."),
    404: refusal("There is no such integration."),
    413: refusal("It is larger than 1 MiB."),
    503: refusal("Tartan cannot store or verify it now; `Retry-After` says when to send it again."),
  },
};

const takeLogins: OpenAPIV3_1.OperationObject = {
  operationId: "takeLogins",
  tags: ["Listeners"],
  summary: "Take logins",
  description:
    "The URL of a listener, for a log stream of Auth0 or for your own system. Each linked Item of a user who logged in gets a webhook " +
    "of source `FROM_LISTENER` and is synced, unless it was synced, or had a login, within the listener's throttle or since the login. " +
    "The answer 200 means that the webhooks are stored.\n\n" +
    'Auth0 may send its log events as an array, as one object, or as an object in each line. Your own system sends `{"user_id", "at"}` or an ' +
    "array of such objects; without `at` the user logged in just now. Repeating a request does no harm.",
  security: [{ listenerToken: [] }],
  parameters: [
    {
      name: "id",
      in: "path",
      required: true,
      description: "Id of the listener.",
      schema: { type: "string" },
      example: LISTENER_ID,
    },
  ],
  requestBody: {
    required: true,
    description: "Log events of Auth0, or logins. At most 1 MiB.",
    content: {
      "application/json": {
        schema: { oneOf: [{ type: "object" }, { type: "array", items: { type: "object" } }] },
        example: [
          {
            log_id: "90020261120170329051000000000000000001223372036854775",
            data: { date: "2026-11-20T17:03:29.051Z", type: "s", user_id: "auth0|user-4711" },
          },
        ],
      },
    },
  },
  responses: {
    200: {
      description: "The webhooks are stored, and what they are about is due.",
      content: {
        "application/json": {
          schema: {
            type: "object",
            properties: {
              ok: { type: "boolean", const: true },
              logins: { type: "integer", description: "Users who logged in; several logins of a user count once." },
              ignored: { type: "integer", description: "Log events that are no logins, or name no user." },
              unknown_users: { type: "integer", description: "Users who have no linked Item." },
              webhooks: { type: "integer", description: "Webhooks that were stored." },
              fresh: { type: "integer", description: "Items that needed none." },
            },
            required: ["ok", "logins", "ignored", "unknown_users", "webhooks", "fresh"],
          },
          example: { ok: true, logins: 1, ignored: 0, unknown_users: 0, webhooks: 2, fresh: 1 },
        },
      },
    },
    400: refusal("The body is not usable; `fields` says what to fix."),
    401: refusal("It does not carry the listener's token."),
    404: refusal("There is no such listener."),
    413: refusal("It is larger than 1 MiB."),
    503: refusal("Tartan cannot store the webhooks now; `Retry-After` says when to send the request again."),
  },
};

export const INTAKE_PATHS: Record<string, { post: OpenAPIV3_1.OperationObject }> = {
  "/v1/integrations/{id}": { post },
  "/v1/listeners/{id}": { post: takeLogins },
  "/v1/service_integrations/{id}": {
    post: {
      ...post,
      operationId: "acceptWebhookAtOldPath",
      summary: "Accept a webhook (the path of WebhookDB's clients)",
      description: "The same as `POST /v1/integrations/{id}`.",
    },
  },
};
