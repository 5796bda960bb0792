/**
 * One statement on one connection, with a limit. On a connection that was cut silently the answer never comes, and pg would
 * wait for it for ever; so the connection is dropped at its limit, or earlier when the server reports that it is not working
 * on the statement (watch.ts). The outcome of the statement is then unknown.
 */
import type { Socket } from "node:net";
import { Query, type Client, type ClientBase } from "pg";
import { TartanError } from "../../errors.ts";
import { CONNECT_MS } from "./limits.ts";
import type { Result, Statement } from "../types.ts";

const dropped = new WeakMap<ClientBase, string>();

/** Pg's types hide the socket of a connection. */
export const socketOf = (client: ClientBase): Socket =>
  (client as unknown as { connection: { stream: Socket } }).connection.stream;

/** Ends the connection at once; its statement fails with `database_unavailable` and this reason. */
export function drop(client: ClientBase, reason: string): void {
  if (dropped.has(client)) return;
  dropped.set(client, reason);
  socketOf(client).destroy();
}

export const wasDropped = (client: ClientBase): boolean => dropped.has(client);

/** What is sent on the connection in this turn of the event loop leaves in one system call. */
export function flyTogether(client: ClientBase): void {
  const socket = socketOf(client);
  // Statements before it in this turn wait for the same uncork().
  if (socket.writableCorked > 0) return;
  socket.cork();
  process.nextTick(() => socket.uncork());
}

/** After this process was busy, an answer may have arrived that it has not read yet. */
export const READ_FIRST_MS = 100;

/**
 * Waits for `work` on `client` for `ms` at most.
 * @throws TartanError `database_unavailable` when the connection was dropped meanwhile
 */
export async function within<T>(client: ClientBase, ms: number, work: Promise<T>): Promise<T> {
  let timer = setTimeout(() => {
    timer = setTimeout(() => drop(client, `it did not answer within ${ms / 1000} s`), READ_FIRST_MS);
  }, ms);
  try {
    return await work;
  } catch (error) {
    throw explained(client, error);
  } finally {
    clearTimeout(timer);
  }
}

/** The error of a statement: `database_unavailable` with the reason where its connection was dropped. */
export function explained(client: ClientBase, error: unknown): unknown {
  const reason = dropped.get(client);
  if (reason === undefined || error instanceof TartanError) return error;
  return new TartanError("database_unavailable", `Postgres cannot be used just now: ${reason}.`, {
    retryAfterSeconds: 5,
    cause: error,
  });
}

/** Ends the connection in order. A server that cannot be reached never answers; then the connection is dropped. */
export async function endClient(client: Client): Promise<void> {
  await within(client, CONNECT_MS, client.end()).catch(() => undefined);
}

interface PgResult {
  rows: unknown[];
  rowCount: number | null;
  command: string;
}

/** What pg reads of a query besides its text. Its types name none of it; its documentation names all. */
interface PgQuery {
  name?: string;
  values?: unknown[];
  callback: (error: Error | null | undefined, result: PgResult) => void;
}

/**
 * Sends a statement. Given an object, pg would copy its property descriptors, and make two promises for an answer: that was a twentieth of
 * a run's processor time.
 * @param named whether the statement may be prepared under its name, which lasts as long as the session
 */
export async function send<Row>(
  client: ClientBase,
  statement: string | Statement,
  values: readonly unknown[] | undefined,
  named: boolean,
): Promise<Result<Row>> {
  const isText = typeof statement === "string";
  const query = new Query(isText ? statement : statement.text) as Query & PgQuery;
  if (named && !isText) query.name = statement.name;
  if (values) query.values = [...values];
  const { rows, rowCount } = await answerTo(client, query);
  return { rows: rows as Row[], rowCount: rowCount ?? 0 };
}

/** Sends the COMMIT. @returns whether Postgres committed; it answers that of a transaction in which a statement failed with a ROLLBACK */
export async function commit(client: ClientBase): Promise<boolean> {
  const { command } = await answerTo(client, new Query("commit") as Query & PgQuery);
  return command === "COMMIT";
}

async function answerTo(client: ClientBase, query: Query & PgQuery): Promise<PgResult> {
  try {
    return await new Promise<PgResult>((resolve, reject) => {
      query.callback = (error, result) => (error ? reject(error) : resolve(result));
      client.query(query);
    });
  } catch (error) {
    // The stack of pg's error ends at its socket; this one names the caller.
    if (error instanceof Error) Error.captureStackTrace(error);
    throw error;
  }
}
