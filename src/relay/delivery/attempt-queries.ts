/** The statements that note attempts before they are made, and record their results. All times are Postgres' own. */
import { statement } from "../model/statement.ts";

/**
 * Notes attempts that are about to begin. $1 is a JSON array with one row for each destination: all attempts under way there, in
 * `fresh` those that begin now, and `busy_s`, the seconds after which they have ended and are recorded. Yields the destinations
 * that are still leased in their epoch, with the deliveries of `fresh` that are still scheduled by the job in `fresh_jobs`, an array
 * parallel to `fresh`.
 */
export const NOTE_ATTEMPTS = statement(
  "note_attempts",
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
 * Stores the body $2 that was made for delivery $1, if destination $3 is still leased in epoch $4. And only while its event $5, which is
 * locked until then, has a payload of $6 bytes: otherwise rows of an account that is erased were cut out of it meanwhile, and the
 * body may have them. $5 is null where the body was made of a webhook.
 */
export const KEEP_BODY = statement(
  "keep_body",
  `
with event as materialized (
  select id from events.events where id = $5::uuid and octet_length(payload) = $6::integer for share
)
update relay.deliveries d set body = $2, body_sha256 = sha256($2) from relay.health h
where d.id = $1 and d.status = 'scheduled' and h.destination_id = $3 and h.epoch = $4
  and ($5::uuid is null or exists (select from event))`,
);

/** True when a job rescheduled delivery d while the attempt of result r was under way, and that attempt failed. */
const OVERTAKEN = `(d.status = 'scheduled' and r.outcome <> 'delivered' and d.job_id is distinct from r."jobId")`;

/**
 * Records the results of deliveries from a JSON array. Results that carry an old epoch are rejected, since another worker has
 * the destination and delivers again; only an attempt whose outcome was unknown gets its outcome. Yields the ids of the results
 * that were accepted. `new` is false for a result that was recorded before: the answer to a COMMIT can be lost, so results are
 * recorded again. `overtaken` is true when a job rescheduled the delivery during a failed attempt, which leaves the delivery as the
 * job did.
 *
 * Not prepared: a plan made while the table was small reads all of the table once it is large, until it is analysed.
 */
export const RECORD = `
with timeouts as materialized (
  -- A worker that is frozen in this transaction must not keep other workers from its destinations.
  select set_config('idle_in_transaction_session_timeout', '5s', true) as set
), results as materialized (
  select r.* from timeouts, json_to_recordset($1::json) as r (id uuid, "destinationId" text, epoch bigint, number integer,
    tries integer, "startedAt" timestamptz, "durationMs" integer, url text, address text, status integer, cause text,
    detail text, headers jsonb, head text, "jobId" text, outcome text, "dueInMs" float8, sha256 text)
), held as materialized (
  select h.destination_id from relay.health h
  where (h.destination_id, h.epoch) in (select "destinationId", epoch from results) for share of h
), accepted as materialized (
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
    -- A delivery that was cancelled meanwhile stays cancelled, with its attempt.
    status = case when d.status <> 'scheduled' then d.status when r.outcome = 'retry' or ${OVERTAKEN} then 'scheduled'
      else r.outcome end,
    due_at = case when ${OVERTAKEN} then d.due_at
      when d.status = 'scheduled' and r.outcome = 'retry' then now() + r."dueInMs" * interval '1 ms' end,
    finished_at = case when d.status <> 'scheduled' or ${OVERTAKEN} then d.finished_at when r.outcome <> 'retry' then now() end,
    attempts = greatest(d.attempts, coalesce(r.number, 0)), tries = case when ${OVERTAKEN} then d.tries else r.tries end,
    cause = case r.outcome when 'delivered' then null else r.cause end,
    detail = case r.outcome when 'delivered' then null else r.detail end, last_status = r.status,
    body_sha256 = coalesce(d.body_sha256, decode(r.sha256, 'hex'))
  from accepted r
  where d.id = r.id
    and case when r.number is null then d.status = 'scheduled' else r.id in (select delivery_id from attempted) end
  returning d.id, ${OVERTAKEN} as overtaken
)
select r.id, s.id is not null as new, coalesce(s.overtaken, false) as overtaken from accepted r left join settled s on s.id = r.id`;

/** Stores the health of destinations from a JSON array, for those that are still leased in the row's epoch. */
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
