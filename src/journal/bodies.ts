/**
 * Prunes old webhooks: the body and the JWT go; type, code, item, instants, the summary of the run and the SHA-256 of the body stay.
 *
 *   old ─▶ processed, dispatched, and not needed: pruned ─▶ once its week is old and much of it unused: the week is rewritten
 *       ├▶ needed: noted in journal.kept_bodies ─▶ examined again in each round
 *       └▶ about a gap: stays
 *
 * Each batch is a transaction that holds the lock `retention`, which those share who schedule deliveries of old webhooks.
 */
import { systemClock } from "../clock.ts";
import { cancellableTransaction } from "../database/cancellable.ts";
import { sqlStateOf } from "../database/failures.ts";
import { take } from "../database/locks.ts";
import type { Database, Queryable } from "../database/types.ts";
import {
  BEGIN_REWRITE,
  COPY_WEEK,
  END_REWRITE,
  EXCHANGE_WEEK,
  FORGET_KEPT,
  FORGET_PRUNED_WEEKS,
  KEEP_BODIES,
  KEPT_BODIES,
  NOTE_SEEN,
  PRUNE_BODIES,
  SHORTEST_LOCK_WAIT,
  UNSEEN_BODIES,
  WEEKS_TO_REWRITE,
} from "./body-queries.ts";
import type { NeedsWebhooks } from "./retention.ts";

export interface OldBodies {
  database: Database;
  /** the age of webhooks whose bodies are pruned */
  days: number;
  neededBy: readonly NeedsWebhooks[];
}

const ROWS_AT_ONCE = 5000;
/** Postgres reads each body to hash it. A batch is larger only where a single body is. */
const BYTES_AT_ONCE = 64 * 1024 * 1024;
/** Where a transaction of somebody is in the way, it is mostly over in a moment. */
const EXCHANGES = 3;
const AGAIN_MS = 500;
const LOCK_NOT_AVAILABLE = "55P03";
const LEAST_UUID = "00000000-0000-0000-0000-000000000000";

interface Candidate {
  id: string;
  bytes: number;
  prunable: boolean;
}

/** Prunes what is old and gives its space back. Call it only after the database's clock was found to be right. */
export async function pruneBodies(bodies: OldBodies, signal?: AbortSignal): Promise<void> {
  const inTransaction = <T>(work: (tx: Queryable) => Promise<T>): Promise<T> =>
    cancellableTransaction(bodies.database, signal, work);
  await inTransaction((tx) => tx.query(FORGET_KEPT));
  await inTransaction((tx) => tx.query(FORGET_PRUNED_WEEKS));
  for (const [candidates, areNew] of [
    [KEPT_BODIES, false],
    [UNSEEN_BODIES, true],
  ] as const) {
    for (let behind: string | null = LEAST_UUID; behind !== null;) {
      const from: string = behind;
      behind = await inTransaction((tx) => pruneSome(tx, bodies, { candidates, areNew, from }));
    }
  }
  const { rows } = await inTransaction((tx) => tx.query<{ week: string }>(WEEKS_TO_REWRITE, [bodies.days]));
  const failures: unknown[] = [];
  for (const { week } of rows) {
    // A week that somebody reads for long, or that takes too long, does not stop the others.
    await rewrite(bodies.database, week, signal).catch((error: unknown) => {
      signal?.throwIfAborted();
      failures.push(error);
    });
  }
  if (failures.length > 0) throw failures[0];
}

/** @returns the last webhook that it examined; null where there is none */
async function pruneSome(
  tx: Queryable,
  { days, neededBy }: OldBodies,
  { candidates, areNew, from }: { candidates: string; areNew: boolean; from: string },
): Promise<string | null> {
  await tx.query(take("retention"));
  const { rows } = await tx.query<Candidate>(candidates, [days, from, ROWS_AT_ONCE]);
  const some = rows.slice(0, withinBytes(rows));
  const last = some.at(-1)?.id ?? null;
  if (last === null) return null;
  const ids = some.flatMap(({ id, prunable }) => (prunable ? [id] : []));
  const needed = new Set<string>();
  for (const { among } of neededBy) for (const id of await among(tx, ids)) needed.add(id);
  const pruned = ids.filter((id) => !needed.has(id));
  if (pruned.length > 0) await tx.query(PRUNE_BODIES, [pruned, pruned[0], pruned.at(-1)]);
  if (areNew) {
    const gone = new Set(pruned);
    await tx.query(KEEP_BODIES, [some.flatMap(({ id }) => (gone.has(id) ? [] : [id]))]);
    await tx.query(NOTE_SEEN, [last]);
  }
  return last;
}

/** How many of them a batch takes: one at least. */
function withinBytes(candidates: readonly Candidate[]): number {
  let sum = 0;
  const beyond = candidates.findIndex(({ bytes }, index) => (sum += bytes) > BYTES_AT_ONCE && index > 0);
  return beyond === -1 ? candidates.length : beyond;
}

/** The three steps of rewriting a week, which sql/0029_journal_bodies.sql describes. */
async function rewrite(database: Database, week: string, signal: AbortSignal | undefined): Promise<void> {
  const step = async <Row>(statement: string, values: readonly unknown[]) =>
    await cancellableTransaction(database, signal, async (tx) => {
      await tx.query(SHORTEST_LOCK_WAIT);
      await tx.query(take("partitions"));
      return await tx.query<Row>(statement, values);
    });
  const [begun] = (await step<{ file: number | null }>(BEGIN_REWRITE, [week])).rows;
  if (!begun || begun.file === null) return;
  try {
    // Holds no lock for which others wait.
    await cancellableTransaction(database, signal, (tx) => tx.query(COPY_WEEK, [week]));
    for (let attempt = 1; ; attempt += 1) {
      const failure = await step(EXCHANGE_WEEK, [week, begun.file]).then(() => null, asIs);
      if (failure === null) return;
      if (attempt === EXCHANGES || sqlStateOf(failure) !== LOCK_NOT_AVAILABLE) throw failure;
      await systemClock.sleep(AGAIN_MS, signal);
    }
  } catch (error) {
    // What is left behind where this fails too is removed by the next attempt.
    await database
      .transaction(async (tx) => {
        await tx.query(SHORTEST_LOCK_WAIT);
        await tx.query(END_REWRITE, [week]);
      })
      .catch(() => undefined);
    throw error;
  }
}

const asIs = (error: unknown): unknown => error;
