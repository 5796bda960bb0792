/** The rows of the bench of everything in one process, and what the processors allow it. */
import type { LoadResult } from "./load.ts";
import { acceptable, askedFor, type Costs } from "./processors.ts";
import { ms, rate, type Row } from "./report.ts";
import { stageRows, type Stages } from "./stages.ts";

export const CHANGES_PER_SECOND = 100;
/** Plaid's limit of /transactions/sync for a client is 2,500 requests a minute. */
export const ADMITTED_PER_SECOND = 40;

/** What a part of the bench found. */
export interface Measured {
  accepted: LoadResult;
  stages: Stages;
  runsPerSecond: number;
  deliveredPerSecond: number;
  blockedMs: number;
  /** seconds of the processors that each delivery took which was made after the load */
  deliver: number;
}

type Parts = Record<"full" | "half" | "admitted", Measured>;

/** @param limit webhooks that the receiver alone accepts each second */
export function rowsOf(limit: number, { full, half, admitted }: Parts, costs: Costs): Row[] {
  const bench = "everything";
  const besideHalf = rate(half.accepted.perSecond);
  const met: Row["aim"] = { ratio: 1, better: "less" };
  const freshness = ({ stages: { fresh } }: Measured, changes: number, beside: string, aim?: Row["aim"]): Row => ({
    bench,
    what: `webhook received → row visible at ${changes}/s beside ${beside}, p50 / p99`,
    figure: `${ms(fresh.p50)} / ${ms(fresh.p99)}`,
    against: "250 ms",
    ratio: fresh.p99 / 250,
    ...(aim && { aim }),
  });
  const delayed = (of: Measured, beside: string): Row => ({
    bench,
    what: `the event loop was blocked for less than this in all seconds, beside ${beside}`,
    figure: ms(of.blockedMs),
    against: "50 ms",
    ratio: of.blockedMs / 50,
    aim: met,
  });
  return [
    {
      bench,
      what: `webhooks accepted while sync and relay work (${rate(full.runsPerSecond)} runs, ${rate(full.deliveredPerSecond)} deliveries)`,
      figure: rate(full.accepted.perSecond),
      against: `${rate(limit)} receiver alone`,
      ratio: full.accepted.perSecond / limit,
      aim: { ratio: 0.8, better: "more" },
    },
    ...limitRows(limit, costs, { full, half }),
    freshness(half, CHANGES_PER_SECOND, besideHalf, met),
    ...stageRows(bench, half.stages, besideHalf),
    freshness(admitted, ADMITTED_PER_SECOND, `${rate(admitted.accepted.perSecond)}, as many as Plaid admits`, met),
    freshness(full, CHANGES_PER_SECOND, `${rate(full.accepted.perSecond)}, the most that is accepted`),
    delayed(half, besideHalf),
    delayed(full, `${rate(full.accepted.perSecond)}`),
  ];
}

/** What the processors allow, by what each piece of work took of them in this run. */
function limitRows(limit: number, costs: Costs, { full, half }: Pick<Parts, "full" | "half">): Row[] {
  const bench = "everything";
  const micros = (seconds: number): string => `${Math.round(seconds * 1e6)} µs`;
  const allowed = (what: string, changes: number, deliveries: number): Row => {
    const most = acceptable(costs, changes, deliveries);
    return { bench, what, figure: rate(most), against: `${rate(limit)} receiver alone`, ratio: most / limit };
  };
  const { accept, settle, change, deliver } = costs;
  return [
    allowed(
      `limit: what the processors allow beside that work (a webhook takes ${micros(accept)}, its settling ${micros(settle)}, a change ${micros(change)}, a delivery ${micros(deliver)})`,
      full.runsPerSecond,
      full.deliveredPerSecond,
    ),
    allowed(`limit: the same beside ${CHANGES_PER_SECOND} runs a second and no delivery`, CHANGES_PER_SECOND, 0),
    {
      bench,
      what: `limit: the processors' time that ${CHANGES_PER_SECOND} changes and ${rate(half.accepted.perSecond)}, each delivered, ask for`,
      figure: `${(askedFor(costs, CHANGES_PER_SECOND, half.accepted.perSecond) * costs.available).toFixed(2)} s a second`,
      against: `${costs.available.toFixed(2)} s receiver alone`,
      ratio: askedFor(costs, CHANGES_PER_SECOND, half.accepted.perSecond),
    },
  ];
}
