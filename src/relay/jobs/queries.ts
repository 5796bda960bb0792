/** The statements of jobs. The deliveries or events of a job are frozen as its members when it is created, and processed in batches. */
import { share } from "../../database/locks.ts";
import type { Statement } from "../../database/types.ts";
import { FACTS, REPLAYABLE } from "../content/queries.ts";
import { statement } from "../model/statement.ts";

/* The members of jobs: statements that yield their `id` in the order in which they are processed. */

/** A job has at most this many members. */
export const MEMBERS_MAX = 1_000_000;

/** Deliveries in the state `state`; `at` is the time of their last failure. */
const failed = (state: string, at: string): string => `
select r.id, r.seq as place from relay.deliveries r
join relay.destinations x on x.id = r.destination_id and x.deleted_at is null
where ${state} and ($1::text is null or r.destination_id = $1) and ($2::text is null or r.cause = $2)
  and ($3::uuid[] is null or r.id = any ($3)) and ($4::timestamptz is null or ${at} >= $4)
  and ($5::timestamptz is null or ${at} < $5) and ($6::text is null or r.item_id = $6)`;

const RETRYING = "r.status = 'scheduled' and r.tries > 0";

/**
 * Dead letters: of destination $1, of cause $2, among $3, that became dead from $4 on and before $5, of item $6; null: any. With
 * $7 also deliveries that failed in that time and wait for their next attempt.
 */
export const DEAD_LETTERS = `${failed("r.status = 'dead'", "r.finished_at")}
union all ${failed(`$7::boolean and ${RETRYING}`, "(select max(a.started_at) from relay.attempts a where a.delivery_id = r.id)")}`;

/** From $2 on and before $3, since ids are in the order of time; of item $4, integration $5, types $6; only event $7. Null: any. */
const asked = (id: string, type: string, row: string): string => `
  ($2::timestamptz is null or ${id} >= tartan.least_id_at($2)) and ($3::timestamptz is null or ${id} < tartan.least_id_at($3))
  and ($4::text is null or ${row}.item_id = $4) and ($5::text is null or ${row}.integration_id = $5)
  and ($6::text[] is null or ${type} = any ($6)) and ($7::uuid is null or ${id} = $7)`;

/** True when a filter of $8 takes the event: matchesFilter (filter.ts) in SQL. It does not compare payloads. */
const takes = (type: string, row: string, history: string, ofWebhooks: boolean): string => `
  exists (select from jsonb_to_recordset($8::jsonb) as f (types text[], history boolean, integration_ids text[],
      environments text[], item_ids text[], user_ids text[], webhook_types text[], webhook_codes text[], sources text[])
    where ${type} = any (f.types) and (f.history or not ${history})
      and (f.integration_ids is null or ${row}.integration_id = any (f.integration_ids))
      and (f.environments is null or ${row}.environment = any (f.environments))
      and (f.item_ids is null or ${row}.item_id = any (f.item_ids))
      and (f.user_ids is null or ${row}.user_id = any (f.user_ids))
      and (f.webhook_types is null or ${ofWebhooks ? `${row}.webhook_type = any (f.webhook_types)` : "false"})
      and (f.webhook_codes is null or ${ofWebhooks ? `${row}.webhook_code = any (f.webhook_codes)` : "false"})
      and (f.sources is null or ${ofWebhooks ? `${row}.source = any (f.sources)` : "false"}))`;

/** True for an event that still waits for dispatch, which uses the routes of now; with $9, a disabled route, the job has to take it. */
const waits = (id: string, named: string): string =>
  `not $9::boolean and ${id} in (select unnest(${named}) from events.outbox where position is null)`;

/** Webhook `id` is kept without its body, from which a delivery would be made. */
const isPruned = (id: string): string =>
  `exists (select from journal.webhooks w where w.id = ${id} and w.body is null)`;

/**
 * Events that a filter matches and for which destination $1 has no delivery, except those that wait for dispatch unless $9. Right
 * after AWAIT_DISPATCH no event is missed: each has its position, or dispatch will use the routes of now.
 */
