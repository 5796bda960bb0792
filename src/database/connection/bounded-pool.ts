/**
 * Runs statements and transactions of one kind of work on a pool of connections. Everything has an end: the wait for a
 * connection, each statement, each transaction (limits.ts). The pool drops a connection that does not answer, and those that
 * were idle at that time, which are probably cut as well.
 *
 * Statements that a caller sends at once on one connection travel together, and Postgres answers them one after the other: of a
 * run's processor time half went into the system calls of sending each by itself.
 *
 * Behind a transaction-mode pooler it uses nothing that belongs to a session: each statement runs in a transaction that
 * begins with its settings, no statement is prepared under a name, and each is sent when the one before has its answer.
 */
import { Client, Pool, type ClientBase, type ClientConfig, type PoolClient } from "pg";
import { TartanError } from "../../errors.ts";
import type { FailureLog } from "../../failure-log.ts";
import type { Logger } from "../../logger.ts";
import { commit, drop, explained, flyTogether, send, wasDropped, within } from "./exchange.ts";
import { isConnectionFailure, translateFailure } from "../failures.ts";
import { CONNECT_MS, GRACE_MS, LIMITS, POOL_WAIT_MS, settingsOf, type Work } from "./limits.ts";
import type { Queryable, Result, Statement } from "../types.ts";
import { Watch } from "./watch.ts";

const BEGIN = "begin isolation level read committed";

/** The pool's own limit covers the wait for a free connection; this one covers the making of a new connection. */
class ImpatientClient extends Client {
  constructor(config?: string | ClientConfig) {
    super(typeof config === "string" ? config : { ...config, connectionTimeoutMillis: CONNECT_MS });
  }
}

/** The pools do not trust connections that have been idle since before this time. */
export interface Suspicion {
  before: number;
}

export interface BoundedPoolOptions {
  config: ClientConfig;
  /** bypasses a pooler; the same as `config` where there is none */
  beside: ClientConfig;
  size: number;
  work: Work;
  pooled: boolean;
  suspicion: Suspicion;
  /** of all pools of the database: says when Postgres cannot be reached, and when it can again */
  outage: FailureLog;
  logger: Logger;
}

export class BoundedPool implements Queryable, AsyncDisposable {
  readonly #pool: Pool;
  readonly #work: Work;
  readonly #pooled: boolean;
  readonly #watch: Watch;
  readonly #clients = new Set<ClientBase>();
  readonly #pids = new WeakMap<ClientBase, number>();
  /** when each idle connection last answered */
  readonly #answered = new WeakMap<ClientBase, number>();
  readonly #suspicion: Suspicion;
  readonly #outage: FailureLog;

