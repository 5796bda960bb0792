/**
 * What all answers outside the intake share: the security headers, the one schema of an error
 * (`{"error":{"code","message","fields"?}}`), and the translation of any exception into it. An error text says what is
 * wrong and how to fix it. It never repeats a value of the request, since a value may be a secret.
 */
import type { Socket } from "node:net";
import type { FastifyError, FastifyReply, FastifyRequest } from "fastify";
import { ResponseSerializationError } from "fastify-type-provider-zod";
import { describeError, errorBody, TartanError } from "../../errors.ts";
import type { Logger } from "../../logger.ts";
import { PlaidError } from "../../plaid/errors.ts";

/** On all answers except the reference page, which needs its own style and script. */
const SECURITY_HEADERS = {
  "cache-control": "no-store",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
};

/** Of a 503 without a Retry-After of its own. */
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
  // Serialized here: a route's response schemas describe success, and must not cut an error.
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
      const fields = {
        method,
        route: request.routeOptions.url,
        request_id,
        error: describeError(error.cause ?? error),
      };
      logger[error.code === "internal" ? "error" : "warn"](fields, "request failed");
    }
    return sendError(reply, error);
  };
}

/** Translates any exception of a handler into an error with a code of src/errors.ts. */
function toTartanError(thrown: FastifyError, request: FastifyRequest): TartanError {
  if (thrown instanceof TartanError) return thrown;
  if (thrown instanceof PlaidError) return fromPlaid(thrown);
  return fromFastify(thrown) ?? internal(thrown, request.id);
}

/** Plaid's codes and the id of the request, by which Plaid's support finds it; never its message, which may repeat input. */
export function fromPlaid(error: PlaidError): TartanError {
  const { errorType, errorCode, requestId } = error;
  if (errorType === "NETWORK")
    return new TartanError("plaid_unreachable", "Plaid could not be reached; try again in a moment.", { cause: error });
  const message = `Plaid answered ${errorType}/${errorCode} (its request id: ${requestId ?? "unknown"}).`;
  return new TartanError("plaid_error", message, { cause: error });
}

function fromFastify(error: FastifyError): TartanError | null {
  switch (error.code) {
    case "FST_ERR_CTP_BODY_TOO_LARGE":
      return new TartanError("body_too_large", "The body is larger than 1 MiB; no request needs that.");
    case "FST_ERR_CTP_INVALID_MEDIA_TYPE":
      return new TartanError("unsupported_media_type", "Send the body as JSON, with `Content-Type: application/json`.");
    case "FST_ERR_CTP_INVALID_CONTENT_LENGTH":
      return new TartanError("invalid_request", "The body is not as long as Content-Length says.");
    case "FST_ERR_BAD_URL":
      return new TartanError("invalid_request", "The path is not valid percent-encoding.");
    case "FST_ERR_CTP_INVALID_JSON_BODY":
      // The parser's own message would repeat a piece of the body, which may be a secret.
      return new TartanError("invalid_request", "The body is not valid JSON; a linter such as `jq .` shows where.");
    default:
      // Fastify's texts name Fastify's causes and repeat no part of the request.
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

/** Answers bytes that are not HTTP, or that came too slowly, on the socket itself, and closes the connection. */
export function answerGarbage(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === "ECONNRESET" || !socket.writable) {
    socket.destroy();
    return;
  }
  const [line, message] = GARBAGE[error.code ?? ""] ?? ["400 Bad Request", "This is not a valid HTTP request."];
  const body = JSON.stringify(errorBody(new TartanError("invalid_request", message)));
  const head = [`HTTP/1.1 ${line}`, "content-type: application/json", `content-length: ${Buffer.byteLength(body)}`];
  socket.end(`${head.join("\r\n")}\r\nconnection: close\r\n\r\n${body}`);
}

const GARBAGE: Record<string, [line: string, message: string]> = {
  HPE_HEADER_OVERFLOW: ["431 Request Header Fields Too Large", "The headers are too long."],
  ERR_HTTP_REQUEST_TIMEOUT: ["408 Request Timeout", "The request did not arrive in time."],
};

/** The names of the fields that differ from an answer's schema, never their values. */
function misshapen({ cause: { issues } }: ResponseSerializationError): Error {
  return new Error(`an answer is not as declared: ${issues.map(({ path }) => path.join(".")).join(", ")}`);
}
