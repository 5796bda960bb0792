/** What the tests of what comes after sending share: deliveries that have a past, without anybody sending them. */
import type { Database } from "../../src/database/types.ts";
import { Dispatcher } from "../../src/relay/dispatch/dispatcher.ts";
import { workOnce } from "../../src/relay/jobs/job-runner.ts";
import type { JobCount, JobRecord } from "../../src/relay/jobs/jobs.ts";

/** Dispatches everything that waits. */
export async function dispatchAll(database: Database): Promise<void> {
  const dispatcher = new Dispatcher(database, "test");
  while ((await dispatcher.dispatch()).rows > 0);
}

/** Works on jobs until none is left to work on; @returns batches */
export async function workAll(database: Database): Promise<number> {
  let batches = 0;
  while (await workOnce(database)) batches += 1;
  return batches;
}

/** Makes the deliveries that fit look as if this had come of them. */
export async function settle(
  database: Database,
  status: "delivered" | "dead" | "cancelled",
  { cause = null, where = "true", at = "now()" }: { cause?: string | null; where?: string; at?: string } = {},
): Promise<void> {
  await database.query(
    `update relay.deliveries set status = $1, cause = $2, due_at = null, finished_at = ${at}, attempts = 3, tries = 3 where ${where}`,
    [status, cause],
  );
}

export interface DeliveryRow {
  id: string;
  seq: number;
  event_id: string;
  event_type: string;
  item_id: string | null;
  destination_id: string;
  status: string;
  tries: number;
  attempts: number;
  job_id: string | null;
  due: boolean | null;
  ordering_key: string | null;
  form: string;
  body: Buffer | null;
  route_id: string;
}

/** All deliveries, in their order. */
export async function deliveries(database: Database, destinationId?: string): Promise<DeliveryRow[]> {
  const { rows } = await database.query<DeliveryRow>(
    `select *, due_at <= now() as due from relay.deliveries where $1::text is null or destination_id = $1 order by seq`,
    [destinationId ?? null],
  );
  return rows;
}

/** The job, where it was not only counted. */
export function whole(made: JobRecord | JobCount): JobRecord {
  if ("count" in made) throw new Error("it was only counted");
  return made;
}

/** What a job is about, in the order in which it is worked on. */
export const members = async ({ database }: { database: Database }, jobId: string): Promise<string[]> =>
  (
    await database.query<{ member: string }>("select member from relay.job_members where job_id = $1 order by n", [
      jobId,
    ])
  ).rows.map(({ member }) => member);
