/**
 * One long-lived connection, for work that is tied to a session: other processes see the session in pg_stat_activity, and
 * see it end as soon as its process ends.
 */
import { Client, DatabaseError } from "pg";
import { TartanError } from "../../errors.ts";
import { clientConfig } from "./client-config.ts";
import { endClient } from "./exchange.ts";
import { translateFailure } from "../failures.ts";
import { LIMITS, settingsOf } from "./limits.ts";
import { isDirect, urlOf } from "../pool.ts";
import type { Database, Queryable, Result, Statement } from "../types.ts";

const SILENCE_MS = 5000;

/** Connects at the first statement, and again after the connection was lost. */
export interface Session extends Queryable, AsyncDisposable {}

/** A session beside the pool of `database`, under an application name of its own. */
export function openSession(database: Database, applicationName: string): Session {
  let connected: Promise<Client> | undefined;
  let closed = false;
  const direct = isDirect(database);
  const connect = (): Promise<Client> => {
    // A missing answer shows that the connection was cut silently.
    const client = new Client({
      ...clientConfig({ url: urlOf(database), applicationName }),
      query_timeout: SILENCE_MS,
    });
    // The end of an earlier connection may be reported when there is already a new one.
    const forget = () => {
      if (connected === connecting) connected = undefined;
    };
    client.on("error", forget);
    client.on("end", forget);
    const connecting = prepare(client, direct);
    connecting.catch(forget);
    return connecting;
  };
  return {
    async query<Row>(statement: string | Statement, values: readonly unknown[] = []): Promise<Result<Row>> {
      if (closed) throw new TartanError("internal", "this session was closed");
      const mine = (connected ??= connect());
      const client = await mine;
      // Without its name: behind a pooler the next statement may run in another session.
      const config = { text: typeof statement === "string" ? statement : statement.text };
      try {
        // Behind a pooler settings last no longer than a transaction.
        if (!direct) await client.query(`begin; ${settingsOf(LIMITS.urgent, true)}`);
        const result = await client.query({ ...config, values: [...values] });
        if (!direct) await client.query("commit");
        return { rows: result.rows as Row[], rowCount: result.rowCount ?? 0 };
      } catch (error) {
        if (!direct) await client.query("rollback").catch(() => undefined);
        // An error that does not come from Postgres is the connection's: the next statement gets a new connection.
        if (!(error instanceof DatabaseError)) {
          if (connected === mine) connected = undefined;
          void endClient(client);
          throw new TartanError("database_unavailable", "Postgres does not answer.", { cause: error });
        }
        throw translateFailure(error);
      }
    },
    [Symbol.asyncDispose]: async () => {
      closed = true;
      const client = await connected?.catch(() => undefined);
      if (client) await endClient(client);
    },
  };
}

async function prepare(client: Client, direct: boolean): Promise<Client> {
  try {
    await client.connect();
    if (direct) await client.query(settingsOf(LIMITS.urgent, false));
    return client;
  } catch (error) {
    void endClient(client);
    throw translateFailure(error);
  }
}
