/**
 * The HTTP server, composed by role: the intake, the REST API with its reference, and the probes of every process.
 * The intake is the hot path and shares only the socket with the rest: hooks, schemas, parsers and log lines of
 * the API have a context of their own, so a webhook pays for none of them.
 */
import { isIP, type Socket } from "node:net";
import Fastify, { type FastifyBaseLogger, type FastifyInstance, type FastifyRequest } from "fastify";
import { serializerCompiler, type ZodTypeProvider } from "fastify-type-provider-zod";
import type { Config } from "../config.ts";
import { TartanError } from "../errors.ts";
import type { Logger } from "../logger.ts";
import type { Intake } from "../model/intake.ts";
import { receiverRoutes, type ReceiverDeps } from "../receiver/route.ts";
import { recordUnroutable, requestIn, type Unroutable, type UnroutableReason } from "../receiver/unroutable.ts";
import { urlAt } from "./http/address.ts";
import { answerErrors, answerGarbage } from "./http/answers.ts";
import { answerUnrouted } from "./http/methods.ts";
import { validatorCompiler } from "./http/validation.ts";
import { probes } from "./nouns/probes.ts";
import { restApi } from "./rest.ts";
import type { ApiDeps } from "./http/operation.ts";

export type ServerDeps = Omit<ApiDeps, "publicUrl"> &
  Omit<ReceiverDeps, "allowedSources"> & {
    intake: Intake;
    config: Pick<Config, "publicUrl" | "host" | "port" | "trustedProxies" | "allowedSources">;
  };

/** A body of the API is small; the intake sets its own limit. */
const BODY_LIMIT = 1024 * 1024;
/** The server refuses a request that has not arrived whole by then (Fastify would wait without end). */
const REQUEST_TIMEOUT_MS = 30_000;
const HEADERS_TIMEOUT_MS = 15_000;
/**
 * Longer than the common load balancers keep an idle connection (nginx and AWS 60 s, Google 600 s). With a shorter time they
 * would send a webhook into a connection that the server is closing.
 */
const KEEP_ALIVE_MS = 620_000;
const DROP_IDLE_EVERY_MS = 50;
/** Once a server closes, Node no longer enforces the two limits above, so the rest of a request may never come. */
const CLOSE_MS = 10_000;

/**
 * Builds the server; the caller calls `listen` and `close`. Closing waits at most ten seconds for answers under way.
 * With `roles.receiver` alone the server accepts only webhooks, with `roles.api` alone it accepts none.
 * @throws TartanError `config_invalid` with the entries of trustedProxies or allowedSources that are not usable
 */
export async function createServer(deps: ServerDeps): Promise<FastifyInstance> {
  const { config, roles, database, logger } = deps;
  checkProxies(config.trustedProxies);
  const unroutable = recorderOf(deps);
  const app = newInstance(logger, config.trustedProxies, unroutable);
  app.setErrorHandler(answerErrors(logger));
  answerUnrouted(app, (path) => hintFor(path, roles));
  if (roles.receiver) await app.register(receiverRoutes, { ...deps, allowedSources: config.allowedSources });
  await app.register(async (scope) => {
    scope.setValidatorCompiler(validatorCompiler);
    scope.setSerializerCompiler(serializerCompiler);
    const typed = scope.withTypeProvider<ZodTypeProvider>();
    if (roles.api) await restApi(typed, { ...deps, publicUrl: () => publicUrl(app, config) });
    await typed.register(async (inner) => probes(inner, { database, intake: deps.intake, logger }));
  });
  await app.ready();
  return app;
}

function checkProxies(trusted: readonly string[]): void {
  const faults = trusted.filter((entry) => {
    const [address = "", bits = "0", ...more] = entry.split("/");
    const version = isIP(address);
    return version === 0 || more.length > 0 || !/^\d{1,3}$/.test(bits) || Number(bits) > (version === 4 ? 32 : 128);
  });
  if (faults.length === 0) return;
  const message = `TARTAN_TRUSTED_PROXIES: ${faults.join(", ")}: neither an address nor a CIDR range.`;
  throw new TartanError("config_invalid", message, { fields: { TARTAN_TRUSTED_PROXIES: message } });
}

/** Fastify's codes for paths that it cannot route. */
const UNROUTABLE: Partial<Record<string, UnroutableReason>> = {
  FST_ERR_BAD_URL: "path_malformed",
  FST_ERR_MAX_PARAM_LENGTH: "path_too_long",
};

type RecordUnroutable = (request: Unroutable, reason: UnroutableReason) => void;

const recorderOf =
  ({ roles, refusals }: ServerDeps): RecordUnroutable =>
  (request, reason) => {
    if (roles.receiver) recordUnroutable(refusals, request, reason);
  };

const requestOf = ({ method, url, ip }: FastifyRequest): Unroutable => ({ method, path: url, remoteAddress: ip });

function newInstance(logger: Logger, trustedProxies: readonly string[], unroutable: RecordUnroutable): FastifyInstance {
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
    requestTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    // A closing server still answers requests on its open connections; it accepts no new ones.
    return503OnClosing: false,
    trustProxy: trustedProxies.length > 0 ? [...trustedProxies] : false,
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
  app.server.headersTimeout = HEADERS_TIMEOUT_MS;
  const connections = connectionsOf(app);
  app.addHook("preClose", async () => dropIdleUntilClosed(app, connections));
  return app;
}

function connectionsOf({ server }: FastifyInstance): ReadonlySet<Socket> {
  const connections = new Set<Socket>();
  server.on("connection", (socket) => {
    connections.add(socket);
    socket.once("close", () => connections.delete(socket));
  });
  return connections;
}

/**
 * Node's `close` ends the connections that are idle at that moment. A connection with an answer under way becomes idle later,
 * and would keep the server open while it is kept alive. So would a connection that was opened in advance and has sent nothing,
 * which Node does not count as idle. After CLOSE_MS the server ends all connections: a client that does not send the rest
 * of its request, or does not read its answer, would keep the server open without end.
 */
function dropIdleUntilClosed({ server }: FastifyInstance, connections: ReadonlySet<Socket>): void {
  const end = performance.now() + CLOSE_MS;
  const drop = (): void => {
    server.closeIdleConnections();
    const isLate = performance.now() >= end;
    for (const socket of connections) if (isLate || socket.bytesRead === 0) socket.destroy();
  };
  const timer = setInterval(drop, DROP_IDLE_EVERY_MS).unref();
  server.once("close", () => clearInterval(timer));
}

/** The configured URL, or the address of the listening server (port 0 is known only then). */
function publicUrl(app: FastifyInstance, { publicUrl: configured, host, port }: ServerDeps["config"]): string {
  if (configured !== undefined) return configured;
  const address = app.server.address();
  const actual = typeof address === "object" && address !== null ? address.port : port;
  return urlAt(host, actual);
}

/** Why this process does not serve a path that another process serves. */
function hintFor(path: string, { receiver, api }: ServerDeps["roles"]): string {
  if (!receiver && /^\/v1\/((service_)?integrations|listeners)\/[^/]+\/?$/.test(path))
    return "This process accepts no webhooks: it was started without the role receiver.";
  if (!api) return "This process has no REST API: it was started without the role api.";
  return "The reference is at /docs.";
}
