/** The statements of the sweep: what waits too long, and what is no longer kept. */
import { take } from "../../database/locks.ts";
import type { Statement } from "../../database/types.ts";
import { HELD } from "./deliveries.ts";

const statement = (name: string, text: string): Statement => ({ name: `relay_${name}`, text });

/** What waits is counted no further than this, at each destination. */
const COUNT_MAX = 100_001;

/** Of destination x: how many deliveries are in a state. */
const countOf = (state: string): string =>
  `(select count(*) from (select from relay.deliveries r where r.destination_id = x.id and ${state} limit ${COUNT_MAX}) r)`;

/** How much waits, everywhere. */
export const DEPTH = statement(
  "depth",
  `
select o.undispatched, o.oldest_undispatched_seconds, d.scheduled, d.held, d.dead
from (
  select count(*)::int as undispatched,
    coalesce(extract(epoch from now() - min(written_at)), 0)::float8 as oldest_undispatched_seconds
  from (select written_at from journal.outbox where position is null order by id limit ${COUNT_MAX}) o
) o cross join (
  select coalesce(sum(n.scheduled) filter (where not n.held), 0)::int as scheduled,
    coalesce(sum(n.scheduled) filter (where n.held), 0)::int as held, coalesce(sum(n.dead), 0)::int as dead
  from (
    select ${HELD} as held, ${countOf("r.status = 'dead'")} as dead,
      ${countOf("r.status = 'scheduled' and r.lane is null")} + ${countOf("r.status = 'scheduled' and r.lane is not null")} as scheduled
    from relay.destinations x join relay.health h on h.destination_id = x.id where x.deleted_at is null
  ) n
) d`,
);

/** How long a row of the outbox may wait for dispatch, and a delivery be due where nothing hinders it. */
const OUTBOX_LATE = "interval '60 seconds'";
const DELIVERY_LATE = "interval '5 minutes'";

const DUE = `r.destination_id = x.id and r.status = 'scheduled' and r.due_at < now() - ${DELIVERY_LATE}`;

/**
 * What waits longer than it should. Of deliveries, those due at destinations that take them, that nothing paces, and
 * that did not begin to take them just now; of a lane, the first, for which the others wait.
 */
export const OVERDUE = statement(
  "overdue",
  `
select o.outbox, d.deliveries, least(o.oldest, d.oldest) as oldest_at
from (
  select count(*)::int as outbox, min(written_at) as oldest from (
    select written_at from journal.outbox where position is null and written_at < now() - ${OUTBOX_LATE} limit ${COUNT_MAX}
  ) o
) o cross join (
  select count(*)::int as deliveries, min(r.due_at) as oldest
  from relay.destinations x join relay.health h on h.destination_id = x.id
  cross join lateral (
    (select r.due_at from relay.deliveries r where ${DUE} and r.lane is null order by r.due_at limit ${COUNT_MAX})
    union all
    (select r.due_at from relay.deliveries r where ${DUE} and r.lane is not null and not exists (
      select from relay.deliveries b
      where b.destination_id = r.destination_id and b.lane = r.lane and b.status = 'scheduled' and b.seq < r.seq
    ) limit ${COUNT_MAX})
  ) r
  where x.deleted_at is null and not ${HELD} and x.rate_limit is null
    and (h.breaker = 'closed' or h.breaker = 'open' and h.hold_until < now() - ${DELIVERY_LATE})
    and greatest(x.updated_at, h.hold_until) < now() - ${DELIVERY_LATE}
) d`,
);

/** An incident begins, unless one lasts. */
export const BEGIN_INCIDENT = "insert into relay.overdue default values on conflict do nothing returning since";
export const END_INCIDENT = "delete from relay.overdue returning since";

/* Retention. $1: what is older goes. Each statement goes through $3 rows at most, from behind id $2 on, and yields how far it came. */

const PASSED = `(select id from old order by id desc limit 1) as last, (select count(*) from gone)::int as gone`;

/** Finished deliveries, with their attempts. */
export const FORGET_DELIVERIES = `
with old as materialized (
  select id from relay.deliveries where id > $2::uuid and id < journal.least_id_at($1) order by id limit $3
), gone as (
  delete from relay.deliveries r using old where r.id = old.id and r.status <> 'scheduled' and r.finished_at < $1 returning r.id
)
select ${PASSED}`;

/** While events are deleted nothing is scheduled anew of which they are part; and the other way round. */
export const LOCK_RETENTION = take("retention");

/** Events, but for those that still have to be delivered or even dispatched: an event's id is of the instant of its outbox row. */
export const FORGET_EVENTS = `
with old as materialized (
  select id from journal.events
  where id > $2::uuid and id < journal.least_id_at(
    least($1, coalesce((select min(written_at) from journal.outbox where position is null), $1)))
  order by id limit $3
), gone as (
  delete from journal.events e using old
  where e.id = old.id
    and not exists (select from relay.deliveries r where r.event_id = old.id and r.status = 'scheduled')
  returning e.id
)
select ${PASSED}`;

/** Rows of the outbox that were dispatched. Their ids are in the order of time, as good as. */
export const FORGET_OUTBOX = `
with old as materialized (
  select id, written_at from journal.outbox where id > $2::bigint order by id limit $3
), gone as (
  delete from journal.outbox o using old
  where o.id = old.id and o.written_at < $1 and o.position is not null returning o.id
)
select (select case when written_at < $1 then id::text end from old order by id desc limit 1) as last,
  (select count(*) from gone)::int as gone`;

/** Members of jobs that are finished serve nobody. At most $1; repeat until there are fewer. */
export const FORGET_MEMBERS = `
delete from relay.job_members where (job_id, n) in (
  select m.job_id, m.n from relay.jobs j join relay.job_members m on m.job_id = j.id where j.finished_at is not null limit $1)`;

export const FORGET_JOBS = `
delete from relay.jobs j where finished_at < $1 and not exists (select from relay.job_members m where m.job_id = j.id)`;
