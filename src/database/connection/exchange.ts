/**
 * One statement on one connection, with a limit. On a connection that was cut silently the answer never comes, and pg would
 * wait for it for ever; so the connection is dropped at its limit, or earlier when the server reports that it is not working
 * on the statement (watch.ts). The outcome of the statement is then unknown.
 */
import type { Socket } from "node:net";
import type { Client, ClientBase } from "pg";
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
  socket.cork();
  process.nextTick(() => socket.uncork());
}

/** After this process was busy, an answer may have arrived that it has not read yet. */
const READ_FIRST_MS = 100;

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
    const reason = dropped.get(client);
    if (reason === undefined || error instanceof TartanError) throw error;
    throw new TartanError("database_unavailable", `Postgres cannot be used just now: ${reason}.`, {
      retryAfterSeconds: 5,
      cause: error,
    });
  } finally {
    clearTimeout(timer);
  }
}

/** Ends the connection in order. A server that cannot be reached never answers; then the connection is dropped. */
export async function endClient(client: Client): Promise<void> {
  await within(client, CONNECT_MS, client.end()).catch(() => undefined);
}

/** @param named whether the statement may be prepared under its name, which lasts as long as the session */
export async function send<Row>(
  client: ClientBase,
  statement: string | Statement,
  values: readonly unknown[] | undefined,
  named: boolean,
): Promise<Result<Row>> {
  const { name, text } = typeof statement === "string" ? { name: undefined, text: statement } : statement;
  const config = named && name !== undefined ? { name, text } : { text };
  const result = await client.query(values ? { ...config, values: [...values] } : config);
  return { rows: result.rows as Row[], rowCount: result.rowCount ?? 0 };
}
