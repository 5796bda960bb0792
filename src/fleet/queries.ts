/** The statements of fleet jobs. A statement that changes members locks the row of their job first. All times are Postgres' own. */
import type { Statement } from "../database/types.ts";

const statement = (name: string, text: string): Statement => ({ name: `fleet_${name}`, text });

/** A job has at most this many members, and there are at most so many unfinished jobs. */
export const MEMBERS_MAX = 1_000_000;
export const UNFINISHED_MAX = 50;

const OPEN = "('queued', 'following', 'outstanding')";

/* Creation. */

/** Those of the items $1 that integration $2 does not have, or null: that no integration has. In their order. */
export const UNKNOWN_ITEMS = `
select id from unnest($1::text[]) with ordinality as g (id, n)
where not exists (select from tartan.items i where i.item_id = g.id and ($2::text is null or i.integration_id = $2)) order by n`;

export const LOCK_CREATION = "select from fleet.creation for update";

export const COUNT_UNFINISHED = "select count(*)::int as count from fleet.jobs where status in ('running', 'paused')";

export const INSERT_JOB = `
insert into fleet.jobs (id, kind, integration_id, asked, reason, per_minute, status) values ($1, $2, $3, $4, $5, $6, 'paused')`;

/** `members` uses the values $1…; the job's id and the first state follow them. */
export const freezeMembers = (members: string, valueCount: number): string => `
insert into fleet.members (job_id, n, integration_id, item_id, details, state)
select $${valueCount + 1}, row_number() over (order by integration_id, item_id), integration_id, item_id, details, $${valueCount + 2}
from (select * from (${members}) m order by integration_id, item_id limit ${MEMBERS_MAX + 1}) m`;

export const countMembers = (members: string): string =>
  `select count(*)::int as count from (select from (${members}) m limit ${MEMBERS_MAX + 1}) m`;

export const OPEN_JOB = `
update fleet.jobs set status = case when $2 = 0 then 'done' else 'running' end, finished_at = case when $2 = 0 then now() end
where id = $1`;

/** An unfinished job of kind $1, or one that a process still holds, with an unfinished member that $2 has too. */
export const BUSY_ELSEWHERE = `
select j.id from fleet.jobs j
where j.kind = $1 and j.id <> $2 and (j.status in ('running', 'paused') or j.lease_until > now())
  and exists (select from fleet.members m join fleet.members o on o.item_id = m.item_id and o.integration_id = m.integration_id
    where m.job_id = j.id and m.phase in ${OPEN} and o.job_id = $2 and o.phase in ${OPEN})
limit 1`;

/** A hint to the runners; those of the relay listen too. */
export const NOTIFY_JOBS = "select pg_notify('tartan_jobs', '')";

/* What users see. */

const RECORD = `j.id, j.kind, j.status, j.asked, j.reason, j.per_minute, j.created_at, j.updated_at, j.finished_at,
  coalesce((select jsonb_agg(t) from (select state, phase, cause, members from fleet.tallies where job_id = j.id and members > 0) t),
    '[]') as tallies`;

export const GET_JOB = statement("get_job", `select ${RECORD} from fleet.jobs j where j.id = $1`);

/** Newest first. $1 a status, $2 a kind, null: any; $3 and $4 where the page before ended; $5 how many. */
export const LIST_JOBS = statement(
  "list_jobs",
  `
select ${RECORD}, j.created_at::text as place from fleet.jobs j
where ($1::text is null or j.status = $1) and ($2::text is null or j.kind = $2)
  and ($3::timestamptz is null or (j.created_at, j.id) < ($3, $4))
order by j.created_at desc, j.id desc limit $5`,
);

/** Of job $1, in their order after $4: in state $2, with cause $3; null: any. $5 how many. */
export const LIST_MEMBERS = statement(
  "list_members",
  `
select n, integration_id, item_id, state, phase, cause, attempts, details, updated_at,
  case when phase <> 'done' and phase <> 'failed' then due_at end as due_at, waits_until
from fleet.members
where job_id = $1 and ($2::text is null or state = $2) and ($3::text is null or cause = $3) and n > $4
order by n limit $5`,
);

