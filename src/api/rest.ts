/**
 * The REST API as a whole: who may come in, how bodies are read, what is logged of a request, and the reference. The
 * routes themselves are in a file for each noun.
 */
import type { FastifyReply, FastifyRequest } from "fastify";
import { metrics } from "../metrics.ts";
import { addHeaders } from "./http/answers.ts";
import { auditRoutes } from "./nouns/webhooks/operations.ts";
import { requireKey } from "./http/auth.ts";
import { deliveryRoutes } from "./nouns/deliveries/operations.ts";
import { destinationRoutes } from "./nouns/destinations/operations.ts";
import { referenceRoutes } from "./docs/reference.ts";
import { eventRoutes } from "./nouns/events/operations.ts";
import { integrationRoutes } from "./nouns/integrations/operations.ts";
import { itemRoutes } from "./nouns/items/operations.ts";
import { jobRoutes } from "./nouns/jobs/operations.ts";
import { describeRoutes } from "./docs/openapi.ts";
import { routeRoutes } from "./nouns/routes/operations.ts";
import type { Api, ApiDeps } from "./http/operation.ts";
import { statusRoutes } from "./nouns/status/operations.ts";
import { VERSION } from "../version.ts";

export async function restApi(app: Api, deps: ApiDeps): Promise<void> {
  await describeRoutes(app, VERSION);
  await app.register(async (api: Api) => {
    api.addHook("onRequest", async (request, reply) => addHeaders(request, reply));
    api.addHook("onResponse", logRequest(deps));
    api.addHook("onRequest", requireKey(deps.database));
    readEmptyBodies(api);
    integrationRoutes(api, deps);
    itemRoutes(api, deps);
    auditRoutes(api, deps);
    destinationRoutes(api, deps);
    routeRoutes(api, deps);
    deliveryRoutes(api, deps);
    jobRoutes(api, deps);
    eventRoutes(api, deps);
    statusRoutes(api, deps);
  });
  await app.register(async (open: Api) => referenceRoutes(open));
}

/** One line a request: route pattern instead of path, and nothing that a user sent. */
function logRequest({ logger }: ApiDeps) {
  return async (request: FastifyRequest, reply: FastifyReply): Promise<void> => {
    const { method, id: request_id } = request;
    const { statusCode: status, elapsedTime } = reply;
    const route = request.routeOptions.url ?? "";
    metrics.apiSeconds.observe({ method, route, status }, elapsedTime / 1000);
    logger.info({ method, route, status, ms: Math.round(elapsedTime * 10) / 10, request_id }, "request");
  };
}

/** A body that is empty or missing counts as {}: what is required is then named, and what is not may be left out. */
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
