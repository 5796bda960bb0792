/**
 * Keeps the journal in shape: makes the partitions of the coming weeks and days, and lets go of what is no longer kept.
 * At start and every hour, in every process: each step is safe beside others doing the same, and one that fails (a lock
 * that a long query holds, Postgres away) is logged and done again the next hour. What is old, the database's clock says.
 */
import type { Clock } from "../clock.ts";
import { cancellable } from "../database/cancellable.ts";
import { patient } from "../database/pool.ts";
import type { Database, Queryable } from "../database/types.ts";
import type { Logger } from "../logger.ts";
import { metrics } from "../metrics.ts";
import { WEEK_NEEDS } from "../model/statuses.ts";
import { DROP_TOKEN_DAYS, ENSURE_PARTITIONS, NOTE_KEPT, NOTE_ROUND, TRIM_REFUSALS } from "./queries.ts";
import { describeSuspension, skewOf, suspensionBy, type KeptWeek, type NeedsWebhooks } from "./retention.ts";
import { dropOldWeeks } from "./weeks.ts";

const EVERY_MS = 60 * 60_000;
/** A JWT is accepted for six minutes around its iat, so any day that is over would do. */
const TOKENS_KEPT_DAYS = 3;
const REFUSALS_KEPT = 10_000;
const ROWS_AT_ONCE = 5000;
/** Partitions are made by the database's clock, which has its own guard; two clocks that differ by less are as good as equal here. */
const PARTITIONS_SKEW_MAX_MS = 24 * 60 * 60_000;

export interface JanitorOptions {
  database: Database;
  logger: Logger;
  clock: Clock;
  /** webhooks are forgotten in whole weeks once all of a week is older; 0 keeps all */
  retentionDays: number;
  /** who else needs webhooks: nothing is forgotten that one of them needs */
  neededBy: readonly NeedsWebhooks[];
  /** what other folders have to finish, by what it is; done in each round */
  always?: Readonly<Record<string, (signal?: AbortSignal) => Promise<unknown>>>;
  /** what other folders have to forget, by what it is; done in each round in which the clocks are trusted */
  more?: Readonly<Record<string, (signal?: AbortSignal) => Promise<unknown>>>;
}

/**
 * Tidies up at once, and then every hour until it is disposed. When this resolves, the coming partitions have been made,
 * unless Postgres refused, which is logged: the journal has room for weeks it was not prepared for. The rest of the first
 * round, which may take long, goes on behind. Disposing cancels what runs.
 */
export async function startJanitor(options: JanitorOptions): Promise<AsyncDisposable> {
  const stop = new AbortController();
  const { signal } = stop;
  const mayForget = await prepare(options, signal);
  const rounds = (async () => {
    await forget(options, mayForget, signal);
    for (;;) {
      await options.clock.sleep(EVERY_MS, signal);
      if (signal.aborted) return;
      await tidy(options, signal);
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
  await forget(options, await prepare(options, signal), signal);
}

type Step = () => Promise<unknown>;

async function attempt(
  { logger }: JanitorOptions,
  signal: AbortSignal | undefined,
  what: string,
  step: Step,
): Promise<void> {
  if (signal?.aborted) return;
  await step().catch((error: unknown) => {
    if (!signal?.aborted) logger.warn({ error }, `could not ${what}; it is tried again within the hour`);
  });
}

/**
 * Compares the clocks and makes the coming partitions. A clock that is minutes off stops only the forgetting: without its
 * partition a week's webhooks gather in one table, and making it later moves them while the intake waits.
 * @returns whether something may be forgotten because of its age
 */
async function prepare(options: JanitorOptions, signal?: AbortSignal): Promise<boolean> {
  let clocks = { trusted: false, skewMs: Infinity };
  await attempt(options, signal, "compare the clocks", async () => {
    clocks = await compareClocks(options);
  });
  if (Math.abs(clocks.skewMs) < PARTITIONS_SKEW_MAX_MS) {
    await attempt(options, signal, "make the partitions of the coming weeks", () =>
      patient(options.database).query(ENSURE_PARTITIONS),
    );
  }
  return clocks.trusted;
}

/** Whether the clocks are such that something may be forgotten because of its age, and how far they differ. */
async function compareClocks({
  database,
  clock,
  logger,
}: JanitorOptions): Promise<{ trusted: boolean; skewMs: number }> {
  const before = clock.now();
  const { rows } = await database.query<{ steady: boolean; now: number }>(NOTE_ROUND);
  const { steady = false, now = before } = rows[0] ?? {};
  const skewMs = skewOf(before, now, clock.now());
  metrics.clockSkewSeconds.set(skewMs / 1000);
  const suspended = suspensionBy(skewMs, steady);
  if (suspended === null) return { trusted: true, skewMs };
  logger.error({ skew_seconds: Math.round(skewMs / 1000) }, describeSuspension(suspended, skewMs));
  return { trusted: false, skewMs };
}

/** Lets go of what is no longer kept: what is too many always, what is too old if `byAge`. */
async function forget(options: JanitorOptions, byAge: boolean, signal?: AbortSignal): Promise<void> {
  const { database, always = {}, more = {} } = options;
  const q = cancellable(database, signal);
  await attempt(options, signal, "trim the refusals", () => repeat(q, TRIM_REFUSALS, [REFUSALS_KEPT], signal));
  for (const [what, step] of Object.entries(always)) await attempt(options, signal, what, () => step(signal));
  if (!byAge) return;
  await attempt(options, signal, "forget old tokens", () => database.query(DROP_TOKEN_DAYS, [TOKENS_KEPT_DAYS]));
  await attempt(options, signal, "forget old webhooks", () => forgetWeeks(options, signal));
  for (const [what, step] of Object.entries(more)) await attempt(options, signal, what, () => step(signal));
}

async function forgetWeeks(options: JanitorOptions, signal: AbortSignal | undefined): Promise<void> {
  const { kept, failures } = await dropOldWeeks(options, signal);
  await options.database.query(NOTE_KEPT, [JSON.stringify(kept)]);
  noteKept(kept, options.logger);
  if (failures.length > 0) throw failures[0];
}

function noteKept(kept: readonly KeptWeek[], logger: Logger): void {
  for (const needed_for of WEEK_NEEDS) {
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
