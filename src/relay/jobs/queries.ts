/** The statements of jobs: what somebody asked for is frozen as members, which are worked on a batch at a time. */
import { share } from "../../database/locks.ts";
import type { Statement } from "../../database/types.ts";
import { REPLAYABLE } from "../ledger/delivery-queries.ts";
import { FACTS } from "../dispatch/queries.ts";

const statement = (name: string, text: string): Statement => ({ name: `relay_${name}`, text });

/* What a job is about: statements that yield `id` in the order in which it is worked on. */

/** No job is about more. */
export const MEMBERS_MAX = 1_000_000;

/** Deliveries in a state, whose last failure was at an instant. */
const failed = (state: string, at: string): string => `
select r.id, r.seq as place from relay.deliveries r
join relay.destinations x on x.id = r.destination_id and x.deleted_at is null
where ${state} and ($1::text is null or r.destination_id = $1) and ($2::text is null or r.cause = $2)
  and ($3::uuid[] is null or r.id = any ($3)) and ($4::timestamptz is null or ${at} >= $4)
  and ($5::timestamptz is null or ${at} < $5) and ($6::text is null or r.item_id = $6)`;

const RETRYING = "r.status = 'scheduled' and r.tries > 0";

/**
 * Dead letters: of destination $1, of cause $2, among $3, that gave up from $4 on and before $5, of item $6; null: any. With $7
 * also deliveries that failed then and wait for their next attempt.
 */
export const DEAD_LETTERS = `${failed("r.status = 'dead'", "r.finished_at")}
union all ${failed(`$7::boolean and ${RETRYING}`, "(select max(a.started_at) from relay.attempts a where a.delivery_id = r.id)")}`;

/** Between instants $2 and $3, ids being in the order of time; of item $4, integration $5, of types $6; just $7. Null: any. */
const asked = (id: string, type: string, row: string): string => `
  ($2::timestamptz is null or ${id} >= journal.least_id_at($2)) and ($3::timestamptz is null or ${id} < journal.least_id_at($3))
  and ($4::text is null or ${row}.item_id = $4) and ($5::text is null or ${row}.integration_id = $5)
  and ($6::text[] is null or ${type} = any ($6)) and ($7::uuid is null or ${id} = $7)`;

/** Whether a rule of $8 takes the event, as far as that can be told without its payload: what matchesFilter says, in SQL. */
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

/** Dispatch will come to it and goes by the routes as they are now; where it does not know the rule ($9), the job has to. */
const waits = (id: string, named: string): string =>
  `not $9::boolean and ${id} in (select unnest(${named}) from journal.outbox where position is null)`;

/**
 * Events that destination $1 has no delivery of, which a rule takes; but for those that still wait for dispatch, unless $9.
 * Right after AWAIT_DISPATCH no event is missed: each has its position by now, or dispatch will find the routes of now.
 */
export const EVENTS_UNSENT = `
select x.id, x.id as place from journal.webhooks x
where ${asked("x.id", "'webhook.received'", "x")} and ${takes("'webhook.received'", "x", "false", true)}
  and not exists (select from relay.deliveries r where r.event_id = x.id and r.destination_id = $1)
  and not (${waits("x.id", "webhooks")})
union all
select x.id, x.id as place from journal.events x
where ${asked("x.id", "x.type", "x")} and ${takes("x.type", "x", "x.history", false)}
  and not exists (select from relay.deliveries r where r.event_id = x.id and r.destination_id = $1)
  and not (${waits("x.id", "events")})`;

/** The same, and events whose delivery at destination $1 is finished, but for tests. */
export const EVENTS_TO_REPLAY = `
select r.event_id as id, r.event_id as place from relay.deliveries r
where r.destination_id = $1 and r.status <> 'scheduled' and r.event_type <> 'destination.test' and ${asked("r.event_id", "r.event_type", "r")}
union all ${EVENTS_UNSENT}`;

export const IS_KEPT = `
select from journal.webhooks where id = $1 union all select from journal.events where id = $1`;

export const HAS_DELIVERY = "select event_type from relay.deliveries where event_id = $1 and destination_id = $2";

export const countMembers = (members: string): string =>
  `select count(*)::int as count from (select from (${members}) m limit ${MEMBERS_MAX + 1}) m`;

