/** /v1/webhooks: the journal, everything that was accepted, newest first. */
import { z } from "zod";
import { TartanError } from "../../errors.ts";
import { WEBHOOK_EXAMPLE, WebhookFilter, WebhookRecord } from "../../model/records.ts";
import { text } from "../../model/schema.ts";
import { listKnownWebhooks, meaningOf } from "../../sync/webhook-meaning.ts";
import { about, refusals, type Api, type ApiDeps } from "../http/operation.ts";
import { list } from "../http/shapes.ts";
import { ShownWebhook, WebhookTypes } from "./webhook-shapes.ts";

export function webhookOperations(api: Api, { records }: ApiDeps): void {
  api.get("/v1/webhooks", { schema: LIST }, ({ query }) => records.list(query));

  api.get("/v1/webhooks/:id", { schema: SHOW }, async ({ params: { id } }) => {
    const webhook = await records.get(id);
    if (!webhook) throw new TartanError("not_found", `There is no webhook ${id}; ids look like whk_ and 32 digits.`);
    return { ...webhook, about: meaningOf(webhook) };
  });

  api.get("/v1/webhook-types", { schema: TYPES }, async () => ({ data: TYPE_LIST }));
}

const TYPE_LIST = listKnownWebhooks();

const LIST = {
  ...about("Journal", {
    operationId: "listWebhooks",
    summary: "List webhooks",
    description:
      "Every accepted webhook with what its sync found, newest first. Filters combine; an Item's or a user's webhooks, by " +
      "type, by type and code, or by source, are found by index however many there are. A type, code or source alone looks " +
      "through the newest webhooks a stretch at a time: such a page may be short, or empty, and still name a next one. A page also " +
      "ends once its bodies are 8 MiB together.",
  }),
  querystring: WebhookFilter,
  response: { 200: list(WebhookRecord, WEBHOOK_EXAMPLE, "A page of webhooks."), ...refusals() },
};

const SHOW = {
  ...about("Journal", {
    operationId: "getWebhook",
    summary: "Show a webhook",
    description:
      "One webhook: its body as it arrived, the proof that it is genuine, what it means, and what came of it.",
  }),
  params: z.object({ id: text(100, "Id of a webhook.") }),
  response: { 200: ShownWebhook, ...refusals(404) },
};

const TYPES = {
  ...about("Journal", {
    operationId: "listWebhookTypes",
    summary: "List the webhooks that Tartan knows",
    description:
      "Every type and code with its meaning, what it is about, and the resources that Tartan reads after it. Tartan stores " +
      "webhooks that are not listed here too.",
  }),
  response: { 200: WebhookTypes, ...refusals() },
};
