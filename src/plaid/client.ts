/**
 * Calls Plaid's API. It returns answers as the text that came, so that money never passes through a float on its
 * way to Postgres. Every failure is a PlaidError with its retry class.
 */
import type { Readable } from "node:stream";
import { Agent, request, type Dispatcher } from "undici";
import type { Clock } from "../clock.ts";
import { metrics } from "../metrics.ts";
import { PlaidError, UNREADABLE_ANSWER, type PlaidErrorDetails } from "./errors.ts";
import { storableJson } from "./json.ts";
import { ExchangeFailed, exchangeText, type TextAnswer } from "./text-exchange.ts";

const PLAID_VERSION = "2020-09-14";
const MAX_ANSWER_BYTES = 64 * 1024 * 1024;

/**
 * One pool of keep-alive connections for each origin, shared by all clients: there are many integrations and only two Plaid hosts.
 * Idle connections do not keep the process alive.
 */
const agent = new Agent({ connections: 128, maxResponseSize: MAX_ANSWER_BYTES });

export interface PlaidClientOptions {
  /** such as https://sandbox.plaid.com */
  baseUrl: string;
  clientId: string;
  secret: string;
  /** of one request, from its start to the last byte of the answer */
  timeoutMs: number;
  clock: Clock;
}

export interface PlaidAnswer {
  /** the JSON as it came, except what jsonb cannot hold (json.ts) */
  text: string;
  requestId: string;
}

export interface PlaidFile {
  contentType: string;
  /** null where Plaid does not say */
  length: number | null;
  bytes: Readable;
}

export interface PlaidClient {
  /**
   * POSTs `body` to an endpoint such as `/item/get`, with the client's credentials in headers.
   * @throws PlaidError for every failure, including network errors and timeouts; the reason of `signal` when it aborts
   */
  post(path: string, body: object, signal?: AbortSignal): Promise<PlaidAnswer>;
  /** `post`, parsed. Only for answers without money. */
  postJson<T>(path: string, body: object, signal?: AbortSignal): Promise<T>;
  /**
   * POSTs `body` to an endpoint that answers with a PDF. The file is passed on as it comes, and never held as a whole; reading it fails
   * when it is not complete within the client's timeout, or larger than 64 MiB.
   * @throws PlaidError as `post` does, until the file begins
   */
  file(path: string, body: object, signal?: AbortSignal): Promise<PlaidFile>;
}

/** Creates a client for one Plaid client id. It need not be closed. */
export function createPlaidClient(options: PlaidClientOptions): PlaidClient {
  const { clock } = options;
  const target = targetOf(options);
  const measured = async <T>(path: string, exchanging: Promise<T>): Promise<T> => {
    const start = clock.now();
    let outcome = "aborted";
    try {
      const answer = await exchanging;
      outcome = "ok";
      return answer;
    } catch (error) {
      if (error instanceof PlaidError) outcome = error.rateLimited ? "rate_limited" : error.retryClass;
      throw error;
    } finally {
      metrics.plaidSeconds.observe({ endpoint: path, outcome }, (clock.now() - start) / 1000);
    }
  };
  const post: PlaidClient["post"] = (path, body, signal) => measured(path, askText(target, path, body, signal));
  return {
    post,
    postJson: async <T>(...args: Parameters<typeof post>) => JSON.parse((await post(...args)).text) as T,
    file: (path, body, signal) => measured(path, askFile(options, path, body, signal)),
  };
}

/** What the requests of a client have in common. */
interface Target {
  /** null: the base URL is none */
  url: URL | null;
  headers: Readonly<Record<string, string>>;
  timeoutMs: number;
}

const targetOf = ({ baseUrl, clientId, secret, timeoutMs }: PlaidClientOptions): Target => ({
  url: URL.canParse(baseUrl) ? new URL(baseUrl) : null,
  headers: {
    "content-type": "application/json",
    "plaid-client-id": clientId,
    "plaid-secret": secret,
    "plaid-version": PLAID_VERSION,
  },
  timeoutMs,
});

async function askText(
  { url, headers, timeoutMs }: Target,
  path: string,
  body: object,
  signal: AbortSignal | undefined,
): Promise<PlaidAnswer> {
  const { origin = "", pathname = "" } = url ?? {};
  const request = { origin, path: pathname.replace(/\/$/, "") + path, headers, timeoutMs, signal };
  const answer = await exchangeText(agent, { ...request, body: JSON.stringify(body) }).catch((error: unknown) => {
    if (!(error instanceof ExchangeFailed)) throw error;
    throw unreached(error.timedOut, error.statusCode, error.cause);
  });
  const { statusCode, text } = answer;
  if (statusCode < 200 || statusCode > 299) throw refusal(path, body, answer);
  if (!text.trimStart().startsWith("{")) throw unreadable(statusCode);
  return { text: storableJson(text), requestId: requestIdIn(text) };
}

