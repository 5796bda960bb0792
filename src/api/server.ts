/**
 * The HTTP server, composed by role: the intake, the REST API with its reference, and the probes of every process.
 * The intake is the hot path and shares only the socket with the rest: hooks, schemas, parsers and log lines of
 * the API have a context of their own, so a webhook pays for none of them.
 */
import Fastify, { type FastifyBaseLogger, type FastifyInstance, type FastifyRequest } from "fastify";
import { serializerCompiler, type ZodTypeProvider } from "fastify-type-provider-zod";
import type { Config } from "../config.ts";
import { TartanError } from "../errors.ts";
import type { Intake } from "../model/intake.ts";
import { receiverRoutes, type ReceiverDeps } from "../receiver/route.ts";
import { recordUnroutable, requestIn, type Unroutable, type UnroutableReason } from "../receiver/unroutable.ts";
import { urlAt } from "./http/address.ts";
import { addHeaders, answerErrors, answerGarbage, sendError } from "./http/answers.ts";
import type { Door } from "./http/door.ts";
import { answerUnrouted } from "./http/methods.ts";
import { validatorCompiler } from "./http/validation.ts";
import { probes } from "./nouns/probes.ts";
import { trustIn } from "./proxies.ts";
import { restApi } from "./rest.ts";
import type { Api, ApiDeps } from "./http/operation.ts";

export type ServerDeps = Omit<ApiDeps, "publicUrl"> &
  Omit<ReceiverDeps, "allowedSources"> & {
    /** where the process listens, now or later */
    door: Door;
    intake: Intake;
    config: Pick<Config, "publicUrl" | "host" | "port" | "trustedProxies" | "allowedSources">;
  };

/** A body of the API is small; the intake sets its own limit. */
const BODY_LIMIT = 1024 * 1024;

/**
 * Builds what answers behind the door: `deps.door.serve` sends requests to it. It never listens itself. Closing it waits for
 * answers under way. With `roles.receiver` alone the server accepts only webhooks, with `roles.api` alone it accepts none.
 * @throws TartanError `config_invalid` with the entries of trustedProxies or allowedSources that are not usable
 */
export async function createServer(deps: ServerDeps): Promise<FastifyInstance> {
  const { roles } = deps;
  const app = newInstance(deps);
  answerUnrouted(app, (path) => hintFor(path, roles));
  return await compose(app, deps, async (scope) => {
    if (roles.api) await restApi(scope, { ...deps, publicUrl: () => publicUrl(deps) });
  });
}

type OutageDeps = Omit<ReceiverDeps, "allowedSources"> &
  Pick<ServerDeps, "door" | "config" | "intake" | "roles" | "database">;

/**
 * Builds what answers behind the door of a receiver that has not reached Postgres since its start: webhooks and probes. Everything else
 * is 503 with Retry-After, like the answer of a whole server whose Postgres is away.
 * @throws TartanError as `createServer` does
 */
export async function createOutageServer(deps: OutageDeps): Promise<FastifyInstance> {
  const { roles } = deps;
  const app = newInstance(deps);
  if (roles.api) answerAll(app, unreached);
  else answerUnrouted(app, (path) => hintFor(path, roles));
  return await compose(app, deps);
}

/** Adds the intake, the probes and what `more` adds beside them, each in a context of its own. */
async function compose(
  app: FastifyInstance,
  deps: OutageDeps,
  more: (scope: Api) => Promise<void> = async () => undefined,
): Promise<FastifyInstance> {
  const { config, roles, database, logger, door, intake } = deps;
  if (roles.receiver) await app.register(receiverRoutes, { ...deps, allowedSources: config.allowedSources });
  await app.register(async (scope) => {
    scope.setValidatorCompiler(validatorCompiler);
    scope.setSerializerCompiler(serializerCompiler);
    const typed = scope.withTypeProvider<ZodTypeProvider>();
    await more(typed);
    await typed.register(async (inner) => probes(inner, { roles, database, intake, logger }));
  });
  // Hooks run in reverse order: registered last, so that what the others close is closed when nobody uses it any more.
  app.addHook("onClose", () => door.answered(app));
  await app.ready();
  return app;
}

function answerAll(app: FastifyInstance, error: () => TartanError): void {
  app.setNotFoundHandler((request, reply) => {
    addHeaders(request, reply);
    return sendError(reply, error());
  });
}

const unreached = (): TartanError =>
  new TartanError(
    "database_unavailable",
    "Postgres has not been reached since this process started. Webhooks are accepted meanwhile; try again in a moment.",
  );

/** Fastify's codes for paths that it cannot route. */
const UNROUTABLE: Partial<Record<string, UnroutableReason>> = {
  FST_ERR_BAD_URL: "path_malformed",
  FST_ERR_MAX_PARAM_LENGTH: "path_too_long",
};

type RecordUnroutable = (request: Unroutable, reason: UnroutableReason) => void;

const recorderOf =
  ({ roles, refusals }: Pick<ServerDeps, "roles" | "refusals">): RecordUnroutable =>
  (request, reason) => {
    if (roles.receiver) recordUnroutable(refusals, request, reason);
  };

const requestOf = ({ method, url, ip }: FastifyRequest): Unroutable => ({ method, path: url, remoteAddress: ip });

function newInstance(deps: Pick<ServerDeps, "logger" | "config" | "roles" | "refusals">): FastifyInstance {
  const { logger, config } = deps;
  const unroutable = recorderOf(deps);
  // Several processes share one log, so an id is the process's random name and a number.
  const processName = Math.random().toString(36).slice(2, 8).padEnd(6, "0");
  let requests = 0;
  const app = Fastify({
    loggerInstance: logger as FastifyBaseLogger,
    // Neither a line nor a child logger for each request: a handler that wants a line writes it.
    logController: new Fastify.LogController({ disableRequestLogging: true }),
    childLoggerFactory: (parent) => parent,
    genReqId: () => `req_${processName}_${(requests += 1)}`,
    requestIdHeader: false,
    bodyLimit: BODY_LIMIT,
    // A closing server still answers requests on its open connections; it accepts no new ones.
    return503OnClosing: false,
    trustProxy: trustIn(config.trustedProxies),
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: 300 },
    frameworkErrors: (error, request, reply) => {
      const reason = UNROUTABLE[error.code];
      if (reason) unroutable(requestOf(request as FastifyRequest), reason);
      void answerErrors(logger)(error, request as never, reply as never);
    },
    clientErrorHandler: (error: Error & { code?: string; rawPacket?: unknown }, socket) => {
      const request = requestIn(error.rawPacket);
      if (request) unroutable({ ...request, remoteAddress: socket.remoteAddress ?? null }, "not_http");
      answerGarbage(error, socket);
    },
  });
  app.setErrorHandler(answerErrors(logger));
  return app;
}

/** The configured URL, or the address of the listening server (port 0 is known only then). */
function publicUrl({ door, config: { publicUrl: configured, host, port } }: ServerDeps): string {
  if (configured !== undefined) return configured;
  return urlAt(host, door.url === null ? port : Number(new URL(door.url).port || 80));
}

/** Why this process does not serve a path that another process serves. */
function hintFor(path: string, { receiver, api }: ServerDeps["roles"]): string {
  if (!receiver && /^\/v1\/((service_)?integrations|listeners)\/[^/]+\/?$/.test(path))
    return "This process accepts no webhooks: it was started without the role receiver.";
  if (!api) return "This process has no REST API: it was started without the role api.";
  return "The reference is at /docs.";
}
