/** Whether Postgres stores what it is given: a row is written, with a deadline, over the connections that accepting uses. */
import { setTimeout as delay } from "node:timers/promises";
import { describeError } from "../errors.ts";
import { urgent } from "./pool.ts";
import { CHECK_WRITES } from "./queries.ts";
import { schemaState } from "./schema.ts";
import type { Database } from "./types.ts";

/** Probes have little patience, and Plaid's is ten seconds. */
const DEADLINE_MS = 3_000;
/** Anybody may ask, so that a row is written this often at most. */
const FRESH_MS = 500;

/**
 * @returns a function that yields the reason why Postgres cannot be written to, in one sentence, or null; those who ask
 *   together share one look
 */
export function openReadiness(database: Database): () => Promise<string | null> {
  let looking: Promise<string | null> | undefined;
  return () => {
    // One that hangs keeps the others from taking further connections.
    looking ??= check(database).finally(() => setTimeout(() => (looking = undefined), FRESH_MS).unref());
    return withDeadline(looking);
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

async function withDeadline(look: Promise<string | null>): Promise<string | null> {
  const over = new AbortController();
  const late = delay(DEADLINE_MS, `nothing can be stored: Postgres did not answer within ${DEADLINE_MS / 1000} s`, {
    signal: over.signal,
  });
  // It is aborted as soon as there is an answer.
  late.catch(() => undefined);
  try {
    return await Promise.race([look, late]);
  } finally {
    over.abort();
  }
}