export const EVENTS_UNSENT = `
select x.id, x.id as place from journal.webhooks x
where x.body is not null and ${asked("x.id", "'webhook.received'", "x")} and ${takes("'webhook.received'", "x", "false", true)}
  and not exists (select from relay.deliveries r where r.event_id = x.id and r.destination_id = $1)
  and not (${waits("x.id", "webhooks")})
union all
select x.id, x.id as place from events.events x
where ${asked("x.id", "x.type", "x")} and ${takes("x.type", "x", "x.history", false)}
  and not exists (select from relay.deliveries r where r.event_id = x.id and r.destination_id = $1)
  and not (${waits("x.id", "events")})`;

/** The same, and events whose delivery at destination $1 is finished, except test deliveries. */
export const EVENTS_TO_REPLAY = `
select r.event_id as id, r.event_id as place from relay.deliveries r
where r.destination_id = $1 and r.status <> 'scheduled' and r.event_type <> 'destination.test' and ${asked("r.event_id", "r.event_type", "r")}
  and not (r.event_type = 'webhook.received' and r.body is null and ${isPruned("r.event_id")})
union all ${EVENTS_UNSENT}`;

export const IS_KEPT = `
select from journal.webhooks where id = $1 union all select from events.events where id = $1`;

export const IS_PRUNED = `select from (select $1::uuid as id) e where ${isPruned("e.id")}`;

export const HAS_DELIVERY = "select event_type from relay.deliveries where event_id = $1 and destination_id = $2";

export const countMembers = (members: string): string =>
  `select count(*)::int as count from (select from (${members}) m limit ${MEMBERS_MAX + 1}) m`;

/** `members` uses the values $1…; the job's id follows them. */
export const freezeMembers = (members: string, valueCount: number): string => `
insert into relay.job_members (job_id, n, member)
select $${valueCount + 1}, row_number() over (order by place), id
from (select id, place from (${members}) m order by place limit ${MEMBERS_MAX + 1}) m`;

/* Jobs. */

/** Keeps the row from being deleted. Deliveries can be inserted, and its state changed, however long freezing the members takes. */
export const HOLD_JOB_DESTINATION =
  "select ordering from relay.destinations where id = $1 and deleted_at is null for key share";

/** The route $1 as it is now, enabled or not. */
export const ROUTE_OF_JOB = statement(
  "route_of_job",
  `
select r.id, r.version, r.destination_id as "destinationId", d.ordering, v.definition, r.enabled
from relay.routes r
join relay.route_versions v on v.route_id = r.id and v.version = r.version
join relay.destinations d on d.id = r.destination_id and d.deleted_at is null
where r.id = $1 and r.deleted_at is null`,
);

export const INSERT_JOB = `
insert into relay.jobs (id, kind, destination_id, route_id, asked, reason, total) values ($1, $2, $3, $4, $5, $6, 0)`;

/** Starts the job with its $2 members. */
export const OPEN_JOB = `
update relay.jobs set total = $2, status = case when $2 = 0 then 'done' else 'running' end,
  finished_at = case when $2 = 0 then now() end
where id = $1`;

/** A hint to the job runners. */
export const NOTIFY_JOBS = "select pg_notify('tartan_jobs', '')";

const RECORD = `id, kind, status, destination_id, route_id, asked, reason, total, done, changed, created_at, updated_at, finished_at`;

export const GET_JOB = statement("get_job", `select ${RECORD} from relay.jobs where id = $1`);

/** Newest first. $1 a status, $2 a destination, $6 a kind, null: any; $3 and $4 where the page before ended; $5 how many. */
export const LIST_JOBS = statement(
  "list_jobs",
  `
select ${RECORD}, created_at::text as place from relay.jobs
where ($1::text is null or status = $1) and ($2::text is null or destination_id = $2) and ($6::text is null or kind = $6)
  and ($3::timestamptz is null or (created_at, id) < ($3, $4))
order by created_at desc, id desc limit $5`,
);

/** Changes the status of job $1 to $2 if it is one of $3. Waits for the batch under way. */
export const CHANGE_JOB = `
update relay.jobs set status = $2, updated_at = now(), finished_at = case when $2 = 'cancelled' then now() end
where id = $1 and status = any ($3::text[])`;

/** Cancels the unfinished jobs of destination $1. */
export const CANCEL_JOBS_OF = `
  update relay.jobs set status = 'cancelled', updated_at = now(), finished_at = now()
  where destination_id = $1 and status in ('running', 'paused')`;

/* Batches. */