const unreached = (timedOut: boolean, httpStatus: number | null, cause: unknown): PlaidError =>
  new PlaidError({ errorType: "NETWORK", errorCode: timedOut ? "TIMEOUT" : "UNREACHABLE", httpStatus, cause });

/** The beginning of a file; its bytes are still to come. */
async function readFile({ statusCode, headers, body }: Dispatcher.ResponseData): Promise<PlaidFile> {
  const [contentType = ""] = [headers["content-type"]].flat();
  const [length = ""] = [headers["content-length"]].flat();
  if (/^application\/pdf\b/.test(contentType))
    return { contentType: "application/pdf", length: /^\d{1,12}$/.test(length) ? Number(length) : null, bytes: body };
  await body.dump();
  throw unreadable(statusCode);
}

async function askFile(
  options: PlaidClientOptions,
  path: string,
  body: object,
  signal: AbortSignal | undefined,
): Promise<PlaidFile> {
  const timeout = AbortSignal.timeout(options.timeoutMs);
  let status: number | null = null;
  try {
    const response = await request(options.baseUrl + path, {
      method: "POST",
      dispatcher: agent,
      headers: targetOf(options).headers,
      body: JSON.stringify(body),
      signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
    });
    const { statusCode, headers } = response;
    status = statusCode;
    if (status < 200 || status > 299)
      throw refusal(path, body, { statusCode, headers, text: await response.body.text() });
    return await readFile(response);
  } catch (error) {
    if (error instanceof PlaidError) throw error;
    signal?.throwIfAborted();
    throw unreached(timeout.aborted, status, error);
  }
}

/** The error for an answer that is not Plaid's JSON, such as a proxy's page: only its status is known. */
function unreadable(httpStatus: number, retryAfterSeconds?: number): PlaidError {
  const temporary = httpStatus < 400 || httpStatus === 408 || httpStatus === 429 || httpStatus >= 500;
  return new PlaidError({
    errorType: httpStatus === 429 ? "RATE_LIMIT_EXCEEDED" : "NETWORK",
    errorCode: httpStatus >= 200 && httpStatus <= 299 ? UNREADABLE_ANSWER : `HTTP_${httpStatus}`,
    httpStatus,
    retryClass: temporary ? "backoff" : "configuration",
    ...(retryAfterSeconds !== undefined && { retryAfterSeconds }),
  });
}

/** A longer Retry-After is ignored. */
const RETRY_AFTER_MAX_SECONDS = 3600;

/** The seconds of a Retry-After header, which holds either seconds or a date (RFC 9110, 10.2.3). */
function retryAfterOf({ headers }: TextAnswer): number | undefined {
  const [header] = [headers["retry-after"]].flat();
  if (header === undefined) return undefined;
  const seconds = /^\d+$/.test(header.trim()) ? Number(header) : (Date.parse(header) - Date.now()) / 1000;
  return seconds > 0 ? Math.min(seconds, RETRY_AFTER_MAX_SECONDS) : undefined;
}

/** The PlaidError in an answer that is not 2xx. */
function refusal(path: string, sent: object, response: TextAnswer): PlaidError {
  const error = parseObject(response.text);
  const retryAfter = retryAfterOf(response);
  if (typeof error?.["error_type"] !== "string" || typeof error["error_code"] !== "string")
    return unreadable(response.statusCode, retryAfter);
  const details: PlaidErrorDetails = {
    errorType: error["error_type"],
    errorCode: error["error_code"],
    errorCodeReason: textOrNull(error["error_code_reason"]),
    displayMessage: textOrNull(error["display_message"]),
    requestId: textOrNull(error["request_id"]),
    httpStatus: response.statusCode,
  };
  if (retryAfter !== undefined) details.retryAfterSeconds = retryAfter;
  // Plaid reports a cursor that it no longer accepts as INVALID_FIELD; the request had a cursor, which distinguishes it.
  const { cursor } = sent as { cursor?: unknown };
  if (path === "/transactions/sync" && details.errorCode === "INVALID_FIELD" && typeof cursor === "string" && cursor)
    details.retryClass = "cursor_invalid";
  return new PlaidError(details);
}

const textOrNull = (value: unknown): string | null => (typeof value === "string" ? value : null);

function parseObject(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}

/** Finds the value without parsing megabytes. An escaped quote cannot match, so text inside a string cannot match either. */
function requestIdIn(text: string): string {
  const at = text.lastIndexOf('"request_id"');
  return at < 0 ? "" : (/^"request_id"\s*:\s*"([^"]{1,200})"/.exec(text.slice(at, at + 260))?.[1] ?? "");
}
