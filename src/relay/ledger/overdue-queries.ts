/** The statements of the sweep: what waits too long, and what is no longer kept. */
import { take } from "../../database/locks.ts";
import type { Statement } from "../../database/types.ts";
import { HELD } from "./delivery-queries.ts";

const statement = (name: string, text: string): Statement => ({ name: `relay_${name}`, text });

/**
 * What waits is counted no further than this, in all. Each look walks so many entries of an index at most, so it costs the
 * same with ten thousand deliveries and with ten million.
 */
const COUNT_MAX = 10_001;

/**
 * Deliveries of destination x in a state, counted no further than is needed. In the order of an index: without it Postgres would
 * gather all of them first.
 */
const some = (state: string, order: string): string =>
  `(select from relay.deliveries r where r.destination_id = x.id and ${state} order by ${order} limit ${COUNT_MAX})`;

const SCHEDULED = `${some("r.status = 'scheduled' and r.lane is null", "r.due_at, r.seq")}
  union all ${some("r.status = 'scheduled' and r.lane is not null", "r.lane, r.seq")}`;

/** How many deliveries there are in a state at the destinations `whose`, all together. */
const countOf = (state: string, whose: string): string => `
  (select count(*)::int from (select from ${whose} x cross join lateral (${state}) r limit ${COUNT_MAX}) c)`;

/** How much waits, everywhere. Destinations are chosen first, so that nothing is counted at the others. */
export const DEPTH = statement(
  "depth",
  `
with destinations as materialized (
  select x.id, ${HELD} as held from relay.destinations x join relay.health h on h.destination_id = x.id
  where x.deleted_at is null
), held as materialized (select id from destinations where held
), taking as materialized (select id from destinations where not held)
select o.undispatched, o.oldest_undispatched_seconds,
  ${countOf(SCHEDULED, "taking")} as scheduled,
  ${countOf(SCHEDULED, "held")} as held,
  ${countOf(some("r.status = 'dead'", "r.seq"), "destinations")} as dead
from (
  select count(*)::int as undispatched,
    coalesce(extract(epoch from now() - min(written_at)), 0)::float8 as oldest_undispatched_seconds
  from (select written_at from journal.outbox where position is null order by id limit ${COUNT_MAX}) o
) o`,
);

/** How long a row of the outbox may wait for dispatch, and a delivery be due where nothing hinders it. */
const OUTBOX_LATE = "interval '60 seconds'";
const DELIVERY_LATE = "interval '5 minutes'";

const DUE = `r.destination_id = x.id and r.status = 'scheduled' and r.due_at < now() - ${DELIVERY_LATE}`;

/**
 * What waits longer than it should. Of deliveries, those due at destinations that take them, that nothing paces, that did
 * not begin to take them just now, and to which nothing was sent for as long: what takes its turn behind much else is not late. Of
 * a lane, the first, for which the others wait.
 */
export const OVERDUE = statement(
  "overdue",
  `
with taking as materialized (
  select x.id from relay.destinations x join relay.health h on h.destination_id = x.id
  where x.deleted_at is null and not ${HELD} and x.rate_limit is null
    and (h.breaker = 'closed' or h.breaker = 'open' and h.hold_until < now() - ${DELIVERY_LATE})
    and greatest(x.updated_at, h.hold_until, h.last_success_at, h.last_failure_at) < now() - ${DELIVERY_LATE}
)
select o.outbox, d.deliveries, least(o.oldest, d.oldest) as oldest_at
from (
  select count(*)::int as outbox, min(written_at) as oldest from (
    select written_at from journal.outbox where position is null and written_at < now() - ${OUTBOX_LATE} order by id limit ${COUNT_MAX}
  ) o
) o cross join (
  select count(*)::int as deliveries, min(late.due_at) as oldest from (
    select r.due_at
    from taking x cross join lateral (
      (select r.due_at from relay.deliveries r where ${DUE} and r.lane is null order by r.due_at, r.seq limit ${COUNT_MAX})
      union all
      (select k.due_at from relay.ordering_keys k where k.destination_id = x.id and k.due_at < now() - ${DELIVERY_LATE}
        order by k.due_at limit ${COUNT_MAX})
    ) r
    limit ${COUNT_MAX}
  ) late
) d`,
);

/** An incident begins, unless one lasts. */
export const BEGIN_INCIDENT = "insert into relay.overdue default values on conflict do nothing returning since";
export const END_INCIDENT = "delete from relay.overdue returning since";

/* Retention. What is older than instant $1 goes. Each statement goes through $3 rows at most, from behind id $2 on, and yields how far it came. */