/** Claims the running job that waited longest, except those in $1, until the transaction ends. */
export const CLAIM_JOB = statement(
  "claim_job",
  `
select id, kind, destination_id as "destinationId", route_id as "routeId", total, done,
  coalesce(asked ->> 'state' = 'failed', false) as "takesRetrying"
from relay.jobs where status = 'running' and id <> all ($1::text[]) order by updated_at, id limit 1 for update skip locked`,
);

/** Retention waits until the transaction ends, so an event that this transaction found stays until its delivery is scheduled. */
export const HOLD_RETENTION = share("retention");

const MEMBERS = `members as materialized (
  select member from relay.job_members where job_id = $1 and n > $2 and n <= $2 + $3
)`;

/**
 * Deliveries are locked in their order, so that two jobs with the same deliveries cannot deadlock. A delivery whose transform
 * failed was never sent and has no body yet, so it uses the current version of its route, which may have been fixed.
 */
const schedule = (name: string, which: string): Statement =>
  statement(
    name,
    `
with ${MEMBERS}, chosen as materialized (
  select r.id, now.version, now.form from members m join relay.deliveries r on ${which}
  join relay.destinations x on x.id = r.destination_id and x.deleted_at is null
  left join lateral (
    select t.version, v.definition ->> 'form' as form
    from relay.routes t join relay.route_versions v on v.route_id = t.id and v.version = t.version
    where t.id = r.route_id and t.deleted_at is null and r.form = 'transform' and r.body is null
  ) now on true
  where ${REPLAYABLE} order by r.seq for update of r
), scheduled as (
  update relay.deliveries r set status = 'scheduled', due_at = now(), tries = 0, job_id = $1, finished_at = null,
    route_version = coalesce(chosen.version, r.route_version), form = coalesce(chosen.form, r.form)
  from chosen where r.id = chosen.id returning r.destination_id
)
select destination_id as id, count(*)::int as count from scheduled group by 1`,
  );

/**
 * Schedules the members of job $1 after place $2, $3 at most, that are still dead; with $4 also those that wait for their next
 * attempt. Yields the destinations.
 */
export const REDRIVE = schedule("redrive", `r.id = m.member and (r.status = 'dead' or $4::boolean and ${RETRYING})`);

/** Schedules the finished deliveries of its members, which are events, at destination $4. */
export const REPLAY = schedule(
  "replay",
  "r.event_id = m.member and r.destination_id = $4 and r.status in ('delivered', 'dead', 'cancelled')",
);

/** The events among its members for which destination $4 has no delivery, in their order. */
export const MEMBERS_UNSENT = statement(
  "members_unsent",
  `
with ${MEMBERS}, unsent as materialized (
  select member from members m
  where not exists (select from relay.deliveries r where r.event_id = m.member and r.destination_id = $4)
)
select ${FACTS}, 'webhook.received' as type, false as history, x.webhook_type as "webhookType",
  x.webhook_code as "webhookCode", x.source, octet_length(x.body) as size
from unsent u join journal.webhooks x on x.id = u.member and x.body is not null
union all
select ${FACTS}, x.type, x.history, null, null, null, octet_length(x.payload) from unsent u join events.events x on x.id = u.member
order by 1`,
);

/** Job $1 processed $2 more members and scheduled $3 deliveries; $4 is the hint to the workers or null. */
export const ADVANCE_JOB = statement(
  "advance_job",
  `
with advanced as (
  update relay.jobs set done = least(total, done + $2), changed = changed + $3, updated_at = clock_timestamp(),
    status = case when done + $2 >= total then 'done' else status end,
    finished_at = case when done + $2 >= total then now() end
  where id = $1 returning id
)
select case when $4::text is not null then pg_notify('tartan_deliveries', $4) end from advanced`,
);

/* Retention. */

/** Jobs that stayed paused for so long are cancelled. */
export const END_PAUSED_JOBS = `
update relay.jobs set status = 'cancelled', finished_at = now(), updated_at = now() where status = 'paused' and updated_at < $1`;

/** Members of finished jobs, at most $1; repeat until fewer are deleted. */
export const FORGET_MEMBERS = `
delete from relay.job_members where (job_id, n) in (
  select m.job_id, m.n from relay.jobs j join relay.job_members m on m.job_id = j.id where j.finished_at is not null limit $1)`;

export const FORGET_JOBS = `
delete from relay.jobs j where finished_at < $1 and not exists (select from relay.job_members m where m.job_id = j.id)`;
