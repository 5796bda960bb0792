/**
 * The connection to Postgres as the rest of Tartan sees it: statements on a pool, transactions that repeat themselves
 * after a deadlock, and one further connection that hears notifications.
 */
import { setTimeout as delay } from "node:timers/promises";
import { Pool, type ClientBase, type PoolClient } from "pg";
import { TartanError } from "../errors.ts";
import type { Logger } from "../logger.ts";
import { clientConfig } from "./connection.ts";
import { isConnectionFailure, isRepeatable, translateFailure } from "./failures.ts";
import { openListener, type Listener } from "./listener.ts";
import type { Database, Queryable, Result, Statement } from "./types.ts";

export interface DatabaseOptions {
  url: string;
  /** connections at most, besides the one that listens */
  poolSize: number;
  applicationName: string;
  logger: Logger;
}

const REPEATS = 3;
const OLDEST_SERVER = 140_000;

async function run<Row>(
  client: ClientBase,
  statement: string | Statement,
  values?: readonly unknown[],
): Promise<Result<Row>> {
  const config = typeof statement === "string" ? { text: statement } : { name: statement.name, text: statement.text };
  const result = await client.query(values ? { ...config, values: [...values] } : config);
  return { rows: result.rows as Row[], rowCount: result.rowCount ?? 0 };
}

class PooledDatabase implements Database {
  readonly #pool: Pool;
  readonly #listener: Listener;
  #closing: Promise<void> | undefined;

  constructor(pool: Pool, listener: Listener) {
    this.#pool = pool;
    this.#listener = listener;
  }

  async query<Row>(statement: string | Statement, values?: readonly unknown[]): Promise<Result<Row>> {
    return await this.#withClient((client) => run<Row>(client, statement, values));
  }

  async transaction<T>(work: (tx: Queryable) => Promise<T>): Promise<T> {
    for (let repeat = 0; ; repeat += 1) {
      try {
        return await this.#withClient((client) => this.#attempt(client, work));
      } catch (error) {
        if (!isRepeatable(error) || repeat === REPEATS) throw error;
        // Spread out, so that the two that met do not meet again at once.
        await delay(Math.random() * 20 * 2 ** repeat);
      }
    }
  }

  async #attempt<T>(client: PoolClient, work: (tx: Queryable) => Promise<T>): Promise<T> {
    let open = true;
    const tx: Queryable = {
      query: async <Row>(statement: string | Statement, values?: readonly unknown[]) => {
        if (!open) throw new TartanError("internal", "a statement was sent after its transaction had ended");
        return await run<Row>(client, statement, values);
      },
    };
    await client.query("begin");
    try {
      const result = await work(tx);
      open = false;
      const { command } = await client.query("commit");
      // Postgres answers the COMMIT of a transaction in which a statement failed with a silent ROLLBACK.
      if (command !== "COMMIT")
        throw new TartanError("internal", "a statement failed unnoticed; nothing was committed");
      return result;
    } catch (error) {
      open = false;
      // When even this fails the connection is gone, and Postgres rolls back by itself.
      await client.query("rollback").catch(() => client.emit("error", new Error("rollback failed")));
      throw error;
    }
  }

  /** A connection that failed is thrown away; one whose statement was merely refused goes back to the pool. */
  async #withClient<T>(work: (client: PoolClient) => Promise<T>): Promise<T> {
    let client: PoolClient;
    try {
      client = await this.#pool.connect();
    } catch (error) {
      throw translateFailure(error);
    }
    let broken = false;
    const onError = () => {
      broken = true;
    };
    client.on("error", onError);
    try {
      return await work(client);
    } catch (error) {
      broken ||= isConnectionFailure(error);
      throw translateFailure(error);
    } finally {
      client.off("error", onError);
      client.release(broken);
    }
  }

  async listen(channel: string, hear: (payload: string) => void): Promise<AsyncDisposable> {
    return await this.#listener.listen(channel, hear);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing ??= Promise.all([this.#pool.end(), this.#listener[Symbol.asyncDispose]()]).then(() => undefined);
    await this.#closing;
  }
}

const urls = new WeakMap<Database, string>();

/** The URL that `database` was opened with, for the few who need a connection of their own. It holds a password. */
export function urlOf(database: Database): string {
  const url = urls.get(database);
  if (url === undefined) throw new TartanError("internal", "this Database was not made by openDatabase");
  return url;
}

/** Postgres is new enough and keeps UTF-8: what Plaid sends has names in every script. */
async function checkServer(database: Database): Promise<void> {
  const { rows } = await database.query<{ version: string; number: number; encoding: string }>(
    `select current_setting('server_version') as version, current_setting('server_version_num')::int as number,
            current_setting('server_encoding') as encoding`,
  );
  const server = rows[0];
  if (!server) throw new TartanError("database_unavailable", "Postgres did not say which version it is");
  const refuse = (fault: string): TartanError =>
    new TartanError("config_invalid", `The database is not usable: ${fault}`, {
      fields: { TARTAN_DATABASE_URL: fault },
    });
  if (server.number < OLDEST_SERVER) throw refuse(`it is Postgres ${server.version}; Tartan needs 14 or newer`);
  if (server.encoding !== "UTF8") {
    throw refuse(
      `its encoding is ${server.encoding}; create it with: create database … encoding 'UTF8' template template0`,
    );
  }
}

/**
 * Opens the pool and proves that the server answers. Results: int8 is a number where that is exact (else its digits),
 * numeric a string, timestamptz a Date, date a string 'YYYY-MM-DD', jsonb parsed. Callers pass jsonb as JSON text.
 * @throws TartanError `database_unavailable` when Postgres is away, from here and from every later call;
 *   `config_invalid` when the server is too old or not UTF-8
 */
export async function openDatabase({ url, poolSize, applicationName, logger }: DatabaseOptions): Promise<Database> {
  const config = clientConfig({ url, applicationName });
  const pool = new Pool({ ...config, max: poolSize, idleTimeoutMillis: 30_000 });
  // Without a handler the death of an idle connection would end the process; the pool has dropped it already.
  pool.on("error", (error) => logger.warn({ err: error }, "an idle connection to Postgres ended"));
  const database = new PooledDatabase(pool, openListener({ config, logger }));
  urls.set(database, url);
  try {
    await checkServer(database);
    return database;
  } catch (error) {
    await database[Symbol.asyncDispose]();
    throw error;
  }
}
