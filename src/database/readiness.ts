/** Checks whether Postgres stores data: writes a row, with a deadline, over the connections that accepting uses. */
import { setTimeout as delay } from "node:timers/promises";
import { describeError } from "../errors.ts";
import { urgent } from "./pool.ts";
import { CHECK_WRITES } from "./queries.ts";
import { schemaState } from "./schema.ts";
import type { Database } from "./types.ts";

/** Probes wait for a few seconds, and Plaid for ten. */
const DEADLINE_MS = 3_000;
/** Any client may ask, so a row is written at most this often. */
const FRESH_MS = 500;

/**
 * @returns a function that yields the reason why Postgres cannot be written to, in one sentence, or null;
 *   concurrent calls share one check
 */
export function openReadiness(database: Database): () => Promise<string | null> {
  let checking: Promise<string | null> | undefined;
  return () => {
    // Later calls share a check that hangs, and take no further connections.
    checking ??= check(database).finally(() => setTimeout(() => (checking = undefined), FRESH_MS).unref());
    return withDeadline(checking);
  };
}

async function check(database: Database): Promise<string | null> {
  const q = urgent(database);
  try {
    const { fault } = await schemaState(q);
    if (fault !== null) return fault;
    await q.query(CHECK_WRITES);
    return null;
  } catch (error) {
    return `nothing can be stored: ${describeError(error).message}`;
  }
}

async function withDeadline(answer: Promise<string | null>): Promise<string | null> {
  const over = new AbortController();
  const late = delay(DEADLINE_MS, `nothing can be stored: Postgres did not answer within ${DEADLINE_MS / 1000} s`, {
    signal: over.signal,
  });
  // It is aborted as soon as there is an answer.
  late.catch(() => undefined);
  try {
    return await Promise.race([answer, late]);
  } finally {
    over.abort();
  }
}
