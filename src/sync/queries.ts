/**
 * The statements of sync/, and at the end the queries of the API and the CLI. Values are always bound. All
 * times are Postgres' own, so that processes whose clocks differ agree on what is due.
 */
import type { Queryable, Statement } from "../database/types.ts";
import { TartanError } from "../errors.ts";
import { waitingFor } from "../journal/queries.ts";
import { countUnmarked } from "../events/sync-outbox.ts";
import { fromCursor, toCursor } from "../model/cursors.ts";
import { pageSize } from "../model/listing.ts";
import { checked } from "../model/validation.ts";
import { markDue } from "./marks.ts";
import { SyncRequest } from "./item.schema.ts";

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
    and l.lease_token = c.dead) then c.dead end as dropped`,
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

/** The first thing in the transaction of a run; see CLAIM for what the lock is for. */
export const FENCE = statement(
  "fence",
  `select from sync.subjects where ${SUBJECT} and lease_token = $4 for key share`,
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
 * Ends a run: $5 again, $6 due in ms, $7 hold in ms, $8 status, $9 attempts, $10 error, $11 pending, $12 verified at, $13
 * count what is unserved still, $14 whether $12 is to be kept. A subject that only waits for a limit keeps its last error.
 */
export const finish = (kind: string): Statement =>
  statement(
    kind === "item" ? "finish_item" : "finish",
    `
update sync.subjects s set lease_token = null,
  not_before = statement_timestamp() + $7::float8 * interval '1 ms',
  due_at = case when $5 then statement_timestamp() + coalesce($7::float8, 0) * interval '1 ms'
                else statement_timestamp() + $6::float8 * interval '1 ms' end,
  status = $8, attempts = $9, last_error = case when $8 = 'retrying' and $10::jsonb is null then s.last_error else $10::jsonb end, claimed = $11, verified_at = case when $14 then $12 else s.verified_at end,
  oldest_unserved = case when $13 then (
    select id from journal.webhooks
    where ${waitingFor(kind)} and id >= s.oldest_unserved order by id limit 1) end
where ${SUBJECT} and lease_token = $4`,
  );

export const KEEP_RUN = statement(
  "keep_run",
  `insert into sync.runs (id, integration_id, kind, subject_id, started_at, finished_at, outcome, webhooks, summary)
values ($1, $2, $3, $4, $5, clock_timestamp(), $6, $7, $8)`,
);

/* Rate limits. */

/** Takes one request from the budgets of all keys $1, with steps $2 and bursts $3 in ms, if that waits at most $4 ms: see sql. */
export const ACQUIRE = statement(
  "acquire",
  "select sync.acquire($1::text[], $2::float8[], $3::float8[], $4) as wait_ms",
);

/**
 * Plaid answered 429 under key $1: no process sends a request for $2 ms (at least), twice as long for each strike of the last
 * minutes, at most $3 ms; and then without a burst. Returns the number of recent strikes, including this one.
 */
export const SLOW = statement(
  "slow",
  `
insert into sync.rate_limits as r (key, step, burst, arrival, strikes, slowed_until)
values ($1, interval '0', interval '0', statement_timestamp() + $2 * interval '1 ms', 1, statement_timestamp() + $2 * interval '1 ms')
on conflict (key) do update set
  strikes = case when r.slowed_until > statement_timestamp() - interval '5 minutes' then least(r.strikes + 1, 20) else 1 end,
  (arrival, slowed_until) = (select greatest(r.arrival, until + r.burst), greatest(r.slowed_until, until)
    from (select statement_timestamp() + least($3, $2 * 2 ^ case when r.slowed_until > statement_timestamp() - interval '5 minutes'
      then least(r.strikes, 20) else 0 end) * interval '1 ms' as until) u)
returning strikes`,
);

/** Plaid answered under the keys $1: the next 429 counts as the first again. */
export const RESET_STRIKES = statement(
  "reset_strikes",
  "update sync.rate_limits set strikes = 0 where key = any ($1::text[]) and strikes > 0",
);

export const SWEEP_LIMITS = statement(
  "sweep_limits",
  "delete from sync.rate_limits where arrival < now() - interval '10 minutes' and coalesce(slowed_until, '-infinity') < now() - interval '10 minutes'",
);

/** Subjects of items that nobody linked, more than $1 days old; $2 at most. Waiting and running subjects stay. */
export const TRIM_SUBJECTS = statement(
  "trim_subjects",
  `
delete from sync.subjects where (integration_id, kind, id) in (
  select s.integration_id, s.kind, s.id from sync.subjects s
  where s.status = 'unlinked' and s.due_at is null and s.created_at < now() - $1 * interval '1 day' and s.kind = 'item'
    and s.lease_token is null and s.oldest_unserved is null
    and not exists (select from tartan.items i where i.integration_id = s.integration_id and i.item_id = s.id)
  limit $2 for update skip locked)`,
);

/** $2 at most of those that began more than $1 days ago; ids grow with the time of the start. */
export const TRIM_RUNS = `
delete from sync.runs where id in (
  select id from sync.runs where id < tartan.least_id_at(now() - $1 * interval '1 day') order by id limit $2
  for update skip locked)`;

/* Queries of the API and the CLI. */

/** $1 whether retries, and subjects that wait for Plaid, count as work. Unmarked arrivals always count. */
export const BUSY = `select (count(*) + (select count(*) from events.sync_outbox))::int as busy from sync.subjects
where lease_token is not null or due_at <= now() or ($1 and status in ('retrying', 'waiting') and due_at is not null)`;

const LIST_RUNS = statement(
  "list_runs",
  `select id, subject_id as item_id, integration_id, started_at, finished_at, outcome, webhooks,
  summary -> 'error' as error, summary as update_info
