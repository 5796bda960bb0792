/**
 * What every answer outside the intake has in common: the security headers, the one shape of an error
 * (`{"error":{"code","message","fields"?}}`), and the translation of whatever was thrown into it. Texts name what is
 * wrong and how to mend it; nothing of the request's values is repeated in them, since a value may be a secret.
 */
import type { Socket } from "node:net";
import type { FastifyError, FastifyReply, FastifyRequest } from "fastify";
import { ResponseSerializationError } from "fastify-type-provider-zod";
import { describeError, errorBody, TartanError } from "../../errors.ts";
import type { Logger } from "../../logger.ts";
import { PlaidError } from "../../plaid/errors.ts";

/** On everything but the reference page, which needs its own style and script. */
const SECURITY_HEADERS = {
  "cache-control": "no-store",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
};

/** Where a 503 does not know better. */
const RETRY_AFTER_SECONDS = 5;

/** Adds the security headers and the request's id, by which a log line can be found. */
export function addHeaders(request: FastifyRequest, reply: FastifyReply): void {
  reply.headers(SECURITY_HEADERS).header("x-request-id", request.id);
}

/** Sends `error` in the one shape of errors. */
export function sendError(reply: FastifyReply, error: TartanError): FastifyReply {
  const retryAfter = error.retryAfterSeconds ?? (error.status === 503 ? RETRY_AFTER_SECONDS : undefined);
  if (retryAfter !== undefined) reply.header("retry-after", String(Math.ceil(retryAfter)));
  if (error.code === "unauthorized") reply.header("www-authenticate", 'Bearer realm="tartan"');
  // Serialized here: a route's response schemas describe success, and an error must get out whatever they say.
  return reply
    .code(error.status)
    .type("application/json; charset=utf-8")
    .serializer((payload: unknown) => JSON.stringify(payload))
    .send(errorBody(error));
}

/** Fastify's error handler for everything outside the intake. */
export function answerErrors(logger: Logger) {
  return (thrown: FastifyError, request: FastifyRequest, reply: FastifyReply): FastifyReply => {
    const error = toTartanError(thrown, request);
    if (error.status >= 500) {
      const { method, id: request_id } = request;
      const told = { method, route: request.routeOptions.url, request_id, error: describeError(error.cause ?? error) };
      logger[error.code === "internal" ? "error" : "warn"](told, "request failed");
    }
    return sendError(reply, error);
  };
}

/** Whatever was thrown while answering, as an error of the closed vocabulary. */
function toTartanError(thrown: FastifyError, request: FastifyRequest): TartanError {
  if (thrown instanceof TartanError) return thrown;
  if (thrown instanceof PlaidError) return fromPlaid(thrown);
  return fromFastify(thrown) ?? internal(thrown, request.id);
}

/** Plaid's codes and its request's id, by which Plaid's support finds it; never its message, which may repeat input. */
function fromPlaid(error: PlaidError): TartanError {
  const { errorType, errorCode, requestId } = error;
  if (errorType === "NETWORK")
    return new TartanError("plaid_unreachable", "Plaid could not be reached; try again in a moment.", { cause: error });
  const message = `Plaid answered ${errorType}/${errorCode} (its request id: ${requestId ?? "unknown"}).`;
  return new TartanError("plaid_error", message, { cause: error });
}

function fromFastify(error: FastifyError): TartanError | null {
  switch (error.code) {
    case "FST_ERR_CTP_BODY_TOO_LARGE":
      return new TartanError("body_too_large", "The body is larger than 1 MiB; nothing here needs one that large.");
    case "FST_ERR_CTP_INVALID_MEDIA_TYPE":
      return new TartanError("unsupported_media_type", "Send the body as JSON, with `Content-Type: application/json`.");
    case "FST_ERR_CTP_INVALID_CONTENT_LENGTH":
      return new TartanError("invalid_request", "The body is not as long as Content-Length says.");
    case "FST_ERR_BAD_URL":
      return new TartanError("invalid_request", "The path is not valid percent-encoding.");
    case "FST_ERR_CTP_INVALID_JSON_BODY":
      // The parser's own message would repeat a piece of the body, which may be a secret.
      return new TartanError("invalid_request", "The body is not valid JSON; a linter such as `jq .` tells where.");
    default:
      // Fastify's texts name its own causes and repeat nothing of the request.
      return error.code?.startsWith("FST_") && Number(error.statusCode) < 500
        ? new TartanError("invalid_request", `The request is not usable: ${error.message}.`)
        : null;
  }
}

function internal(thrown: unknown, requestId: string): TartanError {
  const cause = thrown instanceof ResponseSerializationError ? misshapen(thrown) : thrown;
  const message = `Tartan failed. Its log has the details under request_id ${requestId}.`;
  return new TartanError("internal", message, { cause });
}

/** What is not even HTTP, or came too slowly: answered on the bare socket, and the connection is closed. */
export function answerGarbage(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === "ECONNRESET" || !socket.writable) {
    socket.destroy();
    return;
  }
  const [line, told] = GARBAGE[error.code ?? ""] ?? ["400 Bad Request", "This is not a valid HTTP request."];
  const body = JSON.stringify(errorBody(new TartanError("invalid_request", told)));
  const head = [`HTTP/1.1 ${line}`, "content-type: application/json", `content-length: ${Buffer.byteLength(body)}`];
  socket.end(`${head.join("\r\n")}\r\nconnection: close\r\n\r\n${body}`);
}

const GARBAGE: Record<string, [line: string, told: string]> = {
  HPE_HEADER_OVERFLOW: ["431 Request Header Fields Too Large", "The headers are too long."],
  ERR_HTTP_REQUEST_TIMEOUT: ["408 Request Timeout", "The request did not arrive in time."],
};

/** Which fields of an answer are not as declared: their names, never what is in them. */
function misshapen({ cause: { issues } }: ResponseSerializationError): Error {
  return new Error(`an answer is not as declared: ${issues.map(({ path }) => path.join(".")).join(", ")}`);
}
