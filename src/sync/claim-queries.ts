/**
 * The statements of a claimed subject, from the claim to the end of its run. Values are always bound. All times are Postgres' own, so
 * that processes whose clocks differ agree on what is due.
 */
import type { Statement } from "../database/types.ts";
import { waitingFor } from "../journal/queries.ts";

const statement = (name: string, text: string): Statement => ({ name: `sync_${name}`, text });

/** How many integrations with due work one claim reads; the next claim continues where it ended. */
const RING = 64;
/** How many integrations with waiting work one WAKE steps over, some 10 ms of work. */
export const WAKE_INTEGRATIONS = 500;
/** How many subjects one WAKE makes ready, shared by the integrations that have some; each gets four at least. */
export const WAKE_SUBJECTS = 1000;
const SUBJECT = "integration_id = $1 and kind = $2 and id = $3";

/**
 * Makes subjects ready that became due by time: retries, scheduled checks, expired leases. Marks make theirs ready by
 * themselves (see sql), so this may come a moment late.
 *
 * Steps over integrations with waiting subjects, beginning after $1, at most WAKE_INTEGRATIONS: for each one probe
 * of the index finds the earliest of its waiting subjects, so millions that wait for later cost nothing, and a million
 * of one integration that are due at once do not delay a single one of another. Returns how many integrations it stepped over, the
 * last of them, and how many subjects it found. It skips subjects that a commit locks.
 */
export const WAKE = statement(
  "wake",
  `
with recursive ring (integration_id, due_at, position) as (
  (select s.integration_id, s.due_at, 1 from sync.subjects s
    where not s.ready and s.due_at is not null and s.integration_id > $1 order by s.integration_id, s.due_at limit 1)
  union all
  select next.integration_id, next.due_at, r.position + 1
  from ring r cross join lateral (select s.integration_id, s.due_at from sync.subjects s
    where not s.ready and s.due_at is not null and s.integration_id > r.integration_id
    order by s.integration_id, s.due_at limit 1) next
  where r.position < ${WAKE_INTEGRATIONS}
), due as materialized (
  select r.integration_id, d.kind, d.id
  from ring r cross join lateral (select s.kind, s.id from sync.subjects s
    where not s.ready and s.integration_id = r.integration_id and s.due_at <= now()
    order by s.due_at limit (select greatest(4, ${WAKE_SUBJECTS} / greatest(count(*), 1)) from ring where due_at <= now())) d
  where r.due_at <= now()
), free as materialized (
  select s.integration_id, s.kind, s.id from due join sync.subjects s using (integration_id, kind, id)
  where not s.ready and s.due_at <= now() for update of s skip locked
), woken as (
  update sync.subjects s set ready = true from free f
  where s.integration_id = f.integration_id and s.kind = f.kind and s.id = f.id returning 1
)
select (select count(*) from ring)::int as stepped, (select max(integration_id) from ring) as last,
  (select count(*) from due)::int as found`,
);

/**
 * Claims up to $2 ready subjects for $3 seconds each.
 *
 * Fair between integrations: the ring steps from one integration with something ready to the next (each step one probe of
 * an index that holds nothing else), beginning after $1, the one that was served last. A subject's turn is the number of its
 * integration's runs plus its place in that integration's own queue, and lower turns go first.
 *
 * It locks only the rows that it claims, and skips rows that another worker is claiming. A run that is being
 * committed locks its subject `for key share`, which is compatible with marks and heartbeats but not with this lock: so an expired
 * lease is not taken over while its rows are being written.
 *
 * Its commit does not wait for the disk. A crash of Postgres may forget the claim: then the subject is due as before it, with another lease
 * token or none. The worker that made it notices like any worker that lost its lease, since each of its statements names the
 * token. And what it committed is not there without the claim, whose record comes first in the log.
 */
