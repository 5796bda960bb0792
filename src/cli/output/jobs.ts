/** Prints a job and its progress. */
import type { JobRecord } from "../../relay/jobs/jobs.ts";
import { bold, green, sayFacts, sayJson, state } from "./print.ts";

export function sayJob(job: JobRecord, { json }: { json?: true }): void {
  if (json) return sayJson(job);
  const { id, kind, status, total, done, changed, destination_id, route_id, reason } = job;
  sayFacts({
    job: bold(id),
    kind,
    status: state(status),
    progress: `${done} of ${total}, ${green(`${changed} scheduled`)}`,
    destination: destination_id,
    route: route_id,
    reason,
  });
}
