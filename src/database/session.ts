/**
 * One connection that is kept for as long as it lives, for what is tied to a session: other processes see in
 * pg_stat_activity that it is there, and that it is gone as soon as its process is.
 */
import { Client, DatabaseError } from "pg";
import { TartanError } from "../errors.ts";
import { clientConfig } from "./connection.ts";
import { endClient } from "./exchange.ts";
import { translateFailure } from "./failures.ts";
import { LIMITS, settingsOf } from "./limits.ts";
import { isDirect, urlOf } from "./pool.ts";
import type { Database, Queryable, Result, Statement } from "./types.ts";

const SILENCE_MS = 5000;

/** Connects when it is first asked, and anew when the connection was lost. */
export interface Session extends Queryable, AsyncDisposable {}

/** A session beside the pool of `database`, under an application name of its own. */
export function openSession(database: Database, applicationName: string): Session {
  let connected: Promise<Client> | undefined;
  let closed = false;
  const direct = isDirect(database);
  const connect = (): Promise<Client> => {
    // A connection that died without a word is noticed by the answer that does not come.
    const client = new Client({
      ...clientConfig({ url: urlOf(database), applicationName }),
      query_timeout: SILENCE_MS,
    });
    // The end of an earlier connection may be noticed when there is a new one.
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
      // Not by its name: behind a pooler the next statement may meet another session.
      const config = { text: typeof statement === "string" ? statement : statement.text };
      try {
        // Behind a pooler settings last no longer than a transaction.
        if (!direct) await client.query(`begin; ${settingsOf(LIMITS.urgent, true)}`);
        const result = await client.query({ ...config, values: [...values] });
        if (!direct) await client.query("commit");
        return { rows: result.rows as Row[], rowCount: result.rowCount ?? 0 };
      } catch (error) {
        if (!direct) await client.query("rollback").catch(() => undefined);
        // What Postgres did not say itself is the connection's failure: the next statement gets another.
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