  constructor({ config, beside, size, work, pooled, suspicion, outage, logger }: BoundedPoolOptions) {
    this.#work = work;
    this.#pooled = pooled;
    this.#suspicion = suspicion;
    this.#outage = outage;
    this.#pool = new Pool({
      ...config,
      Client: ImpatientClient as unknown as new () => ClientBase,
      pipeline: !pooled,
      max: size,
      idleTimeoutMillis: 30_000,
      connectionTimeoutMillis: work === "urgent" ? CONNECT_MS : POOL_WAIT_MS,
      onConnect: async (client) => await this.#prepare(client),
    });
    // Without a handler the death of an idle connection would end the process; the pool has dropped it already.
    // While the pool closes, an embedded Postgres may stop before its connections have gone.
    this.#pool.on("error", (error) => {
      if (!this.#pool.ending) logger.warn({ err: error }, "an idle connection to Postgres ended");
    });
    this.#pool.on("remove", (client) => this.#clients.delete(client));
    this.#watch = new Watch(beside === config ? [config] : [beside, config], () => this.#suspect());
  }

  /** Sets the settings of the session, unless a pooler shares it between clients. */
  async #prepare(client: ClientBase): Promise<void> {
    if (!this.#pooled) {
      const set = client.query<{ pid: number }>(settingsOf(LIMITS[this.#work], false));
      const { rows } = await within(client, CONNECT_MS, set);
      this.#pids.set(client, rows[0]?.pid ?? 0);
    }
    this.#clients.add(client);
    this.#outage.worked("Postgres is reached again");
  }

  /** Connections that are idle now are dropped when a statement would use them. */
  #suspect(): void {
    this.#suspicion.before = performance.now();
  }

  async query<Row>(statement: string | Statement, values?: readonly unknown[]): Promise<Result<Row>> {
    if (this.#pooled) return await this.transaction(this.#work, (tx) => tx.query<Row>(statement, values));
    return await this.#withClient((client) => this.#send<Row>(client, this.#work, statement, values));
  }

  async transaction<T>(work: Work, run: (tx: Queryable) => Promise<T>): Promise<T> {
    return await this.#withClient((client) => this.#attempt(client, work, run));
  }

  /** Runs `work` on one connection, each statement by itself; behind a pooler in one transaction. */
  async onOneConnection<T>(work: (q: Queryable) => Promise<T>): Promise<T> {
    if (this.#pooled) return await this.transaction(this.#work, work);
    return await this.#withClient(async (client) => {
      const sent: Promise<unknown>[] = [];
      const query = <Row>(statement: string | Statement, values?: readonly unknown[]): Promise<Result<Row>> => {
        const answer = this.#send<Row>(client, this.#work, statement, values);
        sent.push(answer);
        return answer;
      };
      try {
        return await work({ query });
      } finally {
        await Promise.allSettled(sent);
      }
    });
  }

  async #send<Row>(
    client: ClientBase,
    work: Work,
    statement: string | Statement,
    values?: readonly unknown[],
  ): Promise<Result<Row>> {
    return await this.#watched(client, LIMITS[work].statementMs, () => {
      flyTogether(client);
      return send<Row>(client, statement, values, !this.#pooled);
    });
  }

  /** Drops the connection when the answer to what `sending` sends takes longer than `ms` and the grace. */
  async #watched<T>(client: ClientBase, ms: number, sending: () => Promise<T>): Promise<T> {
    this.#watch.begin(client, this.#pids.get(client) ?? 0, ms + GRACE_MS);
    try {
      return await sending();
    } catch (error) {
      throw explained(client, error);
    } finally {
      this.#watch.end(client);
    }
  }

  async #begin(client: ClientBase, work: Work): Promise<void> {
    if (this.#pooled) {
      // The pooler may keep it waiting for a connection to the server.
      const begun = client.query(`${BEGIN}; ${settingsOf(LIMITS[work], true)}`) as Promise<unknown>;
      const [, settings] = (await within(client, POOL_WAIT_MS, begun)) as { rows: { pid: number }[] }[];
      this.#pids.set(client, settings?.rows[0]?.pid ?? 0);
      return;
    }
    const { statementMs, lockMs } = LIMITS[work];
    const limits = `set local statement_timeout = ${statementMs}; set local lock_timeout = ${lockMs}`;
    await this.#send(client, "urgent", work === this.#work ? BEGIN : `${BEGIN}; ${limits}`);
  }

  async #attempt<T>(client: PoolClient, work: Work, run: (tx: Queryable) => Promise<T>): Promise<T> {
    let open = true;
    let failure: unknown;
    let begun: Promise<void> | null = null;
    let last: Promise<unknown> = Promise.resolve();
    const tx: Queryable = {
      query: async <Row>(statement: string | Statement, values?: readonly unknown[]) => {
        if (!open) throw new TartanError("internal", "a statement was sent after its transaction had ended");
        if (this.#pooled) {
          const sent = last.then(() => this.#send<Row>(client, work, statement, values));
          last = sent.catch(() => undefined);
          return await sent;
        }
        // Were BEGIN refused, what is sent behind it would commit by itself. So only what writes nothing travels with it.
        if (begun !== null && !(typeof statement === "object" && statement.writesNothing)) await begun;
        try {
          return await this.#send<Row>(client, work, statement, values);
        } catch (error) {
          // Postgres refuses all that was sent behind a statement that failed; the caller learns why the first did.
          failure ??= error;
          throw failure;
        }
      },
    };
    const { transactionMs } = LIMITS[work];
    const end = setTimeout(
      () => drop(client, `a transaction took longer than ${transactionMs / 1000} s`),
      transactionMs,
    );
    try {
      const beginning = this.#begin(client, work);
      if (this.#pooled) await beginning;
      else begun = beginning.finally(() => (begun = null));
      const [result] = await Promise.all([run(tx), beginning, begun]);
      open = false;
      await this.#commit(client, work);
      return result;
    } catch (error) {
      open = false;
      // When even this fails the connection is gone, and Postgres rolls back by itself.
      if (!wasDropped(client))
        await this.#send(client, "urgent", "rollback").catch(() => drop(client, "it did not roll back"));
      throw error;
    } finally {
      clearTimeout(end);
    }
  }

  /** When the connection is lost here, it is unknown whether Postgres committed; the error is that of a lost connection. */
  async #commit(client: ClientBase, work: Work): Promise<void> {
    const isCommitted = await this.#watched(client, LIMITS[work].statementMs, () => commit(client));
    // Postgres answers the COMMIT of a transaction in which a statement failed with a silent ROLLBACK.
    if (!isCommitted) throw new TartanError("internal", "a statement failed unnoticed; nothing was committed");
  }

  /** A connection that failed is thrown away; one whose statement Postgres rejected goes back to the pool. */
  async #withClient<T>(work: (client: PoolClient) => Promise<T>): Promise<T> {
    const client = await this.#connect();
    let broken = false;
    const onError = () => {
      broken = true;
    };
    client.on("error", onError);
    try {
      return await work(client);
    } catch (error) {
      broken ||= isConnectionFailure(error) || wasDropped(client);
      if (broken) this.#suspect();
      throw translateFailure(error);
    } finally {
      client.off("error", onError);
      if (broken) drop(client, "it failed");
      this.#answered.set(client, performance.now());
      client.release(broken);
    }
  }

  async #connect(): Promise<PoolClient> {
    for (;;) {
      let client: PoolClient;
      try {
        client = await this.#pool.connect();
      } catch (error) {
        const translated = translateFailure(error);
        const isAway = translated instanceof TartanError && translated.code === "database_unavailable";
        if (isAway && !this.#pool.ending)
          this.#outage.failed(translated, "Postgres cannot be reached; what needs it waits");
        throw translated;
      }
      if ((this.#answered.get(client) ?? Infinity) > this.#suspicion.before) return client;
      // pg ends the connection with a message that may never arrive.
      client.on("error", () => undefined);
      drop(client, "it was idle when another one was cut");
      client.release(true);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pool.end();
    this.#watch[Symbol.dispose]();
    // A cut connection never answers the message that ends it, which would keep the process alive.
    setTimeout(() => {
      for (const client of this.#clients) drop(client, "it was closed");
    }, GRACE_MS).unref();
  }
}
