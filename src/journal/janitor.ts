/**
 * Keeps the journal in shape: makes the partitions of the coming weeks and days, and lets go of what is no longer kept.
 * At start and every hour, in every process: each step is safe beside others doing the same, and one that fails (a lock
 * that a long query holds, Postgres away) is logged and done again the next hour. What is old, the database's clock says.
 */
import type { Clock } from "../clock.ts";
import { patient } from "../database/pool.ts";
import type { Database, Queryable } from "../database/types.ts";
import type { Logger } from "../logger.ts";
import { metrics } from "../metrics.ts";
import { DROP_TOKEN_DAYS, DROP_WEEKS, ENSURE_PARTITIONS, NOTE_ROUND, TRIM_REFUSALS, TRIM_RUNS } from "./queries.ts";
import {
  describeSuspension,
  retentionState,
  skewOf,
  suspensionBy,
  type NeededFor,
  type Suspension,
} from "./retention.ts";

const EVERY_MS = 60 * 60_000;
/** A JWT is accepted for six minutes around its iat, so any day that is over would do. */
const TOKENS_KEPT_DAYS = 3;
const REFUSALS_KEPT = 10_000;
const RUNS_KEPT_DAYS = 30;
const ROWS_AT_ONCE = 5000;

export interface JanitorOptions {
  database: Database;
  logger: Logger;
  clock: Clock;
  /** webhooks are forgotten in whole weeks once all of a week is older; 0 keeps all */
  retentionDays: number;
  /** what other folders have to forget, by what it is; done in each round in which the clocks are trusted */
  more?: Readonly<Record<string, (signal?: AbortSignal) => Promise<unknown>>>;
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

type Step = () => Promise<unknown>;

/** One round. Never throws. */
export async function tidy(options: JanitorOptions, signal?: AbortSignal): Promise<void> {
  const { database, logger } = options;
  const attempt = async (what: string, step: Step): Promise<void> => {
    if (signal?.aborted) return;
    await step().catch((error: unknown) => {
      logger.warn({ error }, `could not ${what}; it is tried again within the hour`);
    });
  };
  let clocks: Suspension | "trusted" = "skewed";
  await attempt("compare the clocks", async () => {
    clocks = await compareClocks(options);
  });
  if (clocks === "skewed") return;
  await attempt("make the partitions of the coming weeks", () => patient(database).query(ENSURE_PARTITIONS));
  if (clocks === "jumped") return;
  await attempt("forget old tokens", () => database.query(DROP_TOKEN_DAYS, [TOKENS_KEPT_DAYS]));
  await attempt("forget old webhooks", () => dropWeeks(options));
  await attempt("trim the refusals", () => database.query(TRIM_REFUSALS, [REFUSALS_KEPT]));
  await attempt("trim the runs", () => repeat(patient(database), TRIM_RUNS, [RUNS_KEPT_DAYS], signal));
  for (const [what, step] of Object.entries(options.more ?? {})) await attempt(what, () => step(signal));
}

/** Whether the clocks are such that something may be forgotten because of its age. */
async function compareClocks({ database, clock, logger }: JanitorOptions): Promise<Suspension | "trusted"> {
  const before = clock.now();
  const { rows } = await database.query<{ steady: boolean; now: number }>(NOTE_ROUND);
  const { steady = false, now = before } = rows[0] ?? {};
  const skewMs = skewOf(before, now, clock.now());
  metrics.clockSkewSeconds.set(skewMs / 1000);
  const suspended = suspensionBy(skewMs, steady);
  if (suspended === null) return "trusted";
  logger.error({ skew_seconds: Math.round(skewMs / 1000) }, describeSuspension(suspended, skewMs));
  return suspended;
}

const NEEDED_FOR: readonly NeededFor[] = ["unprocessed", "undispatched", "undelivered"];

async function dropWeeks({ database, clock, logger, retentionDays }: JanitorOptions): Promise<void> {
  if (retentionDays === 0) return;
  // It looks through whole weeks for what is unprocessed.
  await patient(database).query(DROP_WEEKS, [retentionDays]);
  const { kept_weeks: kept } = await retentionState(database, clock);
  for (const needed_for of NEEDED_FOR) {
    metrics.weeksKept.set({ needed_for }, kept.filter((week) => week.needed_for === needed_for).length);
  }
  if (kept.length === 0) return;
  logger.warn(
    { weeks: kept.length, oldest: kept[0] },
    "weeks of webhooks are kept although they are old, because some are still unprocessed, undispatched or undelivered; " +
      "`tartan status` names them",
  );
}

/** In batches, so that no transaction is long. */
async function repeat(
  database: Queryable,
  statement: string,
  values: readonly unknown[],
  signal: AbortSignal | undefined,
): Promise<void> {
  for (;;) {
    const { rowCount } = await database.query(statement, [...values, ROWS_AT_ONCE]);
    if (rowCount < ROWS_AT_ONCE || signal?.aborted) return;
  }
}