/**
 * By the database's clock, of which the ids and times of rows are: since when what is kept is kept. No row while that clock has
 * just jumped, so that a wrong one forgets nothing.
 */
export const KEPT_SINCE = `
select now() - make_interval(days => $1::int) as before from journal.retention where steady_since <= now() - interval '1 day'`;

const PASSED = `(select id from old order by id desc limit 1) as last, (select count(*) from gone)::int as gone`;

/** An unfinished job still comes to it. */
const IN_JOB = (id: string): string =>
  `exists (select from relay.job_members m join relay.jobs j on j.id = m.job_id and j.finished_at is null where m.member = ${id})`;

/** Finished deliveries, with their attempts, counted from when they were finished; unless a job is about to send them again. */
export const FORGET_DELIVERIES = `
with old as materialized (
  select id from relay.deliveries where id > $2::uuid and id < journal.least_id_at($1) order by id limit $3
), gone as (
  delete from relay.deliveries r using old where r.id = old.id and r.status <> 'scheduled' and r.finished_at < $1
    and not ${IN_JOB("r.id")}
  returning r.id
)
select ${PASSED}`;

/** While events are deleted nothing is scheduled anew of which they are part; and the other way round. */
export const LOCK_RETENTION = take("retention");

/**
 * Events, but for those that are needed: that wait for dispatch (an event's id is of the instant of its outbox row), whose
 * delivery waits or can be sent again from the dead letters, or to which a job still comes.
 */
export const FORGET_EVENTS = `
with old as materialized (
  select id from journal.events
  where id > $2::uuid and id < journal.least_id_at(
    least($1, coalesce((select min(written_at) from journal.outbox where position is null), $1)))
  order by id limit $3
), gone as (
  delete from journal.events e using old
  where e.id = old.id and not ${IN_JOB("e.id")}
    and not exists (select from relay.deliveries r
      where r.event_id = old.id and r.status in ('scheduled', 'dead') and r.body is null)
  returning e.id
)
select ${PASSED}`;

/** Rows of the outbox that were dispatched, and keeps how far they went. Their ids are in the order of time, as good as. */
export const FORGET_OUTBOX = `
with old as materialized (
  select id, written_at from journal.outbox where id > $2::bigint order by id limit $3
), gone as (
  delete from journal.outbox o using old
  where o.id = old.id and o.written_at < $1 and o.position is not null
  returning o.position, cardinality(o.webhooks) + cardinality(o.events) as events
), noted as (
  insert into relay.forgotten as f (position, events) select position, events from gone order by position desc limit 1
  on conflict (only_one) do update set position = excluded.position, events = excluded.events
  where f.position < excluded.position
)
select (select case when written_at < $1 then id::text end from old order by id desc limit 1) as last,
  (select count(*) from gone)::int as gone`;

/** Jobs that were paused for so long are not taken up again. */
export const END_PAUSED_JOBS = `
update relay.jobs set status = 'cancelled', finished_at = now(), updated_at = now() where status = 'paused' and updated_at < $1`;

/** Members of jobs that are finished serve nobody. At most $1; repeat until there are fewer. */
export const FORGET_MEMBERS = `
delete from relay.job_members where (job_id, n) in (
  select m.job_id, m.n from relay.jobs j join relay.job_members m on m.job_id = j.id where j.finished_at is not null limit $1)`;

export const FORGET_JOBS = `
delete from relay.jobs j where finished_at < $1 and not exists (select from relay.job_members m where m.job_id = j.id)`;

/** When the oldest delivery was made that destination `id` still has; null without any. Deliveries are made in the order of `seq`. */
const oldestAt = (id: string): string =>
  `(select r.created_at from relay.deliveries r where r.destination_id = ${id} order by r.seq limit 1)`;

/** Versions of routes under which no delivery that is kept can have been made: a later one replaced them before the oldest. */
export const FORGET_ROUTE_VERSIONS = `
delete from relay.route_versions v using relay.routes t, relay.route_versions next
where t.id = v.route_id and v.version < t.version and next.route_id = v.route_id and next.version = v.version + 1
  and next.created_at < least($1, coalesce(${oldestAt("t.destination_id")}, $1))`;

/** Routes that were deleted before the oldest delivery that is kept, with their versions. */
export const FORGET_ROUTES = `
delete from relay.routes t where t.deleted_at < least($1, coalesce(${oldestAt("t.destination_id")}, $1))`;

/** Deleted destinations of which no delivery is kept, with all that belongs to them. */
export const FORGET_DESTINATIONS = `
delete from relay.destinations x where x.deleted_at < $1 and ${oldestAt("x.id")} is null`;
