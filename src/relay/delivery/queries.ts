/**
 * The statements of those who deliver: workers hold destinations, couriers fetch what is due and record what came of it.
 * All times are Postgres' own, so that processes whose clocks differ agree on what is due.
 */
import type { Statement } from "../../database/types.ts";

const statement = (name: string, text: string): Statement => ({ name: `relay_${name}`, text });

/* Workers. */

/**
 * Says that worker $1 lives, for $2 seconds, by the session that says it; $3…$5 are its host and process. Yields the
 * database's time and the other workers of that host, whose processes can be looked at.
 */
export const BEAT = `
with beat as (
  insert into relay.workers as w (id, lease_until, session_pid, session_started, host, process_id, process_started)
  select $1, now() + $2 * interval '1 second', pid, backend_start, $3, $4, $5
  from pg_stat_activity where pid = pg_backend_pid()
  on conflict (id) do update set beat_at = now(), lease_until = excluded.lease_until,
    alive_since = case when w.beat_at > now() - interval '5 seconds' then w.alive_since else now() end,
    session_pid = excluded.session_pid, session_started = excluded.session_started
)
select clock_timestamp() as now, n.id, n.process_id as pid, n.process_started as started
from (select 1) one left join relay.workers n on n.host = $3 and n.id <> $1`;

/**
 * The workers that seem to live: their lease holds, and either they said so within the last 3 seconds or the session by
 * which they said it is still there. A worker that seems gone may live on behind a proxy that cut its session, so this
 * alone does not make its destinations free (TAKE).
 */
const ALIVE = `
select w.id from relay.workers w where w.lease_until > now() and (w.beat_at > now() - interval '3 seconds' or exists (
  select from pg_stat_activity a
  where a.pid = w.session_pid and (a.backend_start = w.session_started or a.backend_start is null)))`;

/**
 * Whether nothing is under way at the destination of u: all that was begun is recorded, or its time is over. Attempts begin
 * by a write to u under the current epoch, so nothing begins after u is locked and its epoch raised.
 */
const QUIET = `(u.busy_until < now() or not exists (
  select from unnest(u.delivery_ids, u.numbers) b (delivery_id, number)
  where not exists (select from relay.attempts t where t.delivery_id = b.delivery_id and t.number = b.number)))`;

/**
 * Takes destinations that are free, for worker $1 who knows those in $2, up to its fair share. Free is a destination
 *
 *   - whose worker is among $3: its process has ended;
 *   - that nobody holds, or whose worker seems gone, and where nothing can be under way. After an outage of Postgres every
 *     worker seems gone, so one that was itself not heard for the last 5 seconds takes nothing from another.
 *
 * A new epoch begins: what its earlier holder still has to say of it is not heard, and it begins nothing any more. One that
 * is this worker's own without its knowing (it could not be given back, or the answer to the taking was lost) is taken
 * like any other; one that it knows is not, since an earlier courier of it may still be at work here. Attempts that the
 * earlier holder began and did not record are recorded with an unknown outcome.
 */
