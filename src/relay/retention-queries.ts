/**
 * The statements of retention for deliveries, and what deliveries need of others.
 */
import { take } from "../database/locks.ts";

/**
 * The instant since which rows are kept, by the database's clock, since ids and times come from it. No row while that clock has
 * just jumped, so that a wrong clock deletes nothing.
 */
export const KEPT_SINCE = `
select now() - make_interval(days => $1::int) as before from journal.retention where steady_since <= now() - interval '1 day'`;

/** An unfinished job will process the row. */
const IN_JOB = (id: string): string =>
  `exists (select from relay.job_members m join relay.jobs j on j.id = m.job_id and j.finished_at is null where m.member = ${id})`;

/**
 * Finished deliveries with their attempts, by the time when they finished, before $1; except those that a job is about to send again.
 * Reads $3 rows at most, after id $2, and yields the last of them and how many it deleted.
 */
export const FORGET_DELIVERIES = `
with old as materialized (
  select id from relay.deliveries where id > $2::uuid and id < tartan.least_id_at($1) order by id limit $3
), gone as (
  delete from relay.deliveries r using old where r.id = old.id and r.status <> 'scheduled' and r.finished_at < $1
    and not ${IN_JOB("r.id")}
  returning r.id
)
select (select id from old order by id desc limit 1) as last, (select count(*) from gone)::int as gone`;

/** While events are deleted no delivery of theirs is scheduled again, and the other way round. */
export const LOCK_RETENTION = take("retention");

/** Those of the webhooks or events $1 that a delivery may send, or that an unfinished job will process. */
export const NEEDED = `
select n.id from unnest($1::uuid[]) as n (id)
where exists (select from relay.deliveries r
  where r.event_id = n.id and r.status in ('scheduled', 'dead') and r.body is null)
union
select n.id from unnest($1::uuid[]) as n (id) where ${IN_JOB("n.id")}`;

/** Whether any webhook from id $1 to before id $2 is needed. */
export const NEEDS_WEBHOOKS = "select relay.needs_webhooks($1::uuid, $2::uuid) as needed";
