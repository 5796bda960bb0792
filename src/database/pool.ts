/**
 * The connection to Postgres as the rest of Tartan uses it: statements on a pool, transactions that are repeated after a
 * deadlock, a few reserved connections for urgent work, and one that listens for notifications.
 */
import { setTimeout as delay } from "node:timers/promises";
import { reservedConnections } from "../config.ts";
import { TartanError } from "../errors.ts";
import { FailureLog } from "../failure-log.ts";
import type { Logger } from "../logger.ts";
import { clientConfig } from "./connection/client-config.ts";
import { readFacts, type Facts } from "./connection/facts.ts";
import { isRepeatable, translateFailure } from "./failures.ts";
import { BoundedPool } from "./connection/bounded-pool.ts";
import type { Work } from "./connection/limits.ts";
import { openListener, type Listener } from "./connection/listener.ts";
import type { Database, Queryable, Result, Statement } from "./types.ts";

export interface DatabaseOptions {
  url: string;
  /** the same database without the transaction-mode pooler; for listening, leases and migrations */
  directUrl?: string | undefined;
  /** connections at most, besides the one that listens */
  poolSize: number;
  applicationName: string;
  logger: Logger;
  /** ends the opening of a database that does not answer */
  signal?: AbortSignal | undefined;
}

const REPEATS = 3;

interface Parts {
  shared: BoundedPool;
  /** the same one where there are too few connections to reserve any */
  urgent: BoundedPool;
  listener: Listener;
  facts: Facts;
  /** bypasses a pooler where there is such a URL */
  url: string;
  /** sessions over `url` are Tartan's own */
  direct: boolean;
}

class PooledDatabase implements Database {
  readonly parts: Parts;
  #closing: Promise<void> | undefined;

  constructor(parts: Parts) {
    this.parts = parts;
  }

  async query<Row>(statement: string | Statement, values?: readonly unknown[]): Promise<Result<Row>> {
    return await repeated(() => this.parts.shared.query<Row>(statement, values));
  }

  async transaction<T>(run: (tx: Queryable) => Promise<T>, work: Work = "normal"): Promise<T> {
    return await repeated(() => this.parts.shared.transaction(work, run));
  }

  async listen(channel: string, onNotify: (payload: string) => void): Promise<AsyncDisposable> {
    return await this.parts.listener.listen(channel, onNotify);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { shared, urgent, listener } = this.parts;
    const opened = new Set<AsyncDisposable>([shared, urgent, listener]);
    this.#closing ??= Promise.all([...opened].map((part) => part[Symbol.asyncDispose]())).then(() => undefined);
    await this.#closing;
  }
}

/** Repeats the work after a deadlock or a serialization failure, which rolled it back. */
async function repeated<T>(work: () => Promise<T>): Promise<T> {
  for (let repeat = 0; ; repeat += 1) {
    try {
      return await work();
    } catch (error) {
      if (!isRepeatable(error) || repeat === REPEATS) throw error;
      // Random, so that the two transactions do not meet again at once.
      await delay(Math.random() * 20 * 2 ** repeat);
    }
  }
}

/**
 * A database whose connection comes later, so that what works without Postgres for a while can be opened before it: every call
 * rejects with `database_unavailable` until the connection is attached. `listen` remembers its channel.
 */
export interface DeferredDatabase extends Database {
  /** Uses the connection of `database` from now on, and closes it with itself. Call it once. */
  attach(database: Database): Promise<void>;
  readonly attached: boolean;
}

type Listening = { channel: string; onNotify: (payload: string) => void; under: AsyncDisposable | null };

class LateDatabase implements DeferredDatabase {
  readonly #listening = new Set<Listening>();
  #database: Database | undefined;

  get attached(): boolean {
    return this.#database !== undefined;
  }

