/** /v1/webhooks and /v1/refusals: what was accepted and what was not, newest first. */
import { TartanError } from "../../../errors.ts";
import { listRefusals } from "../../../journal/refusals.ts";
import { EXAMPLES } from "../examples.ts";
import { about, refusals, type Api, type ApiDeps } from "../../http/operation.ts";
import { list } from "../../http/shapes.ts";
import { Refusal, RefusalsQuery, Webhook, WebhookParams, WebhooksQuery } from "./shapes.ts";

export function auditRoutes(api: Api, { database, records }: ApiDeps): void {
  api.get("/v1/webhooks", { schema: LIST }, ({ query }) => records.list(query));

  api.get("/v1/webhooks/:id", { schema: SHOW }, async ({ params: { id } }) => {
    const webhook = await records.get(id);
    if (!webhook) throw new TartanError("not_found", `There is no webhook ${id}; ids look like whk_ and 32 digits.`);
    return webhook;
  });

  api.get("/v1/refusals", { schema: REFUSALS }, ({ query }) => listRefusals(database, query));
}

const LIST = {
  ...about("Audit trail", {
    operationId: "listWebhooks",
    summary: "List webhooks",
    description:
      "Every accepted webhook with what its sync found, newest first. Filters combine; an Item's or a user's webhooks, by " +
      "type, by type and code, or by source, are found by index however many there are. A type, code or source alone looks " +
      "through the newest webhooks a stretch at a time: such a page may be short, or empty, and still name a next one. A page also " +
      "ends once its bodies are 8 MiB together.",
  }),
  querystring: WebhooksQuery,
  response: { 200: list(Webhook, EXAMPLES.webhook, "A page of webhooks."), ...refusals() },
};

const SHOW = {
  ...about("Audit trail", {
    operationId: "getWebhook",
    summary: "Show a webhook",
    description: "One webhook: its body as it arrived, the proof that it is genuine, and what came of it.",
  }),
  params: WebhookParams,
  response: { 200: Webhook, ...refusals(404) },
};

const REFUSALS = {
  ...about("Audit trail", {
    operationId: "listRefusals",
    summary: "List refused requests",
    description:
      "Requests that the intake refused and why, newest first, so that a wrong secret is seen and not guessed. Alike ones " +
      "are folded into one row; only the last ten thousand rows are kept.",
  }),
  querystring: RefusalsQuery,
  response: { 200: list(Refusal, EXAMPLES.refusal, "A page of refusals."), ...refusals() },
};
