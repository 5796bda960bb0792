/**
 * Maintains the journal: makes the partitions of the coming weeks and days, and deletes what is older than its retention,
 * webhooks as a whole or their bodies alone (bodies.ts).
 * It works at the start and every hour, in every process: each step is safe while others do the same, and a step that fails (a
 * long query holds a lock, Postgres is down) is logged and repeated in the next hour. Ages are by the database's clock.
 */
import type { Clock } from "../clock.ts";
import { cancellable } from "../database/cancellable.ts";
import { patient } from "../database/pool.ts";
import type { Database, Queryable } from "../database/types.ts";
import type { Logger } from "../logger.ts";
import { metrics } from "../metrics.ts";
import { WEEK_NEEDS } from "../model/statuses.ts";
import { pruneBodies } from "./bodies.ts";
import { DROP_TOKEN_DAYS, ENSURE_PARTITIONS, NOTE_KEPT, NOTE_ROUND, TRIM_REFUSALS } from "./queries.ts";
import { describeSuspension, skewOf, suspensionBy, type KeptWeek, type NeedsWebhooks } from "./retention.ts";
import { dropOldWeeks } from "./weeks.ts";

const EVERY_MS = 60 * 60_000;
/** A JWT is accepted for six minutes around its iat, so one day would be enough. */
const TOKENS_KEPT_DAYS = 3;
const REFUSALS_KEPT = 10_000;
const ROWS_AT_ONCE = 5000;
/** Partitions are made by the database's clock, which has its own check; a smaller difference of the clocks does not matter here. */
const PARTITIONS_SKEW_MAX_MS = 24 * 60 * 60_000;

export interface JanitorOptions {
  database: Database;
  logger: Logger;
  clock: Clock;
  /** webhooks are deleted in whole weeks once all of a week is older; 0 keeps all */
  retentionDays: number;
  /** the age of webhooks whose bodies are pruned; absent: bodies stay as long as their webhooks */
  bodyRetentionDays?: number | undefined;
  /** the other folders that need webhooks: retention deletes nothing that one of them needs */
  neededBy: readonly NeedsWebhooks[];
  /** work that other folders have to finish, by its name; done in each round */
  always?: Readonly<Record<string, (signal?: AbortSignal) => Promise<unknown>>>;
  /** old rows that other folders delete, by name; done in each round in which the clocks are trusted */
  more?: Readonly<Record<string, (signal?: AbortSignal) => Promise<unknown>>>;
}

/**
 * Works at once, and then every hour until it is disposed. When this resolves, the coming partitions have been made,
 * unless Postgres refused, which is logged: the journal can store webhooks without a partition of their own. The rest of the first
 * round, which may take long, continues in the background. Disposing cancels it.
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
 * Compares the clocks and makes the coming partitions. A clock that is minutes off stops only deletions by age: without a
 * partition a week's webhooks gather in one table, and making it later moves them while the intake waits.
 * @returns whether something may be deleted because of its age
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

/** Whether the clocks allow deletions by age, and how far they differ. */
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

/** Deletes rows beyond their bound, and if `byAge` also rows beyond their age. */
async function forget(options: JanitorOptions, byAge: boolean, signal?: AbortSignal): Promise<void> {
  const { database, always = {}, more = {} } = options;
  const q = cancellable(database, signal);
  await attempt(options, signal, "delete refusals beyond the bound", () =>
    repeat(q, TRIM_REFUSALS, [REFUSALS_KEPT], signal),
  );
  for (const [what, step] of Object.entries(always)) await attempt(options, signal, what, () => step(signal));
  if (!byAge) return;
  await attempt(options, signal, "delete old tokens", () => database.query(DROP_TOKEN_DAYS, [TOKENS_KEPT_DAYS]));
  await attempt(options, signal, "delete old webhooks", () => forgetWeeks(options, signal));
  const { bodyRetentionDays: days, neededBy } = options;
  if (days !== undefined)
    await attempt(options, signal, "prune the bodies of old webhooks", () =>
      pruneBodies({ database, days, neededBy }, signal),
    );
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