  /** @throws TartanError `database_unavailable` while none is attached */
  get connected(): Database {
    if (this.#database !== undefined) return this.#database;
    throw new TartanError("database_unavailable", "Postgres has not been reached since this process started.");
  }

  async attach(database: Database): Promise<void> {
    this.#database = database;
    for (const each of this.#listening) each.under = await database.listen(each.channel, each.onNotify);
  }

  async query<Row>(statement: string | Statement, values?: readonly unknown[]): Promise<Result<Row>> {
    return await this.connected.query<Row>(statement, values);
  }

  async transaction<T>(run: (tx: Queryable) => Promise<T>, work?: Work): Promise<T> {
    return await this.connected.transaction(run, work);
  }

  async listen(channel: string, onNotify: (payload: string) => void): Promise<AsyncDisposable> {
    if (this.#database !== undefined) return await this.#database.listen(channel, onNotify);
    const listening: Listening = { channel, onNotify, under: null };
    this.#listening.add(listening);
    return {
      [Symbol.asyncDispose]: async () => {
        this.#listening.delete(listening);
        await listening.under?.[Symbol.asyncDispose]();
      },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#database?.[Symbol.asyncDispose]();
  }
}

/** A database without a connection yet. */
export const deferDatabase = (): DeferredDatabase => new LateDatabase();

function partsOf(database: Database): Parts {
  if (database instanceof LateDatabase) return partsOf(database.connected);
  if (database instanceof PooledDatabase) return database.parts;
  throw new TartanError("internal", "this Database was not made by openDatabase");
}

/**
 * The URL for a caller's own connections, past a pooler where that is configured. It holds a password.
 */
export const urlOf = (database: Database): string => partsOf(database).url;

/** True when a session over `urlOf` lasts as long as its connection and is not shared with other clients. */
export const isDirect = (database: Database): boolean => partsOf(database).direct;

/**
 * The facts about the server, read when `database` was opened.
 * @throws TartanError `database_unavailable` when it was deferred and is not attached yet
 */
export const factsOf = (database: Database): Facts => partsOf(database).facts;

/** The unsafe settings of the server; empty while it has never been reached. */
export const warningsOf = (database: Database): string[] =>
  database instanceof LateDatabase && !database.attached ? [] : factsOf(database).warnings;

/**
 * The reserved connections of `database`, with short limits: for work that must not wait behind other work, such as
 * accepting webhooks and renewing leases. Single statements, no transactions.
 */
export function urgent(database: Database): Queryable {
  if (database instanceof PooledDatabase) return database.parts.urgent;
  if (!(database instanceof LateDatabase)) return database;
  return { query: async (statement, values) => await urgent(database.connected).query(statement, values) };
}

/**
 * Runs `work` on one connection without a transaction. Statements that it sends before the first one is answered travel together, which costs
 * much less than sending each by itself.
 */
export async function onOneConnection<T>(database: Database, work: (q: Queryable) => Promise<T>): Promise<T> {
  if (database instanceof PooledDatabase) return await database.parts.shared.onOneConnection(work);
  return database instanceof LateDatabase ? await onOneConnection(database.connected, work) : await work(database);
}

/** Runs statements that may take minutes, each in a transaction of its own. */
export const patient = (database: Database): Queryable => ({
  query: (statement, values) => database.transaction((tx) => tx.query(statement, values), "long"),
});

/**
 * Opens the pool and proves that the server answers. Results: int8 is a number where that is exact (else its digits),
 * numeric a string, timestamptz a Date, date a string 'YYYY-MM-DD', jsonb parsed. Callers pass jsonb as JSON text.
 * @throws TartanError `database_unavailable` when Postgres is away, from here and from every later call;
 *   `config_invalid` when the server is too old or not UTF-8
 */
export async function openDatabase(options: DatabaseOptions): Promise<Database> {
  const { url, directUrl, poolSize, applicationName, logger, signal } = options;
  const config = clientConfig({ url, applicationName });
  const beside = directUrl === undefined ? config : clientConfig({ url: directUrl, applicationName });
  const facts = await readFacts(config, signal).catch((error: unknown) => {
    throw translateFailure(error);
  });
  const pooled = facts.pooled || directUrl !== undefined;
  const direct = !pooled || directUrl !== undefined;
  const reserved = reservedConnections(poolSize);
  const shares = { suspicion: { before: 0 }, outage: new FailureLog(logger, "error") };
  const open = (work: Work, size: number) => new BoundedPool({ config, beside, size, work, pooled, ...shares, logger });
  const shared = open("normal", poolSize - reserved);
  return new PooledDatabase({
    shared,
    urgent: reserved === 0 ? shared : open("urgent", reserved),
    listener: openListener({ config: beside, disabled: !direct, logger }),
    facts: { ...facts, pooled },
    url: directUrl ?? url,
    direct,
  });
}