export const TAKE = statement(
  "take",
  `
with alive as materialized (${ALIVE}), share as (
  select ceil((select count(*) from relay.destinations where deleted_at is null)::numeric
    / greatest(1, (select count(*) from alive)))::int as fair
), heard as materialized (
  select from relay.workers m where m.id = $1 and m.alive_since < now() - interval '5 seconds'
), free as materialized (
  select h.destination_id, h.epoch, u.delivery_ids, u.numbers, u.started_at, u.url
  from relay.health h join relay.under_way u on u.destination_id = h.destination_id
  join relay.destinations d on d.id = h.destination_id
  where d.deleted_at is null and h.destination_id <> all ($2::text[])
    and exists (select from alive where alive.id = $1)
    and (h.worker = any ($3::uuid[]) or ${QUIET} and (h.worker is null or h.worker = $1
      or (exists (select from heard) and not exists (select from alive where alive.id = h.worker))))
  order by h.taken_at nulls first limit greatest(0, (select fair from share) - cardinality($2::text[]))
  for update of h, u skip locked
), taken as (
  update relay.health h set worker = $1, epoch = h.epoch + 1, taken_at = now() from free
  where h.destination_id = free.destination_id and h.epoch = free.epoch returning h.*
), unknown as (
  insert into relay.attempts (delivery_id, number, started_at, url, error, job_id)
  select b.delivery_id, b.number, b.started_at, f.url, 'outcome_unknown', d.job_id
  from free f join taken on taken.destination_id = f.destination_id
  cross join unnest(f.delivery_ids, f.numbers, f.started_at) b (delivery_id, number, started_at)
  join relay.deliveries d on d.id = b.delivery_id
  on conflict do nothing returning delivery_id, number
), counted as (
  update relay.deliveries d set attempts = greatest(d.attempts, n.number) from unknown n where d.id = n.delivery_id
), cleared as (
  update relay.under_way u set epoch = t.epoch, delivery_ids = '{}', numbers = '{}', started_at = '{}',
    busy_until = '-infinity'
  from taken t where u.destination_id = t.destination_id
)
select (select fair from share) as fair, t.* from (select 1) one left join taken t on true`,
);

/**
 * Notes attempts that are about to begin, from a JSON array with a row for each destination: all that is under way there,
 * `fresh` what begins now, `busy_s` until when it has ended and is recorded. Yields the destinations that are still
 * held in their epoch, with those of `fresh` whose deliveries are still scheduled, and by the same job as when they were
 * fetched: `fresh_jobs`, side by side with `fresh`.
 */
export const NOTE_STARTS = statement(
  "note_starts",
  `
with given as materialized (
  select g.* from json_to_recordset($1::json) as g (destination_id text, epoch bigint, url text, delivery_ids uuid[],
    numbers integer[], started_at timestamptz[], fresh uuid[], fresh_jobs text[], busy_s float8)
  join relay.health h on h.destination_id = g.destination_id and h.epoch = g.epoch
), noted as (
  update relay.under_way u set delivery_ids = g.delivery_ids, numbers = g.numbers, started_at = g.started_at, url = g.url,
    busy_until = greatest(u.busy_until, now() + g.busy_s * interval '1 second')
  from given g where u.destination_id = g.destination_id and u.epoch = g.epoch returning u.destination_id
)
select n.destination_id, relay.scheduled_still(g.fresh, g.fresh_jobs) as scheduled
from noted n join given g on g.destination_id = n.destination_id`,
);

/**
 * Gives the destination $2 back, if worker $1 holds it in epoch $3, with the attempts $4…$6 that it made and did not record. A note
 * that is still on its way, since its answer was lost, comes too late.
 */
export const RELEASE = statement(
  "release",
  `with released as (
  update relay.health set worker = null where destination_id = $2 and worker = $1 and epoch = $3 returning destination_id, epoch
), noted as (
  update relay.under_way u set epoch = r.epoch + 1, delivery_ids = $4, numbers = $5, started_at = $6
  from released r where u.destination_id = r.destination_id
) select pg_notify('tartan_relay', '') from released`,
);

/** Forgets a worker that stops, and those that are long gone. */
export const RETIRE = "delete from relay.workers where id = $1 or lease_until < now() - interval '1 hour'";

/**
 * Of the destinations $1: their versions, whether they are there, whether this worker $2 still holds each in epoch $3, and
 * whether something is due. Each question takes the first of an index in its order: "is there any" would let Postgres read
 * the whole table for a destination that has none, where others have many.
 */
