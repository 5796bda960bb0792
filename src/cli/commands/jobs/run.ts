/** Starts jobs for commands: counts, asks for confirmation, then shows progress, which Ctrl-C ends without ending the job. */
import { setTimeout as delay } from "node:timers/promises";
import type { Queryable } from "../../../database/types.ts";
import { TartanError } from "../../../errors.ts";
import { getEveryJob, ofRelay } from "../../../api/nouns/jobs/every-job.ts";
import type { JobRecord } from "../../../relay/jobs/jobs.ts";
import { confirm } from "../../input/confirm.ts";
import { sayJob } from "../../output/jobs.ts";
import { dim, say, sayJson, tell } from "../../output/print.ts";
import { progressBar } from "../../output/progress.ts";
import { untilStopped } from "../../wiring/signals.ts";

export interface JobFlags {
  reason?: string;
  yes?: true;
  dryRun?: true;
  follow?: true;
  json?: true;
}

/**
 * @param ask creates the job, or only counts what it would change
 * @param what the sentence that the user confirms
 */
export async function runJob(
  q: Queryable,
  ask: (dryRun: boolean) => Promise<JobRecord | { count: number }>,
  what: (count: number) => string,
  flags: JobFlags,
): Promise<void> {
  const counted = await ask(true);
  const count = "count" in counted ? counted.count : counted.total;
  if (flags.dryRun) return flags.json ? sayJson({ count }) : say(what(count));
  if (count === 0) return flags.json ? sayJson({ count }) : say(dim("Nothing matches, so there is nothing to send."));
  await confirm(what(count), flags);
  const job = await ask(false);
  if ("count" in job) throw new TartanError("internal", "a job was requested and only counted");
  if (flags.follow || (process.stderr.isTTY && !flags.json)) return followJob(q, job.id, flags);
  sayJob(ofRelay(job), flags);
}

const POLL_MS = 300;

/**
 * Shows a job's progress until it ends or is paused. Ctrl-C ends only the display. Exits with 1 where an item failed, or where a check
 * found rows wrong, so that a script notices.
 */
export async function followJob(q: Queryable, id: string, { json }: { json?: true }): Promise<void> {
  const stop = new AbortController();
  void untilStopped().then(() => stop.abort());
  let job = await getEveryJob(q, id);
  const bar = progressBar(job.per_minute === null ? "deliveries" : "items");
  bar.start(job.total, job.done);
  while (job.status === "running" && !stop.signal.aborted) {
    await delay(POLL_MS, undefined, { signal: stop.signal }).catch(() => undefined);
    job = await getEveryJob(q, id);
    bar.update(job.done);
  }
  bar.stop();
  if (job.status === "running") tell(dim(`${id} continues in the server; npx tartan jobs cancel ${id} stops it`));
  sayJob(job, json ? { json } : {});
  if (job.failed > 0 || (job.kind === "check" && job.changed > 0)) process.exitCode = 1;
}
