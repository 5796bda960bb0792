/** The statements that count what waits in the relay, and what waits too long. */
import { statement } from "../model/statement.ts";
import { HELD } from "../destinations/queries.ts";

/**
 * Counts stop here. Each count walks at most this many entries of an index, so it costs the same with ten thousand deliveries and
 * with ten million.
 */
const COUNT_MAX = 10_001;

/**
 * Deliveries of destination x in a state, up to COUNT_MAX. In the order of an index: without it Postgres would read all of them
 * first.
 */
const some = (state: string, order: string): string =>
  `(select from relay.deliveries r where r.destination_id = x.id and ${state} order by ${order} limit ${COUNT_MAX})`;

const SCHEDULED = `${some("r.status = 'scheduled' and r.ordering_key is null", "r.due_at, r.seq")}
  union all ${some("r.status = 'scheduled' and r.ordering_key is not null", "r.ordering_key, r.seq")}`;

/** The number of deliveries in a state at all destinations of the CTE `whose` together. */
const countOf = (state: string, whose: string): string => `
  (select count(*)::int from (select from ${whose} x cross join lateral (${state}) r limit ${COUNT_MAX}) c)`;

/** Counts what waits. Destinations are chosen first, so that nothing is counted at the others. */
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
  from (select written_at from events.outbox where position is null order by id limit ${COUNT_MAX}) o
) o`,
);

/** How long a row of the outbox may wait for dispatch, and a delivery be due where nothing holds it. */
const OUTBOX_LATE = "interval '60 seconds'";
const DELIVERY_LATE = "interval '5 minutes'";

const DUE = `r.destination_id = x.id and r.status = 'scheduled' and r.due_at < now() - ${DELIVERY_LATE}`;

/**
 * Counts what waits longer than it should. A delivery is late when its destination takes deliveries, has no rate limit, did not
 * begin to take deliveries in the last minutes, and received nothing in that time: a delivery that waits behind many others is not
 * late. Of an ordering key only the first delivery counts, for which the others wait.
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
    select written_at from events.outbox where position is null and written_at < now() - ${OUTBOX_LATE} order by id limit ${COUNT_MAX}
  ) o
) o cross join (
  select count(*)::int as deliveries, min(late.due_at) as oldest from (
    select r.due_at
    from taking x cross join lateral (
      (select r.due_at from relay.deliveries r where ${DUE} and r.ordering_key is null order by r.due_at, r.seq limit ${COUNT_MAX})
      union all
      (select k.due_at from relay.ordering_keys k where k.destination_id = x.id and k.due_at < now() - ${DELIVERY_LATE}
        order by k.due_at limit ${COUNT_MAX})
    ) r
    limit ${COUNT_MAX}
  ) late
) d`,
);

/** Begins an incident, unless there is one. */
export const BEGIN_INCIDENT = "insert into relay.overdue default values on conflict do nothing returning since";
export const END_INCIDENT = "delete from relay.overdue returning since";
