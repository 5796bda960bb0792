/**
 * The narrow port through which the rest of Tartan uses Postgres, so that a statement can run on the pool, in a transaction
 * or in a test alike.
 */
import type { Work } from "./connection/limits.ts";

/** A named statement is prepared once for each connection; use it for statements that run often. */
export interface Statement {
  name: string;
  text: string;
  /** it writes nothing, so that it may be sent together with the BEGIN of its transaction */
  writesNothing?: true;
}

export interface Result<Row> {
  rows: Row[];
  rowCount: number;
}

export interface Queryable {
  /** In a transaction, statements that are sent before the first one is answered travel together and run in their order. */
  query<Row = Record<string, unknown>>(
    statement: string | Statement,
    values?: readonly unknown[],
  ): Promise<Result<Row>>;
}

export interface Database extends Queryable, AsyncDisposable {
  /**
   * Runs `work` on one connection between BEGIN and COMMIT (read committed). Rolls back when it throws.
   * Serialization failures and deadlocks are retried up to three times, as those of `query` are, so `work` must be safe to
   * repeat.
   * @param kind sets the limits of its statements and of the whole; "normal" by default
   */
  transaction<T>(work: (tx: Queryable) => Promise<T>, kind?: Work): Promise<T>;
  /**
   * Calls `onNotify` for each NOTIFY on `channel`, and reconnects by itself. A notification is only a hint that saves latency,
   * so the caller polls as well.
   */
  listen(channel: string, onNotify: (payload: string) => void): Promise<AsyncDisposable>;
}
