/**
 * Separates "Postgres cannot be used now" from "Postgres rejects this statement". The first becomes TartanError
 * `database_unavailable` or `overloaded`, which callers answer with 503 or wait out; the second stays pg's own error with
 * its SQLSTATE.
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
 * too long, transaction too long; and read only: after a failover the connection is to a standby, and a new one may not be.
 */
const SQL_STATES = new Set(["57P01", "57P02", "57P03", "57P05", "53300", "3D000", "25P03", "25P04", "25006"]);

/** Disk full, out of memory, a limit of the configuration, an I/O error: it may pass, and the connection stays usable. */
const SHORT_OF = /^(531..|532..|534..|58...)$/;

/** A statement or a wait for a lock that took longer than its limit. */
const TOO_LONG = new Set(["57014", "55P03"]);

/** pg and pg-pool throw these without a code, so only their text identifies them. */
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

const SQL_STATE = /^[0-9A-Z]{5}$/;

/** The SQLSTATE that Postgres gave, also where the error was translated; undefined when it gave none. */
export function sqlStateOf(error: unknown): string | undefined {
  const code = codeOf(error);
  // EPIPE is the one system code that looks like a SQLSTATE.
  if (code !== undefined && SQL_STATE.test(code) && code !== "EPIPE") return code;
  return error instanceof TartanError && error.cause !== undefined ? sqlStateOf(error.cause) : undefined;
}

/** True when no server answered, or not in time. A server that is full or starting answers. */
export function isUnreachable(error: unknown): boolean {
  if (error instanceof TartanError) return error.code === "database_unavailable" && sqlStateOf(error) === undefined;
  return isConnectionFailure(error) && sqlStateOf(error) === undefined;
}

/** True when Postgres may succeed a moment later: it is away, or a time limit was reached. The statement is not at fault. */
export const isPassing = (error: unknown): boolean =>
  error instanceof TartanError && (error.code === "database_unavailable" || error.code === "overloaded");

/** True when the connection, and not the statement, is at fault. */
export function isConnectionFailure(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const code = codeOf(error);
  if (code !== undefined) {
    // 08P01 is a protocol violation, such as a wrong number of parameters: a mistake in one of Tartan's statements.
    if (code === "08P01") return false;
    // The database allows no connections: no statement was asked. Postgres gives this SQLSTATE to refused statements too.
    if (code === "55000") return (error as { routine?: unknown }).routine === "CheckMyDatabase";
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
  if (code === "55000") return "the database accepts no connections; somebody has set allow_connections to false";
  if (code === "53300") return "it has no connection left; raise max_connections or lower TARTAN_DATABASE_POOL_SIZE";
  if (code === "57P03") return "it is starting, stopping or recovering";
  if (code === "25006") return "it is read-only, as a standby is; TARTAN_DATABASE_URL must point to the primary";
  if (code === "ENOTFOUND" || code === "EAI_AGAIN")
    return "its host name cannot be resolved; check TARTAN_DATABASE_URL";
  if (code === undefined && error instanceof Error && error.message.startsWith("timeout exceeded"))
    return "all connections of the pool are in use; raise TARTAN_DATABASE_POOL_SIZE";
  return `${code ?? "the connection ended"}; is it running, and is TARTAN_DATABASE_URL right?`;
}

function shortOf(code: string): string {
  if (code === "53100") return "its disk is full; make room";
  if (code.startsWith("532")) return "it is out of memory";
  return "it reports a problem of its machine; its log says more";
}

/**
 * `database_unavailable` in place of a connection failure or a shortage, `overloaded` in place of a limit that was reached,
 * the cause kept; any other error as it is.
 */
export function translateFailure(error: unknown): unknown {
  if (error instanceof TartanError) return error;
  const details = { retryAfterSeconds: 5, cause: error };
  if (isConnectionFailure(error))
    return new TartanError("database_unavailable", `Postgres cannot be reached: ${explain(error)}`, details);
  const code = sqlStateOf(error) ?? "";
  if (SHORT_OF.test(code))
    return new TartanError("database_unavailable", `Postgres cannot be used just now: ${shortOf(code)}.`, details);
  if (TOO_LONG.has(code)) {
    const what = code === "55P03" ? "waited too long for a lock that others hold" : "took longer than it may";
    return new TartanError("overloaded", `A statement ${what}; try again later.`, details);
  }
  return error;
}
