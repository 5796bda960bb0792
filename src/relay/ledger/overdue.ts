/**
 * Measures how much waits in the relay, and notices what waits longer than it should. Every process checks; an incident is a row
 * of relay.overdue, so one process reports it for all.
 *
 *   nothing overdue ──something is──▶ incident: a log line, metrics, the event relay.overdue ──nothing is──▶ nothing overdue
 */
import type { Clock } from "../../clock.ts";
import type { Database, Queryable } from "../../database/types.ts";
import { startWorkerLoop, type WorkerLoop } from "../../database/worker-loop.ts";
import { recordEvents } from "../../events/events.ts";
import type { Logger } from "../../logger.ts";
import { metrics } from "../../metrics.ts";
import { BEGIN_INCIDENT, DEPTH, END_INCIDENT, OVERDUE } from "./overdue-queries.ts";

export interface OverdueOptions {
  database: Database;
  clock: Clock;
  logger: Logger;
}

/** How much waits in the relay, in all processes together. */
export interface RelayDepth {
  /** rows of the outbox that wait for dispatch */
  undispatched: number;
  oldest_undispatched_seconds: number;
  /** deliveries that are or will be due; each of these counts goes up to 10001 */
  scheduled: number;
  /** deliveries at destinations that are paused or disabled, or whose circuit is open */
  held: number;
  dead: number;
}

/** How much waits longer than it should. */
export interface Overdue {
  /** rows of the outbox */
  outbox: number;
  deliveries: number;
  oldest_at: Date | null;
}

const CHECK_EVERY_MS = 30_000;

/** Checks at once and every half minute, until it is disposed. */
export async function startOverdueChecks({ database, clock, logger }: OverdueOptions): Promise<WorkerLoop> {
  const work = async (): Promise<boolean> => {
    await checkOverdue({ database, logger });
    return false;
  };
  const trouble = "could not look for what is overdue; it is tried again";
  return await startWorkerLoop({ database, clock, logger, channels: [], pollMs: CHECK_EVERY_MS, trouble, work });
}

/** How much waits; for metrics and the status. */
export async function relayDepth(q: Queryable): Promise<RelayDepth> {
  const { rows } = await q.query<RelayDepth>(DEPTH);
  return rows[0] ?? { undispatched: 0, oldest_undispatched_seconds: 0, scheduled: 0, held: 0, dead: 0 };
}

/** How much waits longer than it should, now. */
export async function findOverdue(q: Queryable): Promise<Overdue> {
  const { rows } = await q.query<Overdue>(OVERDUE);
  return rows[0] ?? { outbox: 0, deliveries: 0, oldest_at: null };
}

/** Sets the metrics, and reports the beginning and the end of an incident. */
export async function checkOverdue({
  database,
  logger,
}: Pick<OverdueOptions, "database" | "logger">): Promise<Overdue> {
  const [depth, overdue] = [await relayDepth(database), await findOverdue(database)];
  metrics.outboxWaiting.set(depth.undispatched);
  for (const state of ["scheduled", "held", "dead"] as const) metrics.deliveriesWaiting.set({ state }, depth[state]);
  for (const what of ["outbox", "deliveries"] as const) metrics.relayOverdue.set({ what }, overdue[what]);
  const isOverdue = overdue.outbox > 0 || overdue.deliveries > 0;
  const changed = await database.transaction(async (tx) => {
    const { rowCount } = await tx.query(isOverdue ? BEGIN_INCIDENT : END_INCIDENT);
    if (rowCount > 0 && isOverdue) await recordOverdue(tx, overdue);
    return rowCount > 0;
  });
  if (changed && isOverdue) logger.error({ ...overdue }, "events or deliveries wait longer than they should");
  else if (changed) logger.info("nothing in the relay waits longer than it should any more");
  return overdue;
}

async function recordOverdue(tx: Queryable, { outbox, deliveries, oldest_at }: Overdue): Promise<void> {
  const data = { outbox, deliveries, oldest_at: oldest_at?.toISOString() ?? null };
  await recordEvents(tx, [
    { type: "relay.overdue", integrationId: null, itemId: null, userId: null, environment: null, data },
  ]);
}
