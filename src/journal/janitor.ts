/**
 * Keeps the journal in shape: makes the partitions of the coming weeks and days, and lets go of what is no longer kept.
 * At start and every hour, in every process: each step is safe beside others doing the same, and one that fails (a lock
 * that a long query holds, Postgres away) is logged and done again the next hour.
 */
import type { Clock } from "../clock.ts";
import type { Database } from "../database/types.ts";
import type { Logger } from "../logger.ts";
import { DROP_TOKEN_DAYS, DROP_WEEKS, ENSURE_PARTITIONS, TRIM_REFUSALS, TRIM_RUNS } from "./queries.ts";

const EVERY_MS = 60 * 60_000;
const DAY_MS = 24 * 60 * 60_000;
/** A JWT is accepted for six minutes around its iat, so any day that is over would do. */
const TOKENS_KEPT_MS = 3 * DAY_MS;
const REFUSALS_KEPT = 10_000;
const RUNS_KEPT_MS = 30 * DAY_MS;
const RUNS_AT_ONCE = 5000;

export interface JanitorOptions {
  database: Database;
  logger: Logger;
  clock: Clock;
  /** webhooks are forgotten in whole weeks once all of a week is older; 0 keeps all */
  retentionDays: number;
}

/**
 * Tidies up once, and then every hour until it is disposed. The first partitions exist when this resolves, unless
 * Postgres refused, which is logged: the journal has room for weeks it was not prepared for.
 */
export async function startJanitor(options: JanitorOptions): Promise<AsyncDisposable> {
  const stop = new AbortController();
  await tidy(options, stop.signal);
  const rounds = (async () => {
    for (;;) {
      await options.clock.sleep(EVERY_MS, stop.signal);
      if (stop.signal.aborted) return;
      await tidy(options, stop.signal);
    }
  })();
  return {
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      await rounds;
    },
  };
}

/** One round. Never throws. */
export async function tidy(options: JanitorOptions, signal?: AbortSignal): Promise<void> {
  const { database, logger, clock, retentionDays } = options;
  const now = clock.now();
  const before = (ms: number): Date => new Date(now - ms);
  const steps: Record<string, () => Promise<unknown>> = {
    "make the partitions of the coming weeks": () => database.query(ENSURE_PARTITIONS, [new Date(now)]),
    "forget old tokens": () => database.query(DROP_TOKEN_DAYS, [before(TOKENS_KEPT_MS)]),
    "forget old webhooks": async () => {
      if (retentionDays > 0) await database.query(DROP_WEEKS, [before(retentionDays * DAY_MS)]);
    },
    "trim the refusals": () => database.query(TRIM_REFUSALS, [REFUSALS_KEPT]),
    "trim the runs": () => trimRuns(database, before(RUNS_KEPT_MS), signal),
  };
  for (const [what, step] of Object.entries(steps)) {
    if (signal?.aborted) return;
    try {
      await step();
    } catch (error) {
      logger.warn({ error }, `could not ${what}; it is tried again within the hour`);
    }
  }
}

/** In batches, so that no transaction is long. */
async function trimRuns(database: Database, before: Date, signal: AbortSignal | undefined): Promise<void> {
  for (;;) {
    const { rowCount } = await database.query(TRIM_RUNS, [before, RUNS_AT_ONCE]);
    if (rowCount < RUNS_AT_ONCE || signal?.aborted) return;
  }
}
