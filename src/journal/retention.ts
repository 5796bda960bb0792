/**
 * The clock of retention, and the weeks that retention keeps beyond their time.
 *
 * Retention uses the database's clock, since there is only one. It deletes nothing while that clock and this process's differ by
 * minutes, since one of them is wrong and Tartan cannot know which; nor for a day after the database's clock has jumped back, or
 * forward by days.
 */
import type { Clock } from "../clock.ts";
import type { Queryable } from "../database/types.ts";
import type { WeekNeed } from "../model/statuses.ts";
import { PRUNED } from "./body-queries.ts";
import { RETENTION_STATE } from "./queries.ts";

/** Clocks that NTP sets differ by milliseconds. */
export const SKEW_MAX_MS = 2 * 60_000;

/** Another folder whose work needs webhooks, as retention asks it. */
export interface NeedsWebhooks {
  /** the reason to keep a week for it */
  neededFor: WeekNeed;
  /** whether it needs a webhook with an id from `first` to before `behind` */
  between(q: Queryable, first: string, behind: string): Promise<boolean>;
  /** the webhooks among these that it needs */
  among(q: Queryable, ids: readonly string[]): Promise<readonly string[]>;
}

export interface KeptWeek {
  /** its Monday, `2026-11-16` */
  week: string;
  /** why it is kept although it is past the retention time */
  needed_for: WeekNeed;
}

/** What pruning has removed from the weeks that there are. */
export interface PrunedBodies {
  webhooks: number;
  /** of their bodies and JWTs */
  bytes: number;
  /** by which rewriting made weeks smaller */
  given_back_bytes: number;
}

export interface RetentionState {
  /** weeks beyond the retention that hold webhooks that are still needed; the oldest first */
  kept_weeks: KeptWeek[];
  /** how far the database's clock is ahead of this process's; negative: behind */
  clock_skew_seconds: number;
  /** why nothing is deleted just now, and what to do; null while retention works */
  suspended: string | null;
  /** what pruning has removed */
  pruned: PrunedBodies;
}

/** How far (ms, at least) a clock that showed `there` is ahead of ours, which showed `before` and `after` around it. */
export function skewOf(before: number, there: number, after: number): number {
  if (there > after) return there - after;
  return there < before ? there - before : 0;
}

/** `skewed`: the two clocks differ by minutes; `jumped`: the database's did not advance evenly from round to round. */
export type Suspension = "skewed" | "jumped";

/** Why nothing may be deleted because of its age; null if it may. */
export function suspensionBy(skewMs: number, steady: boolean): Suspension | null {
  if (Math.abs(skewMs) > SKEW_MAX_MS) return "skewed";
  return steady ? null : "jumped";
}

/** The same as a sentence, with what to do. */
export function describeSuspension(suspension: Suspension, skewMs: number): string {
  if (suspension === "jumped")
    return (
      "The database's clock has jumped, or Tartan did not run for days. Tartan deletes nothing because of its age for a " +
      "day. Check that the clock of the database's machine is right."
    );
  const by = `${Math.round(Math.abs(skewMs) / 1000)} s ${skewMs > 0 ? "behind" : "ahead of"}`;
  return (
    `The clock of this process is ${by} the database's. Tartan deletes nothing because of its age until they agree. ` +
    "Set both by NTP."
  );
}

/** The state of retention, as the last round found it. */
export async function retentionState(q: Queryable, clock: Clock): Promise<RetentionState> {
  const before = clock.now();
  const { rows } = await q.query<{ kept: KeptWeek[]; looked_at: Date | null; steady: boolean; now: number }>(
    RETENTION_STATE,
  );
  const [state] = rows;
  const pruned = await prunedBodies(q);
  if (!state) return { kept_weeks: [], clock_skew_seconds: 0, suspended: null, pruned };
  const skewMs = skewOf(before, state.now, clock.now());
  const suspension = suspensionBy(skewMs, state.steady);
  return {
    kept_weeks: state.kept,
    clock_skew_seconds: Math.round(skewMs / 100) / 10,
    suspended: suspension && describeSuspension(suspension, skewMs),
    pruned,
  };
}

export async function prunedBodies(q: Queryable): Promise<PrunedBodies> {
  const { rows } = await q.query<PrunedBodies>(PRUNED);
  return rows[0] ?? { webhooks: 0, bytes: 0, given_back_bytes: 0 };
}
