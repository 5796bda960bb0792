/**
 * The REST API as a whole: authentication, the reading of bodies, the log of requests, and the reference. Its
 * operations are in nouns/, in a file or folder for each noun.
 */
import type { FastifyReply, FastifyRequest } from "fastify";
import { metrics } from "../metrics.ts";
import { addHeaders } from "./http/answers.ts";
import { requireKey } from "./http/auth.ts";
import { referenceRoutes } from "./docs/reference.ts";
import { describeRoutes } from "./docs/openapi.ts";
import type { Api, ApiDeps } from "./http/operation.ts";
import { VERSION } from "../version.ts";
import { auditOperations } from "./nouns/audit.ts";
import { callOperations } from "./nouns/calls.ts";
import { changeOperations } from "./nouns/changes.ts";
import { deadLetterOperations } from "./nouns/dead-letters.ts";
import { deliveryOperations } from "./nouns/deliveries.ts";
import { destinationOperations } from "./nouns/destinations/operations.ts";
import { eventOperations } from "./nouns/events/operations.ts";
import { freshnessOperations } from "./nouns/freshness.ts";
import { gapOperations } from "./nouns/gaps.ts";
import { integrationOperations } from "./nouns/integrations.ts";
import { itemOperations } from "./nouns/items/operations.ts";
import { backfillOperations } from "./nouns/backfills.ts";
import { checkOperations } from "./nouns/items/check.ts";
import { runOperations } from "./nouns/items/runs.ts";
import { jobOperations } from "./nouns/jobs/operations.ts";
import { linkOperations } from "./nouns/link.ts";
import { listenerOperations } from "./nouns/listeners.ts";
import { plaidDeliveryOperations } from "./nouns/plaid-deliveries.ts";
import { refusalOperations } from "./nouns/refusals.ts";
import { routeOperations } from "./nouns/routes.ts";
import { statusOperations } from "./nouns/status.ts";
import { subjectOperations } from "./nouns/subjects.ts";
import { unprovenWebhookOperations } from "./nouns/unproven-webhooks.ts";
import { webhookMoveOperations } from "./nouns/webhook-moves.ts";
import { webhookOperations } from "./nouns/webhooks.ts";

/** In the order in which the reference shows them. */
const NOUNS = [
  integrationOperations,
  callOperations,
  itemOperations,
  checkOperations,
  backfillOperations,
  runOperations,
  webhookMoveOperations,
  linkOperations,
  subjectOperations,
  webhookOperations,
  unprovenWebhookOperations,
  listenerOperations,
  refusalOperations,
  gapOperations,
  plaidDeliveryOperations,
  auditOperations,
  destinationOperations,
  routeOperations,
  deliveryOperations,
  deadLetterOperations,
  jobOperations,
  eventOperations,
  changeOperations,
  freshnessOperations,
  statusOperations,
];

export async function restApi(app: Api, deps: ApiDeps): Promise<void> {
  await describeRoutes(app, VERSION);
  await app.register(async (api: Api) => {
    api.addHook("onRequest", async (request, reply) => addHeaders(request, reply));
    api.addHook("onResponse", logRequest(deps));
    api.decorateRequest("actor", "");
    api.addHook("onRequest", requireKey(deps.database));
    readEmptyBodies(api);
    for (const noun of NOUNS) noun(api, deps);
  });
  await app.register(async (open: Api) => referenceRoutes(open));
}

/** Logs one line for each request, with the route's pattern instead of the path and with no text that a user sent. */
function logRequest({ logger }: ApiDeps) {
  return async (request: FastifyRequest, reply: FastifyReply): Promise<void> => {
    const { method, id: request_id } = request;
    const { statusCode: status, elapsedTime } = reply;
    const route = request.routeOptions.url ?? "";
    metrics.apiSeconds.observe({ method, route, status }, elapsedTime / 1000);
    logger.info({ method, route, status, ms: Math.round(elapsedTime * 10) / 10, request_id }, "request");
  };
}

/** An empty or missing body counts as {}: the answer then names the required fields, or the body may be left out. */
function readEmptyBodies(api: Api): void {
  const parse = api.getDefaultJsonParser("error", "error");
  api.removeAllContentTypeParsers();
  api.addContentTypeParser("application/json", { parseAs: "string" }, (request, text, done) => {
    if (text === "") done(null, {});
    else parse(request, text as string, done);
  });
  api.addHook("preValidation", async (request) => {
    if (request.body === undefined && request.routeOptions.schema?.body !== undefined) request.body = {};
  });
}
