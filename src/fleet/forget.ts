/** Forgets the members of an item that is erased, and what an integration that is purged has here. */
import { DELETED_AT_ONCE, untilNone } from "../database/parts.ts";
import type { Queryable } from "../database/types.ts";
import { LOCK_CREATION } from "./queries.ts";

/** A change of members locks their jobs first, in the order of their ids, since an item may be in several. */
const LOCK_JOBS_OF_ITEM = `
select from fleet.jobs where id in (select job_id from fleet.members where integration_id = $1 and item_id = $2)
order by id for no key update`;
const FORGET_ITEM = "delete from fleet.members where integration_id = $1 and item_id = $2";
const FORGET_NAME = `update fleet.jobs set asked = jsonb_set(asked, '{item_ids}', (asked -> 'item_ids') - $1::text)
  where asked -> 'item_ids' ? $1::text`;

/** A job at a time, so that few locks are held. */
const PURGE_MEMBERS = `
with job as materialized (
  select id from fleet.jobs where id = (select job_id from fleet.members where integration_id = $1 limit 1) for no key update
)
delete from fleet.members where ctid = any (array(
  select m.ctid from job, fleet.members m where m.job_id = job.id and m.integration_id = $1 limit ${DELETED_AT_ONCE}))`;
const PURGE_JOBS = "delete from fleet.jobs where integration_id = $1";

export async function forgetItem(tx: Queryable, integrationId: string, itemId: string): Promise<void> {
  // A job that is being created may have taken the item already.
  await tx.query(LOCK_CREATION);
  await tx.query(LOCK_JOBS_OF_ITEM, [integrationId, itemId]);
  await tx.query(FORGET_ITEM, [integrationId, itemId]);
  await tx.query(FORGET_NAME, [itemId]);
}

/** In parts. */
export async function purgeIntegration(q: Queryable, id: string): Promise<void> {
  await untilNone(q, PURGE_MEMBERS, [id]);
  await q.query(PURGE_JOBS, [id]);
}
