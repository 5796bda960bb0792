/**
 * Tells "Postgres is not there" from "Postgres refuses this statement". The first becomes TartanError
 * `database_unavailable`, which callers answer with 503 or wait out; the second stays pg's own error with its SQLSTATE.
 */
import { TartanError } from "../errors.ts";

const SYSTEM_CODES = new Set([
  "ECONNREFUSED",
  "ECONNRESET",
  "ECONNABORTED",
  "EPIPE",
  "ENOENT",
  "ETIMEDOUT",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
]);

/**
 * SQLSTATEs outside class 08 (connection exception) and 28 (login refused) after which the connection is of no use:
 * shutdown by the administrator, crash, starting up, too many connections, no such database, idle in transaction for
 * too long.
 */
const SQL_STATES = new Set(["57P01", "57P02", "57P03", "57P05", "53300", "3D000", "25P03"]);

/** pg and pg-pool throw these without a code, so their text is all there is to go by. */
const DRIVER_TEXTS = [
  "Connection terminated",
  "timeout exceeded when trying to connect",
  "timeout expired",
  "Client has encountered a connection error",
  "Client was closed and is not queryable",
  "Cannot use a pool after calling end",
  "The server does not support SSL connections",
];

export function codeOf(error: unknown): string | undefined {
  const code = error instanceof Error ? (error as { code?: unknown }).code : undefined;
  return typeof code === "string" ? code : undefined;
}

/** Whether `error` says that the connection, not the statement, is at fault. */
export function isConnectionFailure(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const code = codeOf(error);
  if (code !== undefined) {
    // 08P01 is a protocol violation, such as a wrong number of parameters: a fault in a statement of ours.
    if (code === "08P01") return false;
    return SYSTEM_CODES.has(code) || SQL_STATES.has(code) || /^(08|28)...$/.test(code);
  }
  return DRIVER_TEXTS.some((text) => error.message.startsWith(text));
}

/** Serialization failure or deadlock: the transaction was rolled back and may simply be repeated. */
export function isRepeatable(error: unknown): boolean {
  const code = codeOf(error);
  return code === "40001" || code === "40P01";
}

function explain(error: unknown): string {
  const code = codeOf(error);
  if (code?.startsWith("28")) return "it refuses the login; check user and password of TARTAN_DATABASE_URL";
  if (code === "3D000") return "the database named by TARTAN_DATABASE_URL does not exist; create it first";
  if (code === "53300") return "it has no connection left; raise max_connections or lower TARTAN_DATABASE_POOL_SIZE";
  if (code === "ENOTFOUND" || code === "EAI_AGAIN")
    return "its host name cannot be resolved; check TARTAN_DATABASE_URL";
  return `${code ?? "the connection ended"}; is it running, and is TARTAN_DATABASE_URL right?`;
}

/** `database_unavailable` in place of a connection failure, its cause kept; any other error as it is. */
export function translateFailure(error: unknown): unknown {
  if (error instanceof TartanError || !isConnectionFailure(error)) return error;
  return new TartanError("database_unavailable", `Postgres cannot be reached: ${explain(error)}`, {
    retryAfterSeconds: 5,
    cause: error,
  });
}
