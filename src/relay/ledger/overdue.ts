/**
 * The sweep: looks for what waits longer than it should, which nothing should ever, and says so. In every process that relays;
 * what is told is told by one of them. Here too is what the relay lets go of, which is a step of the journal's janitor.
 *
 *   all is well ──something is overdue──▶ told: a line of the log, metrics, the event relay.overdue ──nothing is──▶ all is well
 */
import type { Clock } from "../../clock.ts";
import type { Database, Queryable } from "../../database/types.ts";
import { recordEvents } from "../../events/events.ts";
import type { Logger } from "../../logger.ts";
import { metrics } from "../../metrics.ts";
import {
  BEGIN_INCIDENT,
  DEPTH,
  END_INCIDENT,
  END_PAUSED_JOBS,
  FORGET_DELIVERIES,
  FORGET_DESTINATIONS,
  FORGET_EVENTS,
  FORGET_JOBS,
  FORGET_MEMBERS,
  FORGET_OUTBOX,
  FORGET_ROUTE_VERSIONS,
  FORGET_ROUTES,
  KEPT_SINCE,
  LOCK_RETENTION,
  OVERDUE,
} from "./overdue-queries.ts";
import { FORGET_REQUESTS } from "../jobs/request-queries.ts";

export interface SweepOptions {
  database: Database;
  clock: Clock;
  logger: Logger;
}

export interface ForgetOptions {
  database: Database;
  /** events and finished deliveries that are older are forgotten */
  retentionDays: number;
}

/** How much waits in the relay, of all processes together. */
export interface RelayDepth {
  /** rows of the outbox that no dispatcher has seen */
  undispatched: number;
  oldest_undispatched_seconds: number;
  /** deliveries that are or will be due; each of these counts goes up to 10001 */
  scheduled: number;
  /** those at destinations that are paused, disabled or open */
  held: number;
  dead: number;
}

/** What waits longer than it should. */
export interface Overdue {
  /** rows of the outbox */
  outbox: number;
  deliveries: number;
  oldest_at: Date | null;
}

const SWEEP_EVERY_MS = 30_000;
const AT_ONCE = 5000;
const LEAST_UUID = "00000000-0000-0000-0000-000000000000";

/** Sweeps at once and every half minute, until it is disposed. */
export async function startSweep(options: SweepOptions): Promise<AsyncDisposable> {
  const { clock, logger } = options;
  const stop = new AbortController();
  const { signal } = stop;
  const rounds = async (): Promise<void> => {
    while (!signal.aborted) {
      await sweep(options).catch((error: unknown) =>
        logger.warn({ error }, "could not look for what is overdue; it is tried again"),
      );
      await clock.sleep(SWEEP_EVERY_MS, signal);
    }
  };
  const working = rounds();
  return {
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      await working;
    },
  };
}

/** How much waits; for metrics and the status. */
export async function relayDepth(q: Queryable): Promise<RelayDepth> {
  const { rows } = await q.query<RelayDepth>(DEPTH);
  return rows[0] ?? { undispatched: 0, oldest_undispatched_seconds: 0, scheduled: 0, held: 0, dead: 0 };
}

/** What waits longer than it should, now. */
export async function findOverdue(q: Queryable): Promise<Overdue> {
  const { rows } = await q.query<Overdue>(OVERDUE);
  return rows[0] ?? { outbox: 0, deliveries: 0, oldest_at: null };
}

/** One look: measures what waits, and tells when something begins to wait too long, and when that is over. */
export async function sweep({ database, logger }: SweepOptions): Promise<Overdue> {
  const [depth, overdue] = [await relayDepth(database), await findOverdue(database)];
  metrics.outboxWaiting.set(depth.undispatched);
  for (const state of ["scheduled", "held", "dead"] as const) metrics.deliveriesWaiting.set({ state }, depth[state]);
  for (const what of ["outbox", "deliveries"] as const) metrics.relayOverdue.set({ what }, overdue[what]);
  const isOverdue = overdue.outbox > 0 || overdue.deliveries > 0;
  const changed = await database.transaction(async (tx) => {
    const { rowCount } = await tx.query(isOverdue ? BEGIN_INCIDENT : END_INCIDENT);
    if (rowCount > 0 && isOverdue) await tell(tx, overdue);
    return rowCount > 0;
  });
  if (changed && isOverdue) logger.error({ ...overdue }, "events or deliveries wait longer than they should");
  else if (changed) logger.info("nothing in the relay waits longer than it should any more");
  return overdue;
}

async function tell(tx: Queryable, { outbox, deliveries, oldest_at }: Overdue): Promise<void> {
  const data = { outbox, deliveries, oldest_at: oldest_at?.toISOString() ?? null };
  await recordEvents(tx, [
    { type: "relay.overdue", integrationId: null, itemId: null, userId: null, environment: null, data },
  ]);
}

interface Passed {
  last: string | null;
  gone: number;
}

/**
 * Forgets what is older than is kept: finished deliveries with their attempts, dead letters too, counted from when they were
 * finished; events, unless something still needs them; what the outbox says of them; jobs; and what is left of routes and
 * destinations that were deleted. In batches, so that no transaction is long. It goes by the age of rows, so it is called
 * only where the database's clock was just compared and is trusted: as a step of the janitor's round.
 * @returns how many of each are gone
 */
export async function forget(
  { database, retentionDays }: ForgetOptions,
  signal?: AbortSignal,
): Promise<{ deliveries: number; events: number; outbox: number }> {
  const before = (await database.query<{ before: Date }>(KEPT_SINCE, [retentionDays])).rows[0]?.before;
  if (before === undefined) return { deliveries: 0, events: 0, outbox: 0 };
  const all = async (first: string, batch: (behind: string) => Promise<Passed | undefined>): Promise<number> => {
    let gone = 0;
    let behind: string | null = first;
    while (behind !== null) {
      if (signal?.aborted) break;
      const passed = await batch(behind);
      gone += passed?.gone ?? 0;
      behind = passed?.last ?? null;
    }
    return gone;
  };
  const batchOf = (q: Queryable, statement: string) => async (behind: string) =>
    (await q.query<Passed>(statement, [before, behind, AT_ONCE])).rows[0];
  await database.query(END_PAUSED_JOBS, [before]);
  const deliveries = await all(LEAST_UUID, batchOf(database, FORGET_DELIVERIES));
  const events = await all(LEAST_UUID, (behind) =>
    database.transaction(async (tx) => {
      await tx.query(LOCK_RETENTION);
      return await batchOf(tx, FORGET_EVENTS)(behind);
    }),
  );
  const outbox = await all("0", batchOf(database, FORGET_OUTBOX));
  await forgetMembers(database, signal);
  await database.query(FORGET_REQUESTS);
  for (const statement of [FORGET_JOBS, FORGET_ROUTE_VERSIONS, FORGET_ROUTES, FORGET_DESTINATIONS]) {
    await database.query(statement, [before]);
  }
  return { deliveries, events, outbox };
}

async function forgetMembers(database: Database, signal: AbortSignal | undefined): Promise<void> {
  for (;;) {
    const { rowCount } = await database.query(FORGET_MEMBERS, [AT_ONCE]);
    if (rowCount < AT_ONCE || signal?.aborted) break;
  }
}
