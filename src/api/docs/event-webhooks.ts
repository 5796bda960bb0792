/** The events in the OpenAPI document, as `webhooks`: requests that Tartan makes and its users answer. */
import type { OpenAPIV3_1 } from "openapi-types";
import { sentenceOf } from "../../events/event-types.ts";
import { eventComponent, SHAPED_TYPES } from "../nouns/events/shapes.ts";

const header = (name: string, description: string): OpenAPIV3_1.ParameterObject => ({
  name,
  in: "header",
  required: true,
  description,
  schema: { type: "string" },
});

const HEADERS = [
  header("webhook-id", "The event's id, the same in every attempt and replay."),
  header("webhook-timestamp", "When this attempt was made, in seconds since 1970."),
  header("webhook-signature", "Signatures over `id.timestamp.body`, as Standard Webhooks has them, one for each key."),
];

const RESPONSES: OpenAPIV3_1.ResponsesObject = {
  "2XX": { description: "It arrived. Any other answer is a failure, and Tartan sends the event again." },
  "410": { description: "Send nothing more: the destination is disabled, and its deliveries are held." },
};

/** One operation for each type of event. */
export function eventWebhooks(): Record<string, { post: OpenAPIV3_1.OperationObject }> {
  return Object.fromEntries(
    SHAPED_TYPES.map((type) => {
      const name = eventComponent(type);
      const schema = { $ref: `#/components/schemas/${name}` };
      const post: OpenAPIV3_1.OperationObject = {
        operationId: `on${name}`,
        tags: ["Events"],
        summary: type,
        description: sentenceOf(type),
        parameters: HEADERS,
        requestBody: { required: true, content: { "application/json": { schema } } },
        responses: RESPONSES,
      };
      return [type, { post }];
    }),
  );
}
