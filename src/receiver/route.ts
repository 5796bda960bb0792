/**
 * The receiver's HTTP handlers: one URL for each integration, for Plaid and for your backend; and one for each listener (listener.ts).
 *
 *   request → source known? → Plaid-Verification sent? → proven by signature ─┐
 *                                                   └→ proven by secret ─────┴→ handed over to the Intake, which makes it durable → 200
 *
 * When a request fails, the receiver answers what is wrong and how to fix it, records a refusal and counts it. When it can neither
 * accept nor refuse a request (Plaid's key endpoint or Postgres does not answer, the queue is full), it answers 503 with Retry-After:
 * Plaid sends the request again for a day.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { describeError, errorBody, TartanError } from "../errors.ts";
import { toWebhookId } from "../model/ids.ts";
import { metrics } from "../metrics.ts";
import type { Accepted } from "../model/webhook.ts";
import { openSignatures, type SignatureCheck } from "../plaid/signatures.ts";
import { openBackendPath } from "./backend.ts";
import type { ReceivedRequest, ReceiverDeps } from "./deps.ts";
import { takeLogins } from "./listener.ts";
import { openPlaidPath } from "./plaid.ts";
import { IntakeRefusal, toRefusal } from "./refusal.ts";
import { RefusalTurns } from "./refusal-turns.ts";
import { sourceCheck } from "./sources.ts";

export type { ReceiverDeps } from "./deps.ts";

const BODY_LIMIT = 1024 * 1024;
const EMPTY = Buffer.alloc(0);
const LISTENER_PATH = "/v1/listeners/:id";

type IntakePath = { Params: { id: string } };

/** Behind a trusted proxy, each look at `request.ip` reads the header again, so it is read once. */
type Receive = (request: FastifyRequest<IntakePath>, remoteAddress: string) => Promise<Accepted | IntakeRefusal>;

/** A Fastify plugin with the intake's handlers, in a context of its own, so that bodies stay raw bytes. */
export async function receiverRoutes(app: FastifyInstance, deps: ReceiverDeps): Promise<void> {
  const signatures = openSignatures();
  app.addHook("onClose", () => signatures[Symbol.asyncDispose]());
  const receive = openPaths({ ...deps, check: signatures.check });
  const turns = new RefusalTurns();
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("*", { parseAs: "buffer", bodyLimit: BODY_LIMIT }, (_request, body, done) =>
    done(null, body),
  );
  app.setErrorHandler((thrown, request, reply) => {
    const isOfListener = request.routeOptions.url === LISTENER_PATH;
    return refuse(deps, thrown, request as FastifyRequest<IntakePath>, reply, { isOfListener });
  });
  const handler = async (request: FastifyRequest<IntakePath>, reply: FastifyReply): Promise<FastifyReply> => {
    const began = performance.now();
    const remoteAddress = request.ip;
    const refused = async (error: unknown): Promise<FastifyReply> => {
      await turns.next();
      return refuse(deps, error, request, reply, { remoteAddress });
    };
    let accepted: Accepted | IntakeRefusal;
    try {
      accepted = await receive(request, remoteAddress);
    } catch (error) {
      // Not thrown on to Fastify, whose way of errors costs as much as the refusal.
      return await refused(error);
    }
    if (accepted instanceof IntakeRefusal) return await refused(accepted);
    const { id, duplicate } = accepted;
    reply.type("application/json; charset=utf-8");
    // Assembled by hand, which is safe since an id is hexadecimal: a serializer would run for each webhook.
    reply.send(`{"ok":true,"webhook_id":"${toWebhookId(id)}","duplicate":${duplicate}}`);
    metrics.acceptSeconds.observe((performance.now() - began) / 1000);
    return reply;
  };
  app.post<IntakePath>("/v1/integrations/:id", { bodyLimit: BODY_LIMIT }, handler);
  app.post<IntakePath>("/v1/service_integrations/:id", { bodyLimit: BODY_LIMIT }, handler);
  app.post<IntakePath>(LISTENER_PATH, { bodyLimit: BODY_LIMIT }, async (request, reply) => {
    reply.type("application/json; charset=utf-8");
    return reply.send(JSON.stringify({ ok: true, ...(await takeLogins(deps.logins, request, bodyOf(request))) }));
  });
}

function openPaths(deps: ReceiverDeps & { check: SignatureCheck }): Receive {
  const mayPost = sourceCheck(deps.allowedSources);
  const plaidPath = openPlaidPath(deps);
  const backendPath = openBackendPath(deps);
  return async (request, remoteAddress) => {
    const receivedAt = new Date(deps.clock.now());
    const integration = await deps.directory.find(request.params.id);
    if (integration === null) throw unknownIntegration();
    const received: ReceivedRequest = { integration, body: bodyOf(request), remoteAddress, receivedAt };
    const jwt = request.headers["plaid-verification"];
    if (jwt === undefined) return await backendPath(received, request.headers);
    if (!mayPost(remoteAddress)) throw sourceRefused();
    return await plaidPath(received, String(jwt));
  };
}

const bodyOf = ({ body }: FastifyRequest): Buffer => (Buffer.isBuffer(body) ? body : EMPTY);

const unknownIntegration = (): IntakeRefusal =>
  new IntakeRefusal(
    "not_found",
    "There is no integration at this path. `npx tartan integrations list` shows the integrations.",
    {
      reason: "integration_unknown",
    },
  );

const sourceRefused = (): IntakeRefusal =>
  new IntakeRefusal("webhook_source_refused", "This address may not post webhooks. See TARTAN_ALLOWED_SOURCES.");

/** Answers an error, records it and counts it. */
function refuse(
  { refusals, logger }: ReceiverDeps,
  thrown: unknown,
  request: FastifyRequest<IntakePath>,
  reply: FastifyReply,
  { remoteAddress = request.ip, isOfListener = false } = {},
): FastifyReply {
  const refusal = toRefusal(thrown);
  if (refusal === null) {
    logger.error({ error: describeError(thrown), request_id: request.id }, "a webhook could not be accepted");
    const error = internal(request.id);
    return send(reply, error, JSON.stringify(errorBody(error)));
  }
  metrics.webhooksRefused.inc({ reason: refusal.reason });
  refusals.record({
    ...addressee(request, refusal, isOfListener),
    reason: refusal.reason,
    detail: refusal.detail,
    remoteAddress,
    bodyBytes: bodyOf(request).length,
  });
  return send(reply, refusal.answer, refusal.text);
}

/** Whose URL the request was sent to, where there is such a one. */
function addressee({ params }: FastifyRequest<IntakePath>, { reason }: IntakeRefusal, isOfListener: boolean) {
  const isKnown = reason !== "integration_unknown" && reason !== "listener_unknown";
  const id = isKnown ? (params?.id ?? null) : null;
  return isOfListener ? { integrationId: null, listenerId: id } : { integrationId: id };
}

const internal = (requestId: string): TartanError =>
  new TartanError("internal", `Tartan failed. Its log has the details under request_id ${requestId}.`);

function send(reply: FastifyReply, { status, retryAfterSeconds }: TartanError, text: string): FastifyReply {
  if (retryAfterSeconds !== undefined) reply.header("retry-after", String(Math.ceil(retryAfterSeconds)));
  return reply.code(status).type("application/json; charset=utf-8").send(text);
}