export const LOOK = statement(
  "look",
  `
select x.id, d.version, d.deleted_at is not null as deleted, coalesce(h.worker = $2 and h.epoch = x.epoch, false) as held,
  coalesce((select r.due_at from relay.deliveries r where r.destination_id = x.id and r.status = 'scheduled' and r.lane is null
    order by r.due_at limit 1) <= now(), false)
  or coalesce((select k.due_at from relay.ordering_keys k where k.destination_id = x.id order by k.due_at limit 1) <= now(), false)
    as due
from unnest($1::text[], $3::bigint[]) as x (id, epoch)
left join relay.destinations d on d.id = x.id left join relay.health h on h.destination_id = x.id`,
);

/* Couriers. */

/** How long the payload of delivery `d` is, which Postgres knows without reading it; null where it is not kept any more. */
const SIZE = "coalesce(octet_length(d.body), octet_length(w.body), octet_length(e.payload))";

/**
 * What sending a delivery needs. Its payload comes along as long as those up to it, in the order `order`, are no more than
 * `inline` bytes together; a larger one is read by PAYLOAD_OF when its turn comes.
 */
const deliveryOf = (order: string, inline: string): string => {
  const brought = `sum(${SIZE}) over (order by ${order}) <= ${inline}`;
  return `d.id, d.event_id as "eventId", d.event_type as "eventType", d.lane, d.form, d.attempts, d.tries,
  d.job_id as "jobId", d.body_sha256 as "bodySha256", d.due_at <= now() as due, v.definition ->> 'transform' as transform,
  coalesce(w.integration_id, e.integration_id) as "integrationId", coalesce(w.environment, e.environment) as environment,
  coalesce(w.item_id, e.item_id) as "itemId", coalesce(d.user_id, e.user_id) as "userId",
  coalesce(e.history, false) as history, w.webhook_type as "webhookType", w.webhook_code as "webhookCode", w.source,
  coalesce(w.received_at, e.occurred_at) as "occurredAt", w.verification, w.key_id as "keyId", w.signed_at as "signedAt",
  ${SIZE} as size, case when ${brought} then d.body end as body,
  case when d.body is null and ${brought} then coalesce(w.body, e.payload) end as bytes`;
};

const SOURCES_OF = `
left join journal.webhooks w on d.event_type = 'webhook.received' and w.id = d.event_id
left join journal.events e on d.event_type <> 'webhook.received' and e.id = d.event_id
left join relay.route_versions v on d.form = 'transform' and v.route_id = d.route_id and v.version = d.route_version`;

/** The payload of delivery $1: the body that was made for it, or else its event's bytes. */
export const PAYLOAD_OF = statement(
  "payload_of",
  `
select d.body, case when d.body is null then coalesce(w.body, e.payload) end as bytes from relay.deliveries d
left join journal.webhooks w on d.body is null and d.event_type = 'webhook.received' and w.id = d.event_id
left join journal.events e on d.body is null and d.event_type <> 'webhook.received' and e.id = d.event_id
where d.id = $1`,
);

/**
 * What is due at destination $1, in order, but for those in $2; at most $3, with $5 bytes of payloads. With $4 only what became due just now: what was
 * delivered stays in the index until a vacuum, and whoever begins at the oldest walks past all of it.
 */
export const FETCH_DUE = statement(
  "fetch_due",
  `
with d as materialized (
  select * from relay.deliveries d
  where d.destination_id = $1 and d.status = 'scheduled' and d.lane is null and d.due_at <= now() and d.id <> all ($2::uuid[])
    and d.due_at >= case when $4 then now() - interval '10 seconds' else '-infinity' end
  order by d.due_at, d.seq limit $3
)
select ${deliveryOf("d.due_at, d.seq", "$5")} from d ${SOURCES_OF} order by d.due_at, d.seq`,
);

const OF_LANE = (lane: string, count: string): string => `
  select * from relay.deliveries d
  where d.destination_id = $1 and d.status = 'scheduled' and d.lane = ${lane} order by d.seq limit ${count}`;

/** Of how many lanes deliveries are fetched at once. As a number in the text it bounds what a plan is expected to cost. */
export const LANES_MAX = 64;

