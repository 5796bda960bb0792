/** The statements of retention for events and the outbox. What is older than $1 is read, $3 rows at most, after id $2. */

/** Events, except those that wait for dispatch: an event's id has the time of its outbox row. */
export const OLD_EVENTS = `
select id from events.events
where id > $2::uuid and id < tartan.least_id_at(
  least($1, coalesce((select min(written_at) from events.outbox where position is null), $1)))
order by id limit $3`;

export const DELETE_EVENTS = "delete from events.events where id = any ($1::uuid[])";

/**
 * Dispatched rows of the outbox; stores how far they went. Their ids are nearly in the order of time. Yields the last row that was
 * read, null behind the old ones, and how many were deleted.
 */
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