export const CLAIM = statement(
  "claim",
  `
with recursive ring (integration_id, position, wrapped) as (
  select $1::text, 0, false
  union all
  select coalesce(next.integration_id, first.integration_id), r.position + 1, r.wrapped or next.integration_id is null
  from ring r
  left join lateral (select s.integration_id from sync.subjects s
    where s.ready and s.integration_id > r.integration_id order by s.integration_id limit 1) next on true
  left join lateral (select s.integration_id from sync.subjects s
    where s.ready and next.integration_id is null and not r.wrapped order by s.integration_id limit 1) first on true
  where r.position < ${RING} and not (r.wrapped and r.integration_id >= $1)
    and coalesce(next.integration_id, first.integration_id) is not null
), candidates as (
  select r.integration_id, due.kind, due.id, r.position,
    busy.running + row_number() over (partition by r.integration_id order by due.due_at) as turn
  from ring r
  cross join lateral (select count(*) as running from sync.subjects s
    where s.integration_id = r.integration_id and s.lease_token is not null and s.due_at > now()) busy
  cross join lateral (select s.kind, s.id, s.due_at from sync.subjects s
    where s.integration_id = r.integration_id and s.ready order by s.due_at limit $2 * 4 + 16) due
  where r.position > 0 and not (r.wrapped and r.integration_id > $1)
  order by turn, position limit $2 * 4 + 16
), chosen as (
  select s.integration_id, s.kind, s.id, s.lease_token as dead, c.turn, c.position
  from candidates c join sync.subjects s using (integration_id, kind, id)
  where s.ready order by c.turn, c.position limit $2 for update of s skip locked
)
update sync.subjects s set lease_token = gen_random_uuid(), due_at = now() + $3 * interval '1 second',
  attempts = s.attempts + (s.lease_token is not null)::int, requested = '{}',
  claimed = case when s.requested <@ s.claimed then s.claimed else array(select distinct unnest(s.claimed || s.requested)) end
from chosen c where s.integration_id = c.integration_id and s.kind = c.kind and s.id = c.id
returning s.integration_id, s.kind, s.id, s.lease_token, s.generation, s.oldest_unserved, s.claimed, s.status, s.attempts, now() as claimed_at,
  -- The pages of a dead worker are deleted; a loop that waits continues from its last stored state.
  case when not exists (select from sync.loops l where l.integration_id = s.integration_id and l.kind = s.kind and l.id = s.id
    and l.lease_token = c.dead) then c.dead end as dropped,
  set_config('synchronous_commit', 'off', true)`,
);

/** Renews a lease for $5 seconds. */
export const RENEW = statement(
  "renew",
  `update sync.subjects set due_at = now() + $5 * interval '1 second' where ${SUBJECT} and lease_token = $4`,
);

/** Gives a subject back unchanged, due in $5 ms. */
export const GIVE_BACK = statement(
  "give_back",
  `update sync.subjects set lease_token = null, due_at = now() + $5 * interval '1 ms' where ${SUBJECT} and lease_token = $4`,
);

/** Gives a subject back after an unexpected failure: $5 ms to wait, $6 error, $7 status. */
export const GIVE_UP = statement(
  "give_up",
  `update sync.subjects set lease_token = null, due_at = now() + $5 * interval '1 ms', not_before = now() + $5 * interval '1 ms',
  attempts = attempts + 1, last_error = $6, status = $7 where ${SUBJECT} and lease_token = $4`,
);

/**
 * The first thing in the transaction of a run; see CLAIM for what the lock is for. The statements of a run find rows by their keys, for
 * which one plan serves all values: to plan the wide ones for each run took longer than to run them (3.5 ms of 5.2 for an event).
 */
export const FENCE: Statement = {
  ...statement(
    "fence",
    `select set_config('plan_cache_mode', 'force_generic_plan', true) from sync.subjects where ${SUBJECT} and lease_token = $4 for key share`,
  ),
  writesNothing: true,
};

/**
 * The same in a statement that keeps a staged page and does nothing else. A crash of Postgres deletes such a page anyway, so its commit need
 * not wait for the disk.
 */
export const FENCE_STAGING = statement(
  "fence_staging",
  `select set_config('synchronous_commit', 'off', true) from sync.subjects where ${SUBJECT} and lease_token = $4 for key share`,
);

/**
 * The last statement but one: from here to the commit marks wait, so it comes late. It is a statement of its own, since the
 * next one must read rows as they are after the lock.
 */
export const LOCK = statement(
  "lock",
  `select generation from sync.subjects where ${SUBJECT} and lease_token = $4 for no key update`,
);

/**
 * Ends a run: $5 the generation that it claimed, $6 due in ms, $7 hold in ms, $8 status, $9 attempts, $10 error, $11 pending, $12 verified
 * at, $13 count what is unserved still, $14 whether $12 is to be kept, $15 it is due again in any case. At another generation it is due
 * again. A subject that only waits for a limit keeps its last error.
 */
export const finish = (kind: string): Statement =>
  statement(
    kind === "item" ? "finish_item" : "finish",
    `
update sync.subjects s set lease_token = null,
  not_before = statement_timestamp() + $7::float8 * interval '1 ms',
  due_at = case when $15 or s.generation <> $5 then statement_timestamp() + coalesce($7::float8, 0) * interval '1 ms'
                else statement_timestamp() + $6::float8 * interval '1 ms' end,
  status = $8, attempts = $9, last_error = case when $8 = 'retrying' and $10::jsonb is null then s.last_error else $10::jsonb end, claimed = $11, verified_at = case when $14 then $12 else s.verified_at end,
  oldest_unserved = case when $13 or s.generation <> $5 then (
    select id from journal.webhooks
    where ${waitingFor(kind)} and id >= s.oldest_unserved order by id limit 1) end
where ${SUBJECT} and lease_token = $4`,
  );

export const KEEP_RUN = statement(
  "keep_run",
  `insert into sync.runs (id, integration_id, kind, subject_id, started_at, finished_at, outcome, webhooks, summary)
values ($1, $2, $3, $4, $5, clock_timestamp(), $6, $7, $8)`,
);
