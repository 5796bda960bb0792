/** Prints a job and its progress. */
import type { FleetJob } from "../../fleet/job-record.ts";
import type { JobRecord } from "../../relay/jobs/jobs.ts";
import { bold, dim, green, plural, red, say, sayFacts, sayJson, state, yellow } from "./print.ts";

/** A job about deliveries or about items. */
export type ShownJob = Omit<FleetJob, "kind" | "per_minute"> &
  Pick<JobRecord, "destination_id" | "route_id"> & { kind: string; per_minute: number | null };

export function sayJob(job: ShownJob, { json }: { json?: true }): void {
  if (json) return sayJson(job);
  const { id, kind, status, destination_id, route_id, reason, per_minute } = job;
  sayFacts({
    job: bold(id),
    kind,
    status: state(status),
    progress: progressOf(job),
    items: per_minute === null ? null : statesOf(job),
    pace: per_minute === null ? null : `${per_minute} a minute`,
    destination: destination_id,
    route: route_id,
    reason,
  });
  sayFailures(job);
}

function progressOf({ total, done, changed, failed, per_minute }: ShownJob): string {
  const what = per_minute === null ? "scheduled" : "changed";
  const failures = failed === 0 ? "" : `, ${red(`${failed} failed`)}`;
  return `${done} of ${total}, ${green(`${changed} ${what}`)}${failures}`;
}

const statesOf = ({ states }: ShownJob): string =>
  Object.entries(states)
    .map(([name, count]) => `${count} ${state(name)}`)
    .join(", ");

function sayFailures({ id, failures }: ShownJob): void {
  if (failures.length === 0) return;
  say();
  for (const { cause, items, message, next_step } of failures) {
    say(`${red(cause)}  ${plural(items, "item")}: ${message}`);
    if (next_step !== null) say(`  ${yellow(next_step)}`);
  }
  say(dim(`npx tartan jobs members ${id} --state failed lists them; npx tartan jobs retry ${id} tries them again`));
}
