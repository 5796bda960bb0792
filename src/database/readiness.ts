/** Checks whether Postgres stores data: writes a row, with a deadline, over the connections that accepting uses. */
import { setTimeout as delay } from "node:timers/promises";
import { describeError } from "../errors.ts";
import { urgent } from "./pool.ts";
import { CHECK_WRITES } from "./queries.ts";
import { schemaState } from "./schema.ts";
import type { Database } from "./types.ts";

/** Probes wait for a few seconds, and Plaid for ten. */
export const DEADLINE_MS = 3_000;
/** Any client may ask, so a row is written at most this often. */
const FRESH_MS = 500;

/** Why Postgres cannot be written to. */
export interface Unreadiness {
  /** one sentence */
  reason: string;
  /** it may come back by itself; false for a schema that does not fit this process */
  away: boolean;
}

/**
 * @returns a function that yields the reason why Postgres cannot be written to, or null; it waits at most `deadlineMs`, and
 *   concurrent calls share one check
 */
export function openReadiness(database: Database): (deadlineMs?: number) => Promise<Unreadiness | null> {
  let checking: Promise<Unreadiness | null> | undefined;
  return (deadlineMs = DEADLINE_MS) => {
    // Later calls share a check that hangs, and take no further connections.
    checking ??= check(database).finally(() => setTimeout(() => (checking = undefined), FRESH_MS).unref());
    return withDeadline(checking, deadlineMs);
  };
}

async function check(database: Database): Promise<Unreadiness | null> {
  const q = urgent(database);
  try {
    const { fault } = await schemaState(q);
    if (fault !== null) return { reason: fault, away: false };
    await q.query(CHECK_WRITES);
    return null;
  } catch (error) {
    return { reason: `Postgres stores nothing: ${describeError(error).message}`, away: true };
  }
}

async function withDeadline(answer: Promise<Unreadiness | null>, deadlineMs: number): Promise<Unreadiness | null> {
  const over = new AbortController();
  const reason = `Postgres stores nothing: it did not answer within ${deadlineMs / 1000} s`;
  const late = delay(deadlineMs, { reason, away: true }, { signal: over.signal });
  // It is aborted as soon as there is an answer.
  late.catch(() => undefined);
  try {
    return await Promise.race([answer, late]);
  } finally {
    over.abort();
  }
}