/**
 * The first deliveries of lanes at destination $1 that are due, but for lanes in $2: of at most $4 lanes at most $3 each, in
 * order, with $5 bytes of payloads. The lanes that have been due for longest come first. relay.ordering_keys knows in the
 * order of time when each lane is due, so lanes that wait for a retry cost nothing. A lane that turns out to have nothing
 * is a row without a delivery (SETTLE_LANES).
 */
export const FETCH_LANES = statement(
  "fetch_lanes",
  `
with chosen as materialized (
  select lane from (
    select k.lane, k.due_at from relay.ordering_keys k
    where k.destination_id = $1 and k.due_at <= now() and k.lane <> all ($2::text[])
    order by k.due_at, k.lane limit ${LANES_MAX}
  ) due order by due_at, lane limit $4
), d as materialized (
  select d.* from chosen c cross join lateral (${OF_LANE("c.lane", "$3")}) d
)
select c.lane as "ofLane", ${deliveryOf("c.lane, d.seq", "$5")}
from chosen c left join (d ${SOURCES_OF}) on d.lane = c.lane order by c.lane, d.seq`,
);

/** Corrects when the lanes $2 of destination $1 are due. Yields how many had to be corrected and could be. */
export const SETTLE_LANES = statement(
  "settle_lanes",
  `
select relay.settle_ordering_keys(array_agg($1::text order by l.lane), array_agg(l.lane order by l.lane))::int as written
from unnest($2::text[]) l (lane)`,
);

/** The first deliveries of the lanes $2 at destination $1, at most $3 each, with $4 bytes of payloads. */
export const FETCH_OF_LANES = statement(
  "fetch_of_lanes",
  `
with d as materialized (
  select d.* from unnest($2::text[]) as l (lane) cross join lateral (${OF_LANE("l.lane", "$3")}) d
)
select ${deliveryOf("d.lane, d.seq", "$4")} from d ${SOURCES_OF} order by d.lane, d.seq`,
);

/** Keeps the body $2 that was made for delivery $1, if destination $3 is still held in epoch $4. */
export const KEEP_BODY = statement(
  "keep_body",
  `
update relay.deliveries d set body = $2, body_sha256 = sha256($2) from relay.health h
where d.id = $1 and d.status = 'scheduled' and h.destination_id = $3 and h.epoch = $4`,
);

/** Whether a job scheduled delivery d anew while the attempt of result r was under way, which failed. */
const OVERTAKEN = `(d.status = 'scheduled' and r.verdict <> 'delivered' and d.job_id is distinct from r."jobId")`;

/**
 * Records what came of deliveries, from a JSON array. What is said of a destination in an epoch that is over is not heard:
 * another worker has it, and delivers it again; only an attempt whose outcome was unknown gets its outcome. Yields the ids of
 * those that were heard, and whether each was new: a result is applied once, however often it is recorded, since the
 * answer to a COMMIT can be lost. Yields also whether it was overtaken: a job scheduled the delivery anew while it was under
 * way, so an attempt that failed leaves it as the job did.
 *
 * Not prepared: a plan that was made while the table was small reads all of it once it is large, until it is analysed.
 */
