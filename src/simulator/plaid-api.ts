/**
 * Answers Plaid's API: checks credentials, applies faults, checks the request's shape, finds the Item, checks the rate
 * limit, and then calls the endpoint. It knows nothing about sockets; server.ts passes requests in and answers out.
 */
import { ENDPOINTS } from "./endpoints/index.ts";
import { FileAnswer, JsonMembers, type Answer, type Endpoint } from "./endpoints/endpoint.ts";
import type { Target } from "./faults.ts";
import type { Item } from "./item.ts";
import {
  errorAnswer,
  foreignEnvironment,
  institutionDown,
  internalServerError,
  invalidApiKeys,
  invalidBody,
  ITEM_ERRORS,
  itemNotFound,
  malformedAccessToken,
  missingFields,
  notSimulated,
  permissionRevoked,
  PlaidApiError,
  rateLimited,
  unauthorizedRoute,
  unknownAccessToken,
} from "./plaid-error.ts";
import type { Simulation } from "./simulation.ts";
import type { Client } from "./world.ts";

export interface PlaidRequest {
  path: string;
  /** PLAID-CLIENT-ID and PLAID-SECRET headers, which may replace the body's fields */
  clientId: string | undefined;
  secret: string | undefined;
  body: string;
}

export interface PlaidReply {
  status: number;
  text: string;
  contentType: "application/json" | "text/html" | "application/pdf";
  /** beside the content's type and length */
  headers: Readonly<Record<string, string>>;
  /** wait this long before answering */
  delayMs: number;
  /** close the connection after so many bytes; null: send all */
  cutAfter: number | null;
}

const byPath = new Map(ENDPOINTS.map((one) => [one.path, one]));

/** Answers one request; never throws. */
export function answerPlaid(sim: Simulation, request: PlaidRequest): PlaidReply {
  const reply: PlaidReply = {
    status: 200,
    text: "",
    contentType: "application/json",
    headers: {},
    delayMs: 0,
    cutAfter: null,
  };
  const requestId = sim.requestId();
  try {
    const answer = handle(sim, request, reply, requestId);
    if (answer instanceof FileAnswer) Object.assign(reply, answer);
    else if (reply.text === "" && reply.status === 200) reply.text = textOf(answer, requestId);
  } catch (error) {
    const failure = error instanceof PlaidApiError ? error : unexpected(sim, error);
    reply.status = failure.status;
    reply.text = JSON.stringify(errorAnswer(failure.facts, requestId));
  }
  return reply;
}

function unexpected(sim: Simulation, error: unknown): PlaidApiError {
  sim.options.onError?.(error);
  return internalServerError();
}

const textOf = (answer: Exclude<Answer, FileAnswer>, requestId: string): string =>
  answer instanceof JsonMembers
    ? `{${answer.text},"request_id":"${requestId}"}`
    : JSON.stringify({ ...answer, request_id: requestId });

function handle(sim: Simulation, request: PlaidRequest, reply: PlaidReply, requestId: string): Answer {
  const endpoint = byPath.get(request.path);
  if (!endpoint) throw notSimulated(printable(request.path));
  sim.requests.set(request.path, (sim.requests.get(request.path) ?? 0) + 1);
  const body = readBody(request.body);
  const item = typeof body["access_token"] === "string" ? sim.world.itemByToken(body["access_token"]) : undefined;
  if (item) sim.noteRequest(requestId, item.itemId);
  const target: Target = {
    itemId: item?.itemId ?? null,
    clientId: request.clientId ?? text(body["client_id"]) ?? null,
    institutionId: item?.institution.institution_id ?? null,
    endpoint: request.path,
  };
  if (strikeOutside(sim, target, reply)) return {};
  const client = authenticate(sim, request, body);
  if (request.path.startsWith("/beta/") && client.beta === false) throw unauthorizedRoute();
  const parsed = endpoint.parse(body);
  const subject = endpoint.needs === "none" ? null : itemFor(text(body["access_token"]) ?? "", item, client);
  limit(sim, endpoint, target, client, subject);
  if (subject && endpoint.needs === "healthy") checkHealth(sim, target, subject);
  return endpoint.run(parsed, { sim, client }, subject);
}

/** The caller chooses the path, so the answer repeats only the characters and the length that an endpoint's name may have. */
const printable = (path: string): string => path.replaceAll(/[^\w/ .-]/g, "").slice(0, 100);

const text = (value: unknown): string | undefined => (typeof value === "string" ? value : undefined);

function readBody(body: string): Record<string, unknown> {
  try {
    const value: unknown = body === "" ? {} : JSON.parse(body);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch {
    // said below
  }
  throw invalidBody();
}

/** Applies faults in front of Plaid's code: latency, gateways, cut connections. @returns true if the answer is complete */
function strikeOutside(sim: Simulation, target: Target, reply: PlaidReply): boolean {
  reply.delayMs = sim.faults.strike("slow", target)?.ms ?? 0;
  reply.cutAfter = sim.faults.strike("connection_cut", target)?.after_bytes ?? null;
  const failure = sim.faults.strike("server_error", target);
  if (!failure) return false;
  if (failure.body === "plaid") throw internalServerError(failure.status);
  reply.status = failure.status;
  reply.contentType = "text/html";
  reply.text = failure.body === "html" ? `<html><body><h1>${failure.status} upstream error</h1></body></html>` : "";
  return true;
}

function authenticate(sim: Simulation, request: PlaidRequest, body: Record<string, unknown>): Client {
  const clientId = request.clientId ?? text(body["client_id"]);
  const secret = request.secret ?? text(body["secret"]);
  const missing = [...(clientId ? [] : ["client_id"]), ...(secret ? [] : ["secret"])];
  if (missing.length > 0) throw missingFields(missing);
  const client = sim.world.clients.get(clientId ?? "");
  if (!client || client.secret !== secret) throw invalidApiKeys();
  return client;
}

function itemFor(accessToken: string, item: Item | undefined, client: Client): Item {
  const [kind, environment, id] = accessToken.split("-");
  if (kind !== "access" || !environment || !id) throw malformedAccessToken();
  if (environment !== "sandbox") throw foreignEnvironment();
  if (!item || item.clientId !== client.clientId) throw unknownAccessToken();
  if (item.removed) throw itemNotFound();
  return item;
}

function limit(sim: Simulation, { path, limit }: Endpoint, target: Target, client: Client, item: Item | null): void {
  const exceeded = sim.limits.exceeded(limit, path, client.clientId, item?.itemId ?? null, sim.time.now());
  if (exceeded) throw rateLimited(exceeded.code, exceeded.scope);
  if (sim.faults.strike("rate_limit", target)) throw rateLimited(limit?.code ?? "RATE_LIMIT", item ? "item" : "client");
}

function checkHealth(sim: Simulation, target: Target, item: Item): void {
  if (item.revoked) throw permissionRevoked();
  if (sim.faults.strike("institution_down", target)) throw institutionDown();
  if (sim.faults.strike("login_required", target)) throw new PlaidApiError(ITEM_ERRORS.ITEM_LOGIN_REQUIRED);
  if (item.error) throw new PlaidApiError(item.error);
}

/** The answered paths, for the control's index. */
export const PLAID_PATHS: readonly string[] = ENDPOINTS.map((one: Endpoint) => one.path);