/** Changes the status of job $1 to $2 if it is one of $3. */
export const CHANGE_JOB = `
update fleet.jobs set status = $2, updated_at = now(), finished_at = case when $2 = 'cancelled' then now() end
where id = $1 and status = any ($3::text[])`;

/** Job $1 begins $2 members in a minute. What the former pace admits only later waits no longer for that. */
export const SET_PACE = `
update fleet.jobs set per_minute = $2, next_at = least(next_at, now()), updated_at = now()
where id = $1 and status in ('running', 'paused')`;

export const IS_HELD = "select from fleet.jobs where id = $1 and lease_until > now()";

export const LOCK_JOB = "select kind, status from fleet.jobs where id = $1 for no key update";

/** Failed members of job $1, of cause $2 or any, begin anew in state $3. */
export const RETRY_FAILED = `
update fleet.members set state = $3, phase = 'queued', due_at = now(), attempts = 0, cause = null, waits_until = null,
  overdue = null, updated_at = now()
where job_id = $1 and state = 'failed' and phase = 'failed' and ($2::text is null or cause = $2)`;

export const REOPEN_JOB = `
update fleet.jobs set status = case when status = 'done' then 'running' else status end, finished_at = null, updated_at = now()
where id = $1`;

/* Holding a job. */

/** Claims up to $1 running jobs of the kinds $4 that no process holds, except $2, for $3 seconds; the oldest first. */
export const CLAIM_JOBS = statement(
  "claim_jobs",
  `
update fleet.jobs set fence = fence + 1, lease_until = now() + $3 * interval '1 second'
where id in (select id from fleet.jobs
  where status = 'running' and (lease_until is null or lease_until <= now()) and id <> all ($2::text[])
    and kind = any ($4::text[])
  order by created_at limit $1 for update skip locked)
returning id, kind, integration_id as "integrationId", asked, fence::text as fence`,
);

export const RENEW_LEASE = statement(
  "renew_lease",
  "update fleet.jobs set lease_until = now() + $3 * interval '1 second' where id = $1 and fence = $2::bigint",
);

export const END_LEASE = statement(
  "end_lease",
  "update fleet.jobs set lease_until = null where id = $1 and fence = $2::bigint",
);

const FACTS = `n, integration_id as "integrationId", item_id as "itemId", state, attempts, details`;

/**
 * Takes members of job $1 under the fence $2 that are due and not among $3, at most $4: first those that follow, then queued ones, at
 * most $5, as many as the pace admits. A second that nobody used is not made up for later. Yields one row without a member where there
 * are none, and no row where the job is not this process's any more. `waitMs` is the time until the pace admits another. Members are
 * found by $1 and not by the row of the job: a join would sort all of them.
 */
export const TAKE_MEMBERS = statement(
  "take_members",
  `
with job as materialized (
  select id, status, 60.0 / per_minute as step, greatest(next_at, now() - interval '1 second') as from_at
  from fleet.jobs where id = $1 and fence = $2::bigint for no key update
), allowed as (
  select case when from_at > now() then 0 else floor(extract(epoch from now() - from_at) / step)::int + 1 end as count from job
), following as (
  select m.* from fleet.members m
  where (select status from job) = 'running' and m.job_id = $1 and m.phase = 'following' and m.due_at <= now() and m.n <> all ($3::int[])
  order by m.due_at, m.n limit $4
), queued as (
  select m.* from fleet.members m
  where (select status from job) = 'running' and m.job_id = $1 and m.phase = 'queued' and m.due_at <= now() and m.n <> all ($3::int[])
  order by m.due_at, m.n
  limit greatest(0, least($4 - (select count(*) from following), $5, (select count from allowed)))
), paced as (
  update fleet.jobs j set next_at = job.from_at + (select count(*) from queued) * job.step * interval '1 second'
  from job where j.id = job.id and exists (select from queued)
)
select job.status, greatest(0, extract(epoch from job.from_at + ((select count(*) from queued) * job.step) * interval '1 second' - now())
  * 1000)::float8 as "waitMs", t.*
from job left join (
  select ${FACTS} from following union all select ${FACTS} from queued
) t on true`,
);

