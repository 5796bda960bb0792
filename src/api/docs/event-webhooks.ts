/** The events in the OpenAPI document, as `webhooks`: requests that Tartan makes and its users answer. */
import type { OpenAPIV3_1 } from "openapi-types";
import { CHANGED_TABLES, sentenceOf } from "../../events/event-types.ts";
import { eventExample } from "../nouns/events/examples.ts";
import { eventComponent, ROWS_CHANGED, SHAPED_TYPES } from "../nouns/events/shapes.ts";

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

type Media = OpenAPIV3_1.MediaTypeObject;

const webhook = (name: string, component: string, description: string, examples?: Media["examples"]) => {
  const media: Media = { schema: { $ref: `#/components/schemas/${component}` }, ...(examples && { examples }) };
  const post: OpenAPIV3_1.OperationObject = {
    operationId: `on${component}`,
    tags: ["Events"],
    summary: name,
    description,
    parameters: HEADERS,
    requestBody: { required: true, content: { "application/json": media } },
    responses: RESPONSES,
  };
  return [name, { post }] as const;
};

/** The events of changed rows: they differ in their type and in what the rows are, so they are one webhook with many examples. */
function rowsChanged() {
  const { name, component, sentence } = ROWS_CHANGED;
  const rows = CHANGED_TABLES.map(({ type, event }) => `| \`${type}\` | ${event.rows} |`);
  const table = ["| type | rows |", "|---|---|", ...rows].join("\n");
  const description = `${sentence}\n\n<details><summary>The ${rows.length} tables</summary>\n\n${table}\n\n</details>`;
  const examples = CHANGED_TABLES.map(({ type }) => [type, { value: eventExample(type) }]);
  return webhook(name, component, description, Object.fromEntries(examples));
}

/** One operation for each type of event, and one for all those of changed rows, in the place of the first. */
export function eventWebhooks(): Record<string, { post: OpenAPIV3_1.OperationObject }> {
  const ofRows = rowsChanged();
  return Object.fromEntries(
    SHAPED_TYPES.map((type) => {
      const component = eventComponent(type);
      return component === ROWS_CHANGED.component ? ofRows : webhook(type, component, sentenceOf(type));
    }),
  );
}
