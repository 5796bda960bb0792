/**
 * Statements that may take minutes, and that a stop ends at once. Postgres continues a statement whose client has
 * gone, so another connection asks Postgres to cancel it.
 */
import { urgent } from "./pool.ts";
import type { Database, Queryable, Result, Statement } from "./types.ts";

/** A cancellation may arrive before its statement does, and then does nothing. */
const AGAIN_MS = 1_000;

/**
 * Runs statements under the long limits, each in a transaction of its own. Once `signal` aborts, the running statement is
 * cancelled and rolled back, and later ones fail without being sent.
 */
export const cancellable = (database: Database, signal?: AbortSignal): Queryable => ({
  query: async <Row>(statement: string | Statement, values?: readonly unknown[]) =>
    await cancellableTransaction(database, signal, (tx) => tx.query<Row>(statement, values)),
});

/** The same for several statements in one transaction. */
export async function cancellableTransaction<T>(
  database: Database,
  signal: AbortSignal | undefined,
  work: (tx: Queryable) => Promise<T>,
): Promise<T> {
  signal?.throwIfAborted();
  return await database.transaction((tx) => work(signal ? cancelledBy(database, tx, signal) : tx), "long");
}

const cancelledBy = (database: Database, tx: Queryable, signal: AbortSignal): Queryable => ({
  query: async <Row>(statement: string | Statement, values?: readonly unknown[]) => {
    signal.throwIfAborted();
    return await untilAborted(database, tx, signal, () => tx.query<Row>(statement, values));
  },
});

async function untilAborted<Row>(
  database: Database,
  tx: Queryable,
  signal: AbortSignal,
  run: () => Promise<Result<Row>>,
): Promise<Result<Row>> {
  const { rows } = await tx.query<{ pid: number }>("select pg_backend_pid() as pid");
  signal.throwIfAborted();
  let cancelling: Promise<unknown> = Promise.resolve();
  let timer: NodeJS.Timeout | undefined;
  const cancel = (): void => {
    cancelling = urgent(database)
      .query("select pg_cancel_backend($1)", [rows[0]?.pid])
      .catch(() => undefined);
  };
  const onAbort = (): void => {
    cancel();
    timer = setInterval(cancel, AGAIN_MS);
  };
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await run();
  } finally {
    signal.removeEventListener("abort", onAbort);
    clearInterval(timer);
    // Another statement must not run on this server process while a cancellation may still be on its way to it.
    await cancelling;
  }
}
