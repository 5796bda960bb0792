/** Starts backfills and checks of many items for commands: counts, asks for confirmation, then shows progress. */
import { ofFleet } from "../../../api/nouns/jobs/every-job.ts";
import type { Database } from "../../../database/types.ts";
import { TartanError } from "../../../errors.ts";
import type { FleetJob } from "../../../fleet/jobs.ts";
import type { CheckRequest } from "../../../fleet/reading.schema.ts";
import type { ReadingCount } from "../../../fleet/readings.ts";
import { confirm } from "../../input/confirm.ts";
import { sayJob } from "../../output/jobs.ts";
import { dim, say, sayJson } from "../../output/print.ts";
import { followJob } from "../jobs/run.ts";

export interface ReadingFlags {
  integration?: string;
  user?: string;
  item?: string[];
  resources?: string[];
  perMinute?: string;
  reason?: string;
  dryRun?: true;
  follow?: true;
  yes?: true;
  json?: true;
}

/** What the flags that both have ask for. */
function requestOf({ integration, user, item, resources, perMinute, reason }: ReadingFlags): CheckRequest {
  return {
    ...(integration !== undefined && { integration_id: integration }),
    ...(user !== undefined && { user_id: user }),
    ...(item && { item_ids: item }),
    ...(resources && { resources: resources as NonNullable<CheckRequest["resources"]> }),
    ...(perMinute !== undefined && { per_minute: Number(perMinute) }),
    ...(reason !== undefined && { reason }),
  };
}

/**
 * @param ask creates the job, or only counts its items
 * @param what the sentence that the user confirms
 */
export async function startReading(
  database: Database,
  flags: ReadingFlags,
  ask: (request: CheckRequest) => Promise<FleetJob | ReadingCount>,
  what: (count: number) => string,
): Promise<void> {
  const request = requestOf(flags);
  const counted = await ask({ ...request, dry_run: true });
  if (!("count" in counted)) throw new TartanError("internal", "a count was requested and a job was made");
  const { count } = counted;
  if (flags.dryRun) return flags.json ? sayJson({ count }) : say(what(count));
  if (count === 0) return flags.json ? sayJson({ count }) : say(dim("No linked item matches."));
  await confirm(what(count), flags);
  const job = await ask(request);
  if ("count" in job) throw new TartanError("internal", "a job was requested and only counted");
  if (flags.follow || (process.stderr.isTTY && !flags.json)) return followJob(database, job.id, flags);
  sayJob(ofFleet(job), flags);
}
