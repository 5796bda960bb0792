/**
 * The statements of retention for deliveries, events and the outbox. Rows older than $1 are deleted. Each statement reads $3 rows
 * at most, after id $2, and yields the last of them and how many it deleted.
 */
import { take } from "../database/locks.ts";

/**
 * The instant since which rows are kept, by the database's clock, since ids and times come from it. No row while that clock has
 * just jumped, so that a wrong clock deletes nothing.
 */
export const KEPT_SINCE = `
select now() - make_interval(days => $1::int) as before from journal.retention where steady_since <= now() - interval '1 day'`;

const PASSED = `(select id from old order by id desc limit 1) as last, (select count(*) from gone)::int as gone`;

/** An unfinished job will process the row. */
const IN_JOB = (id: string): string =>
  `exists (select from relay.job_members m join relay.jobs j on j.id = m.job_id and j.finished_at is null where m.member = ${id})`;

/** Finished deliveries with their attempts, by the time when they finished; except those that a job is about to send again. */
export const FORGET_DELIVERIES = `
with old as materialized (
  select id from relay.deliveries where id > $2::uuid and id < tartan.least_id_at($1) order by id limit $3
), gone as (
  delete from relay.deliveries r using old where r.id = old.id and r.status <> 'scheduled' and r.finished_at < $1
    and not ${IN_JOB("r.id")}
  returning r.id
)
select ${PASSED}`;

/** While events are deleted no delivery of theirs is scheduled again, and the other way round. */
export const LOCK_RETENTION = take("retention");

/**
 * Events, except those that wait for dispatch (an event's id has the time of its outbox row), those with a delivery that waits or
 * can be sent again from the dead letters, and those that a job will process.
 */
export const FORGET_EVENTS = `
with old as materialized (
  select id from events.events
  where id > $2::uuid and id < tartan.least_id_at(
    least($1, coalesce((select min(written_at) from events.outbox where position is null), $1)))
  order by id limit $3
), gone as (
  delete from events.events e using old
  where e.id = old.id and not ${IN_JOB("e.id")}
    and not exists (select from relay.deliveries r
      where r.event_id = old.id and r.status in ('scheduled', 'dead') and r.body is null)
  returning e.id
)
select ${PASSED}`;

/** Dispatched rows of the outbox; stores how far they went. Their ids are nearly in the order of time. */
export const FORGET_OUTBOX = `
with old as materialized (
  select id, written_at from events.outbox where id > $2::bigint order by id limit $3
), gone as (
  delete from events.outbox o using old
  where o.id = old.id and o.written_at < $1 and o.position is not null
  returning o.position, cardinality(o.webhooks) + cardinality(o.events) as events
), noted as (
  insert into events.forgotten as f (position, events) select position, events from gone order by position desc limit 1
  on conflict (only_one) do update set position = excluded.position, events = excluded.events
  where f.position < excluded.position
)
select (select case when written_at < $1 then id::text end from old order by id desc limit 1) as last,
  (select count(*) from gone)::int as gone`;
