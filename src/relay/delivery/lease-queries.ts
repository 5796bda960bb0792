/**
 * The statements by which workers lease destinations. All times are Postgres' own, so that processes whose clocks differ agree
 * on when a lease ends.
 */
import { statement } from "../model/statement.ts";

/**
 * Renews the lease of worker $1 for $2 seconds by the current session; $3…$5 are its host and process. Yields the database's
 * time and the other workers of that host, whose processes can be checked.
 */
export const RENEW = `
with renewed as (
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
 * The workers that seem to be alive: their lease has not expired, and either they renewed it within the last 3 seconds or the
 * session that renewed it still exists. A worker that seems gone may live on behind a proxy that cut its session, so this alone
 * does not free its destinations (ACQUIRE).
 */
const ALIVE = `
select w.id from relay.workers w where w.lease_until > now() and (w.beat_at > now() - interval '3 seconds' or exists (
  select from pg_stat_activity a
  where a.pid = w.session_pid and (a.backend_start = w.session_started or a.backend_start is null)))`;

/**
 * True when no attempt is under way at the destination of u: every noted attempt is recorded, or its time is over. Attempts
 * begin with a write to u under the current epoch, so none begins after u is locked and its epoch raised.
 */
const QUIET = `(u.busy_until < now() or not exists (
  select from unnest(u.delivery_ids, u.numbers) b (delivery_id, number)
  where not exists (select from relay.attempts t where t.delivery_id = b.delivery_id and t.number = b.number)))`;

/**
 * Leases free destinations to worker $1, which knows those in $2, up to its fair share. A destination is free
 *
 *   - when its worker is among $3, whose processes have ended;
 *   - when no worker has it, or its worker seems gone, and no attempt can be under way. After an outage of Postgres every worker
 *     seems gone, so a worker that did not renew its own lease within the last 5 seconds takes nothing from another.
 *
 * A new epoch begins: Postgres rejects the earlier worker's writes and notes from then on. A destination that is this worker's
 * own without its knowing (its release failed, or the answer to ACQUIRE was lost) is leased like any other; one that it knows is
 * not, since an earlier delivery worker of it may still run here. Attempts that the earlier worker noted and did not record are
 * recorded with an unknown outcome.
 */
export const ACQUIRE = statement(
  "acquire",
  `
with alive as materialized (${ALIVE}), share as (
  select ceil((select count(*) from relay.destinations where deleted_at is null)::numeric
    / greatest(1, (select count(*) from alive)))::int as fair
), steady as materialized (
  select from relay.workers m where m.id = $1 and m.alive_since < now() - interval '5 seconds'
), free as materialized (
  select h.destination_id, h.epoch, u.delivery_ids, u.numbers, u.started_at, u.url
  from relay.health h join relay.under_way u on u.destination_id = h.destination_id
  join relay.destinations d on d.id = h.destination_id
  where d.deleted_at is null and h.destination_id <> all ($2::text[])
    and exists (select from alive where alive.id = $1)
    and (h.worker = any ($3::uuid[]) or ${QUIET} and (h.worker is null or h.worker = $1
      or (exists (select from steady) and not exists (select from alive where alive.id = h.worker))))
  order by h.taken_at nulls first limit greatest(0, (select fair from share) - cardinality($2::text[]))
  for update of h, u skip locked
), acquired as (
  update relay.health h set worker = $1, epoch = h.epoch + 1, taken_at = now() from free
  where h.destination_id = free.destination_id and h.epoch = free.epoch returning h.*
), unknown as (
  insert into relay.attempts (delivery_id, number, started_at, url, error, job_id)
  select b.delivery_id, b.number, b.started_at, f.url, 'outcome_unknown', d.job_id
  from free f join acquired on acquired.destination_id = f.destination_id
  cross join unnest(f.delivery_ids, f.numbers, f.started_at) b (delivery_id, number, started_at)
  join relay.deliveries d on d.id = b.delivery_id
  on conflict do nothing returning delivery_id, number
), counted as (
  update relay.deliveries d set attempts = greatest(d.attempts, n.number) from unknown n where d.id = n.delivery_id
), cleared as (
  update relay.under_way u set epoch = t.epoch, delivery_ids = '{}', numbers = '{}', started_at = '{}',
    busy_until = '-infinity'
  from acquired t where u.destination_id = t.destination_id
)
select (select fair from share) as fair, t.* from (select 1) one left join acquired t on true`,
);

/**
 * Releases the destination $2, if worker $1 leases it in epoch $3, with the attempts $4…$6 that it made and did not record. It
 * raises the epoch of relay.under_way, so that a note whose answer was lost cannot be stored later.
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

/** Deletes a worker that stops, and workers whose leases expired an hour ago. */
export const FORGET_WORKERS = "delete from relay.workers where id = $1 or lease_until < now() - interval '1 hour'";

/**
 * For the destinations $1: their versions, whether they are deleted, whether worker $2 still leases each in epoch $3, and whether
 * a delivery is due. Each question reads the first entry of an index in its order: an `exists` would let Postgres read the whole
 * table for a destination that has none, where others have many.
 */
export const CHECK_LEASES = statement(
  "check_leases",
  `
select x.id, d.version, d.deleted_at is not null as deleted, coalesce(h.worker = $2 and h.epoch = x.epoch, false) as held,
  coalesce((select r.due_at from relay.deliveries r where r.destination_id = x.id and r.status = 'scheduled' and r.ordering_key is null
    order by r.due_at limit 1) <= now(), false)
  or coalesce((select k.due_at from relay.ordering_keys k where k.destination_id = x.id order by k.due_at limit 1) <= now(), false)
    as due
from unnest($1::text[], $3::bigint[]) as x (id, epoch)
left join relay.destinations d on d.id = x.id left join relay.health h on h.destination_id = x.id`,
);
