/** Watches for what Plaid should have said and did not: the worker of this folder, in processes with the role `sync`. */
import { startWorkerLoop } from "../database/worker-loop.ts";
import type { Pressure } from "../model/pressure.ts";
import { Watches } from "./watches.ts";
import { countFreshness } from "./freshness-pass.ts";
import { SentLists, type SentListsOptions } from "./sent-lists.ts";

export interface SilenceOptions extends SentListsOptions {
  /** of reconciliation */
  windowSeconds: number;
  /** between two looks whether something is due; 2 s */
  pollMs?: number;
  /** it gives way to webhooks that wait for a commit in this process */
  pressure?: Pressure;
}

const POLL_MS = 2000;
const WATCH_POLL_MS = 15_000;

/** Starts watching; disposing stops it. */
export async function startSilence(options: SilenceOptions): Promise<AsyncDisposable> {
  const { database, clock, logger, everySeconds, pollMs = POLL_MS, pressure } = options;
  const stop = new AbortController();
  const loops: AsyncDisposable[] = [];
  const lists = new SentLists(options);
  const gate = pressure && { gate: pressure.gate({ worker: "silence", everyMs: 1000, rest: 3 }) };
  const shared = { database, clock, logger, channels: [], pollMs, ...gate };
  if (everySeconds > 0)
    loops.push(
      await startWorkerLoop({
        ...shared,
        trouble: "cannot read Plaid's lists of sent webhooks; trying again",
        work: async () => !stop.signal.aborted && (await lists.work(stop.signal)),
      }),
    );
  const watches = new Watches(options);
  loops.push(
    await startWorkerLoop({
      ...shared,
      pollMs: Math.max(pollMs, WATCH_POLL_MS),
      trouble: "cannot look whether Plaid's webhooks still come; trying again",
      work: async () => !stop.signal.aborted && (await watches.work(stop.signal)),
    }),
  );
  loops.push(
    await startWorkerLoop({
      ...shared,
      pollMs: Math.max(pollMs, WATCH_POLL_MS),
      trouble: "cannot count how fresh the mirror is; trying again",
      work: async () => !stop.signal.aborted && (await countFreshness(options, stop.signal)),
    }),
  );
  return {
    [Symbol.asyncDispose]: async () => {
      stop.abort(new Error("the watch for silence stops"));
      await Promise.all(loops.map((loop) => loop[Symbol.asyncDispose]()));
    },
  };
}
