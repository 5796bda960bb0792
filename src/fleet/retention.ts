/**
 * Retention of fleet jobs: a finished job and its members are kept for 30 days, since a move can be rolled back for so long. A job
 * that stays paused for 30 days is cancelled.
 */
import { DELETED_AT_ONCE } from "../database/parts.ts";
import type { Queryable } from "../database/types.ts";

const KEPT = "interval '30 days'";
const END_PAUSED = `
update fleet.jobs set status = 'cancelled', finished_at = now(), updated_at = now()
where status = 'paused' and updated_at < now() - ${KEPT}`;
/** Of one job at a time; its row is locked first. */
const FORGET_MEMBERS = `
with job as materialized (
  select j.id from fleet.jobs j where j.finished_at < now() - ${KEPT} and exists (select from fleet.members m where m.job_id = j.id)
  limit 1 for no key update skip locked
)
delete from fleet.members where ctid = any (array(
  select m.ctid from job, fleet.members m where m.job_id = job.id limit ${DELETED_AT_ONCE}))`;
const FORGET_JOBS = `
delete from fleet.jobs j where finished_at < now() - ${KEPT} and not exists (select from fleet.members m where m.job_id = j.id)`;

export async function pruneFleet(q: Queryable, signal?: AbortSignal): Promise<void> {
  await q.query(END_PAUSED);
  for (;;) {
    const { rowCount } = await q.query(FORGET_MEMBERS);
    if (rowCount === 0 || signal?.aborted) break;
  }
  await q.query(FORGET_JOBS);
}