/** Takes outstanding members that are due to be examined, at most $3, and sets the next time: sooner where the state is young. */
export const LOOK_AT = statement(
  "look_at",
  `
with job as materialized (
  select id from fleet.jobs where id = $1 and fence = $2::bigint and status = 'running' for no key update
), chosen as materialized (
  select m.n from fleet.members m
  where exists (select from job) and m.job_id = $1 and m.phase = 'outstanding' and m.due_at <= now()
  order by m.due_at, m.n limit $3
)
update fleet.members m set due_at = now() + least(30, greatest(1, extract(epoch from now() - m.updated_at) / 4)) * interval '1 second'
from chosen c where m.job_id = $1 and m.n = c.n
returning ${FACTS.split(", ")
    .map((each) => `m.${each}`)
    .join(", ")}, m.waits_until <= now() as late, m.overdue`,
);

/** How many members of job $1 are begun and not finished. */
export const COUNT_BEGUN = statement(
  "count_begun",
  `select coalesce(sum(members), 0)::int as count from fleet.tallies where job_id = $1 and phase in ('following', 'outstanding')`,
);

/**
 * Stores what became of members of job $1 under the fence $2; a row of $3 without a state is a note, which joins the details only.
 * Yields a row if this process still holds the job.
 */
export const STORE = statement(
  "store",
  `
with job as materialized (
  select id from fleet.jobs where id = $1 and fence = $2::bigint for no key update
), given as (
  select * from jsonb_to_recordset($3::jsonb) as g (n int, state text, phase text, in_s float8, for_s float8, overdue text, attempts int,
    cause text, details jsonb)
), changed as (
  update fleet.members m set details = m.details || g.details, state = coalesce(g.state, m.state), phase = coalesce(g.phase, m.phase),
    due_at = case when g.state is null then m.due_at else now() + coalesce(g.in_s, 0) * interval '1 second' end,
    waits_until = case when g.state is null then m.waits_until else now() + g.for_s * interval '1 second' end,
    overdue = case when g.state is null then m.overdue else g.overdue end,
    attempts = coalesce(g.attempts, m.attempts), cause = case when g.state is null then m.cause else g.cause end,
    updated_at = case when g.state is null then m.updated_at else now() end
  from given g, job where m.job_id = job.id and m.n = g.n
), advanced as (
  update fleet.jobs j set updated_at = now() from job where j.id = job.id
)
select from job`,
);

/** The sealed tokens of those of the items $2 of the integrations $1 that are linked, and their institutions as far as they are mirrored. */
export const SEALED_TOKENS = statement(
  "sealed_tokens",
  `
select k.number::int as number, i.access_token_sealed as sealed, p.institution_id as "institutionId"
from unnest($1::text[], $2::text[]) with ordinality as k (integration_id, item_id, number)
join tartan.items i on i.integration_id = k.integration_id and i.item_id = k.item_id
left join plaid.items p on p.integration_id = k.integration_id and p.item_id = k.item_id
where i.access_token_sealed is not null`,
);

/** Ends job $1 if it runs under the fence $2 and nothing is left to do. Its transaction has locked the job: see finish.ts. */
export const FINISH_JOB = statement(
  "finish_job",
  `
update fleet.jobs set status = 'done', finished_at = now(), updated_at = now(), lease_until = null
where id = $1 and fence = $2::bigint and status = 'running'
  and not exists (select from fleet.members where job_id = $1 and phase in ${OPEN})`,
);