/** The members come with their own values, $1…; the job's id behind them. */
export const freezeMembers = (members: string, taken: number): string => `
insert into relay.job_members (job_id, n, member)
select $${taken + 1}, row_number() over (order by place), id
from (select id, place from (${members}) m order by place limit ${MEMBERS_MAX + 1}) m`;

/* Jobs. */

/** The row stays; deliveries can be made, and its state changed, however long the freezing takes. */
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

/** Its $2 members are there. */
export const OPEN_JOB = `
update relay.jobs set total = $2, status = case when $2 = 0 then 'done' else 'running' end,
  finished_at = case when $2 = 0 then now() end
where id = $1`;

/** A hint to whoever works on jobs. */
export const NOTIFY_JOBS = "select pg_notify('tartan_jobs', '')";

const RECORD = `id, kind, status, destination_id, route_id, asked, reason, total, done, changed, created_at, updated_at, finished_at`;

export const GET_JOB = statement("get_job", `select ${RECORD} from relay.jobs where id = $1`);

/** Newest first. $1 a status, $2 a destination, null: any; $3 and $4 where the page before ended; $5 how many. */
export const LIST_JOBS = statement(
  "list_jobs",
  `
select ${RECORD}, created_at::text as place from relay.jobs
where ($1::text is null or status = $1) and ($2::text is null or destination_id = $2)
  and ($3::timestamptz is null or (created_at, id) < ($3, $4))
order by created_at desc, id desc limit $5`,
);

/** Changes the status of job $1 to $2 if it is one of $3. Waits for the batch that is under way. */
export const CHANGE_JOB = `
update relay.jobs set status = $2, updated_at = now(), finished_at = case when $2 = 'cancelled' then now() end
where id = $1 and status = any ($3::text[])`;

/* Batches. */

/** The running job that waited longest, but for those in $1; nobody else works on it until the transaction ends. */
export const TAKE_JOB = statement(
  "take_job",
  `
select id, kind, destination_id as "destinationId", route_id as "routeId", total, done,
  coalesce(asked ->> 'state' = 'failed', false) as "takesRetrying"
from relay.jobs where status = 'running' and id <> all ($1::text[]) order by updated_at, id limit 1 for update skip locked`,
);

/** Retention waits meanwhile, so an event that was just found to be there stays until its delivery is scheduled. */
export const HOLD_RETENTION = share("retention");

const MEMBERS = `members as materialized (
  select member from relay.job_members where job_id = $1 and n > $2 and n <= $2 + $3
)`;

/**
 * Locked in their order, so that two jobs about the same deliveries cannot block each other. A delivery whose transform failed
 * was never sent and has no bytes to keep to: it goes by what its route says now, which may have been mended since.
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
 * Schedules the members of job $1 from behind $2 on, $3 at most, that are still dead; with $4 also those that wait for their next
 * attempt. Yields the destinations.
 */
export const REDRIVE = schedule("redrive", `r.id = m.member and (r.status = 'dead' or $4::boolean and ${RETRYING})`);

/** Schedules the finished deliveries of its members, which are events, at destination $4. */
export const REPLAY = schedule(
  "replay",
  "r.event_id = m.member and r.destination_id = $4 and r.status in ('delivered', 'dead', 'cancelled')",
);

/** Of its members, which are events, those that destination $4 has no delivery of, in their order. */
export const MEMBERS_UNSENT = statement(
  "members_unsent",
  `
with ${MEMBERS}, unsent as materialized (
  select member from members m
  where not exists (select from relay.deliveries r where r.event_id = m.member and r.destination_id = $4)
)
select ${FACTS}, 'webhook.received' as type, false as history, x.webhook_type as "webhookType",
  x.webhook_code as "webhookCode", x.source, octet_length(x.body) as size
from unsent u join journal.webhooks x on x.id = u.member
union all
select ${FACTS}, x.type, x.history, null, null, null, octet_length(x.payload) from unsent u join journal.events x on x.id = u.member
order by 1`,
);

/** Job $1 has been through $2 members, of which it scheduled $3; destinations $4 (comma-separated, or '' for all) have something new. */
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