from sync.runs where subject_id = $1 and kind = 'item' and ($2::uuid is null or id < $2) order by id desc limit $3`,
);

/** A run as it may be shown; instants are ISO 8601. */
export interface RunRecord {
  id: string;
  item_id: string;
  integration_id: string;
  started_at: string;
  finished_at: string;
  outcome: string;
  /** how many it served */
  webhooks: number;
  /** what it failed with */
  error: Record<string, unknown> | null;
  /** its summary; the same as on the webhooks that it served */
  update_info: Record<string, unknown>;
}

/**
 * The runs of an item, newest first. `limit` is 1 to 500, 50 by default.
 * @throws TartanError `invalid_request` when the cursor is not one of a page before
 */
export async function listRuns(
  q: Queryable,
  { item_id, limit, cursor }: { item_id: string; limit?: number | undefined; cursor?: string | null | undefined },
): Promise<{ data: RunRecord[]; next_cursor: string | null }> {
  const size = pageSize(limit);
  const before = cursor == null ? null : fromCursor("runs", cursor);
  type Row = Omit<RunRecord, "started_at" | "finished_at"> & { started_at: Date; finished_at: Date };
  const { rows } = await q.query<Row>(LIST_RUNS, [item_id, before, size + 1]);
  const data = rows.slice(0, size).map((row) => ({
    ...row,
    started_at: row.started_at.toISOString(),
    finished_at: row.finished_at.toISOString(),
  }));
  const last = rows.length > size ? data.at(-1) : undefined;
  return { data, next_cursor: last ? toCursor("runs", last.id) : null };
}

const INTEGRATIONS_OF_ITEM = statement(
  "integrations_of_item",
  "select integration_id from tartan.items where item_id = $1 and access_token_sealed is not null order by 1",
);

/**
 * Makes an item due: all of its resources, or those named; `full` reads them from the start and removes what Plaid no
 * longer has.
 * @throws TartanError `not_found` when no item of that id is linked; `invalid_request` for a resource that does not exist
 */
export async function requestSync(q: Queryable, itemId: string, request: SyncRequest = {}): Promise<void> {
  const { resources, full = false } = checked(SyncRequest, request, "request");
  const { rows } = await q.query<{ integration_id: string }>(INTEGRATIONS_OF_ITEM, [itemId]);
  if (rows.length === 0) {
    const fields = { item_id: "names no item that is linked" };
    throw new TartanError("not_found", `There is no linked item ${itemId}.`, { fields });
  }
  const requested = (resources ?? ["*"]).map((name) => (full ? `${name}:full` : name));
  const marks = rows.map((row) => ({ integrationId: row.integration_id, kind: "item", id: itemId, requested }));
  await markDue(q, marks);
}

/** Counts due subjects without reading those that wait for later: those that became due by time are counted by integration. */
const QUEUE_DEPTH = statement(
  "queue_depth",
  `
with recursive ring (integration_id) as (
  (select integration_id from sync.subjects where not ready and due_at is not null order by integration_id limit 1)
  union all
  select (select s.integration_id from sync.subjects s
    where not s.ready and s.due_at is not null and s.integration_id > r.integration_id order by s.integration_id limit 1)
  from ring r where r.integration_id is not null
), due as (
  select count(*) filter (where lease_token is null) as subjects, min(due_at) as oldest from sync.subjects where ready
  union all
  select count(*) filter (where s.lease_token is null), min(s.due_at) from ring r join sync.subjects s using (integration_id)
  where not s.ready and s.due_at <= now()
)
select sum(subjects)::int as due, coalesce(extract(epoch from now() - min(oldest)), 0)::float8 as oldest_due_seconds,
  (select count(*) from sync.subjects where lease_token is not null)::int as running
from due`,
);
const BY_STATUS = statement(
  "by_status",
  "select status, count(*)::int as count from sync.subjects group by status order by status",
);

export interface QueueDepth {
  /** accepted webhooks that are not marked yet */
  unmarked: number;
  /** subjects that wait for a worker now */
  due: number;
  /** subjects that a worker holds */
  running: number;
  /** how long the first subject that is due, or unmarked webhook, has waited; 0 when none is */
  oldest_due_seconds: number;
  by_status: Record<string, number>;
}

/** What is unmarked, due and running, of all processes together. */
export async function dueDepth(q: Queryable): Promise<Omit<QueueDepth, "by_status">> {
  const { rows } = await q.query<Omit<QueueDepth, "by_status" | "unmarked">>(QUEUE_DEPTH);
  const { due = 0, running = 0, oldest_due_seconds = 0 } = rows[0] ?? {};
  const { arrivals: unmarked, oldest_seconds } = await countUnmarked(q);
  return { unmarked, due, running, oldest_due_seconds: Math.max(oldest_due_seconds, oldest_seconds) };
}

/** The same, with the number of subjects by status, for which it reads all of them. */
export async function queueDepth(q: Queryable): Promise<QueueDepth> {
  const depth = await dueDepth(q);
  const statuses = await q.query<{ status: string; count: number }>(BY_STATUS);
  return { ...depth, by_status: Object.fromEntries(statuses.rows.map(({ status, count }) => [status, count])) };
}
