/**
 * What backfills and checks share. Each member makes its item due and waits for the end of the ordinary run. Runs that webhooks made due
 * go first: at most a quarter of sync's concurrency is begun at once, and nothing while more waits than a process works on at once, or while
 * less than half of a burst that Plaid's limits allow is left, of the job's integration if it is about one.
 */
import { endpointsOf, resourcesOf } from "../../resources/index.ts";
import { dueDepth } from "../../sync/depth.ts";
import { waitFor, type Context, type Member, type Outcome } from "../kind.ts";
import { BUSY_ENDPOINTS, OTHERS_BEGUN } from "./reading-queries.ts";

/** A long history waits for Plaid's limits, and an outage of a bank takes hours. */
const ENDS_WITHIN_SECONDS = 6 * 3600;
/** Most runs end sooner, so most members need no second look of the runner's. */
const WATCHED_MS = 4000;
const WATCH_EVERY_MS = 100;

const ENDPOINTS = [...new Set(resourcesOf("item").flatMap(({ fetch }) => endpointsOf(fetch)))];

/**
 * Members that may be begun now.
 * @param unfinished of this job; those of other such jobs count too
 */
export async function room({ database, job, syncConcurrency }: Context, unfinished: number): Promise<number> {
  const most = Math.max(1, Math.floor(syncConcurrency / 4));
  const { rows } = await database.query<{ begun: number }>(OTHERS_BEGUN, [job.id]);
  const begun = unfinished + (rows[0]?.begun ?? 0);
  if (begun >= most) return 0;
  const { unmarked, due } = await dueDepth(database);
  // Items that such jobs made due are among those. So many as one process works on at once are no queue.
  if (unmarked + due - begun > syncConcurrency) return 0;
  const busy = await database.query(BUSY_ENDPOINTS, [ENDPOINTS, job.integrationId]);
  return busy.rowCount > 0 ? 0 : most - begun;
}

/** Waits a moment for the end; then the member is outstanding. */
export async function untilEnd(
  { clock, signal }: Context,
  state: string,
  ended: () => Promise<Outcome | null>,
): Promise<Outcome> {
  for (let waited = 0; waited < WATCHED_MS; waited += WATCH_EVERY_MS) {
    await clock.sleep(WATCH_EVERY_MS, signal);
    signal.throwIfAborted();
    const outcome = await ended();
    if (outcome) return outcome;
  }
  return waitFor(state, { forSeconds: ENDS_WITHIN_SECONDS, overdue: "not_finished" });
}

/** The outcomes of those members that have one. */
export async function outcomesOf<State>(
  members: readonly Member[],
  states: readonly State[],
  outcomeOf: (state: State) => Outcome | null,
): Promise<ReadonlyMap<number, Outcome>> {
  const pairs = members.map(({ n }, index) => [n, outcomeOf(states[index] as State)] as const);
  return new Map(pairs.filter((pair): pair is readonly [number, Outcome] => pair[1] !== null));
}

export const CAUSES = {
  unlinked: { message: "The item is no longer linked.", next_step: null },
  not_finished: {
    message: "Its sync run did not end within six hours.",
    next_step: "See `npx tartan items show` for what it waits for. Then try again.",
  },
} as const;