export const RECORD = `
with patience as materialized (
  -- A worker that is frozen in this transaction must not keep others from its destinations.
  select set_config('idle_in_transaction_session_timeout', '5s', true) as set
), results as materialized (
  select r.* from patience, json_to_recordset($1::json) as r (id uuid, "destinationId" text, epoch bigint, number integer,
    tries integer, "startedAt" timestamptz, "durationMs" integer, url text, address text, status integer, cause text,
    detail text, headers jsonb, head text, "jobId" text, verdict text, "dueInMs" float8, sha256 text)
), held as materialized (
  select h.destination_id from relay.health h
  where (h.destination_id, h.epoch) in (select "destinationId", epoch from results) for share of h
), heard as materialized (
  select r.* from results r join held on held.destination_id = r."destinationId"
), attempted as (
  insert into relay.attempts as a (delivery_id, number, started_at, duration_ms, url, address, status, error,
    response_headers, response_head, job_id)
  select id, number, "startedAt", "durationMs", url, address, status, cause, headers, decode(head, 'base64'), "jobId"
  from results r
  where number is not null and exists (select from relay.deliveries d where d.id = r.id)
    and (exists (select from held where held.destination_id = r."destinationId")
      or exists (select from relay.attempts b where b.delivery_id = r.id and b.number = r.number))
  on conflict (delivery_id, number) do update set started_at = excluded.started_at, duration_ms = excluded.duration_ms,
    url = excluded.url, address = excluded.address, status = excluded.status, error = excluded.error,
    response_headers = excluded.response_headers, response_head = excluded.response_head
  where a.error = 'outcome_unknown'
  returning a.delivery_id
), settled as (
  update relay.deliveries d set
    -- One that was cancelled meanwhile stays so; that it was attempted is true all the same.
    status = case when d.status <> 'scheduled' then d.status when r.verdict = 'retry' or ${OVERTAKEN} then 'scheduled'
      else r.verdict end,
    due_at = case when ${OVERTAKEN} then d.due_at
      when d.status = 'scheduled' and r.verdict = 'retry' then now() + r."dueInMs" * interval '1 ms' end,
    finished_at = case when d.status <> 'scheduled' or ${OVERTAKEN} then d.finished_at when r.verdict <> 'retry' then now() end,
    attempts = greatest(d.attempts, coalesce(r.number, 0)), tries = case when ${OVERTAKEN} then d.tries else r.tries end,
    cause = case r.verdict when 'delivered' then null else r.cause end,
    detail = case r.verdict when 'delivered' then null else r.detail end, last_status = r.status,
    body_sha256 = coalesce(d.body_sha256, decode(r.sha256, 'hex'))
  from heard r
  where d.id = r.id
    and case when r.number is null then d.status = 'scheduled' else r.id in (select delivery_id from attempted) end
  returning d.id, ${OVERTAKEN} as overtaken
)
select r.id, s.id is not null as new, coalesce(s.overtaken, false) as overtaken from heard r left join settled s on s.id = r.id`;

/** Keeps how destinations fare, from a JSON array; only for those that are still held in that epoch. */
export const KEEP_HEALTH = statement(
  "keep_health",
  `
update relay.health h set breaker = r.breaker, openings = r.openings, hold_until = r.hold_until, recent = r.recent,
  failing_since = r.failing_since, failures = r.failures, warned = r.warned, last_success_at = r.last_success_at,
  last_failure_at = r.last_failure_at, last_error = r.last_error, failing_ms = r.failing_ms, asked_until = r.asked_until
from json_to_recordset($1::json) as r (destination_id text, epoch bigint, breaker text, openings integer, hold_until timestamptz,
  recent jsonb, failing_since timestamptz, failures integer, warned integer, last_success_at timestamptz,
  last_failure_at timestamptz, last_error text, failing_ms float8, asked_until timestamptz)
where h.destination_id = r.destination_id and h.epoch = r.epoch`,
);

/** Disables destination $1 for the reason $2, and says so. */
export const DISABLE = statement(
  "disable",
  `with disabled as (
  update relay.destinations set disabled_at = now(), disabled_reason = $2, version = version + 1, updated_at = now()
  where id = $1 and disabled_at is null returning id
) select pg_notify('tartan_relay', '') from disabled`,
);

/** Whether nothing waits for a dispatcher, and nothing is due anywhere that may be sent. */
export const BUSY = `
select (select count(*) from journal.outbox where position is null)::int as undispatched,
  (select count(*) from relay.deliveries r join relay.destinations d on d.id = r.destination_id
    join relay.health h on h.destination_id = d.id
    where r.status = 'scheduled' and r.due_at <= now() and d.paused_at is null and d.disabled_at is null
      and d.deleted_at is null and coalesce(h.hold_until <= now(), true))::int as due`;
