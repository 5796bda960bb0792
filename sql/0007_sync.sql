-- Subjects that are due, the worker that holds each, their cursors and runs, and the rate limits of Plaid.

create schema sync;

-- A subject is what a run brings up to date. Its row is the queue:
--
--   idle      due_at null
--   due       due_at <= now(), lease_token null
--   running   lease_token set, due_at = end of the lease (so the subject of a dead worker becomes due by itself)
--   waiting   due_at in the future, lease_token null: a retry, or a rate limit
--
-- Every mark increments generation; a run that finishes at an older generation than the current one leaves the subject due.
create table sync.subjects (
  integration_id  text not null,
  kind            text not null,                       -- item, institution, payment …
  id              text not null,
  due_at          timestamptz,
  ready           boolean not null default true,       -- due_at has passed; see sync.set_ready
  not_before      timestamptz,                         -- a mark makes it due no sooner (backoff after a 429 or an outage)
  generation      bigint not null default 0,
  oldest_unserved uuid,                                -- no webhook of it that waits for a run has a lesser id
  requested       text[] not null default '{}',        -- resources that are requested besides those of the webhooks; * is all
  claimed         text[] not null default '{}',        -- resources that claims moved here from requested and no run has read yet
  lease_token     uuid,
  attempts        integer not null default 0,          -- failures in a row
  status          text not null default 'pending'
    check (status in ('pending', 'ok', 'retrying', 'waiting', 'needs_user', 'ended', 'misconfigured', 'unlinked')),
  last_error      jsonb,                               -- {"class","error_type","error_code","message","resource"?,"at"}
  verified_at     timestamptz,                         -- the mirror was equal to Plaid then
  created_at      timestamptz not null default now(),
  primary key (integration_id, kind, id)
) with (fillfactor = 80);
create index subjects_ready on sync.subjects (integration_id, due_at) where ready;
create index subjects_waiting on sync.subjects (integration_id, due_at) where not ready and due_at is not null;
create index subjects_running on sync.subjects (integration_id) where lease_token is not null;
-- Retention deletes subjects of items that were never linked after a month.
create index subjects_unlinked on sync.subjects (created_at) where status = 'unlinked' and due_at is null;
-- Lists items that webhooks name and nobody linked, in the order of the list of items.
create index subjects_never_linked on sync.subjects (id, integration_id) where kind = 'item' and status = 'unlinked';

-- Lists the subjects that are not items.
create index subjects_of_other_kinds on sync.subjects (kind, id, integration_id) where kind <> 'item';
-- The same by status, for the few that need attention beside many that are well or over.
create index subjects_of_other_kinds_by_status on sync.subjects (status, kind, id, integration_id)
  where kind <> 'item' and status not in ('ok', 'ended');

-- `due_at <= now()` cannot be indexed, so `ready` stores it. These triggers set it for every statement that writes due_at; the
-- workers set it for subjects that become due by time alone (WAKE in sync/queries.ts). Claims therefore read an index that
-- holds only due subjects, however many wait for later.
create function sync.set_ready() returns trigger language plpgsql as $$
begin
  new.ready := coalesce(new.due_at <= clock_timestamp(), false);
  return new;
end $$;
-- The condition skips the call where nothing changes: a webhook that marks a subject due inserts or keeps `true`.
create trigger set_ready_on_insert before insert on sync.subjects for each row
  when (new.ready is distinct from coalesce(new.due_at <= clock_timestamp(), false)) execute function sync.set_ready();
create trigger set_ready_on_update before update of due_at on sync.subjects for each row
  when (new.ready is distinct from coalesce(new.due_at <= clock_timestamp(), false)) execute function sync.set_ready();

-- How far each resource of a subject was read; written in the transaction that applies its rows.
create table sync.cursors (
  integration_id text not null,
  kind           text not null,
  id             text not null,
  resource       text not null,
  cursor         text,                                 -- null: no increments; the next run reads everything
  read_with      text not null default '',             -- options of the request that shape rows; when they differ from the integration's, the next run reads everything
  complete       boolean not null default true,        -- the first reading is over; before, events say that their rows are history
  rows           bigint not null,                      -- rows that are not removed, so that nothing has to count them
  absent         text check (absent in ('not_listed', 'refused')), -- null: the subject has the resource; else how Plaid says that it has not
  verified_at    timestamptz,                          -- its rows were equal to Plaid's then: it was read to its end
  updated_at     timestamptz not null default now(),
  primary key (integration_id, kind, id, resource)
);

-- How fresh each resource of an item, or of another subject, is. A resource that was never read has no row.
create view plaid.freshness with (security_barrier) as
  select integration_id, case when kind = 'item' then id end as item_id, resource, verified_at, rows, absent, kind, id
  from sync.cursors
  where ((select plaid.tenant(current_user)) is null or integration_id = (select plaid.tenant(current_user)));

-- The latest runs: the item's timeline. The janitor bounds the table; rows leave by the thousand each hour, so autovacuum runs
-- early enough that their space is used again.
create table sync.runs (
  id             uuid primary key,                     -- UUIDv7
  integration_id text not null,
  kind           text not null,
  subject_id     text not null,
  started_at     timestamptz not null,
  finished_at    timestamptz not null,
  outcome        text not null,
  webhooks       integer not null,                     -- how many it served
  summary        jsonb not null                        -- the update_info of those webhooks
) with (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.02);
create index runs_by_subject on sync.runs (subject_id, kind, id);

-- A page loop that had to wait, and where it continues. Its pages stay in mirror.staged_pages under the lease that read them; a
-- crash of Postgres empties that table, the next run finds pages missing, and the loop starts over.
create table sync.loops (
  integration_id text not null,
  kind           text not null,
  id             text not null,
  resource       text not null,
  lease_token    uuid not null,                        -- its pages are staged under this lease
  first_cursor   text,                                 -- where it began; null: at the start, so rows that it does not bring are removed
  next_cursor    text not null,                        -- of the next page
  pages          jsonb not null,                       -- for each staged page, whether it holds rows, and removals
  read_with      text not null,                        -- the options that shape its rows
  full_for       uuid[] not null,                      -- webhooks that request a full reading and were there when it began
  generation     bigint not null,                      -- of the subject in the run that paused it
  waiting        text not null,                        -- SHA-256 of the ids of the webhooks that waited after that run; empty: none
  begun_at       timestamptz not null default now(),
  primary key (integration_id, kind, id, resource)
);

-- Plaid's limits, shared by all processes: the generic cell rate algorithm, one row for an endpoint of a client or of an item.
-- A request may go when now >= arrival - burst, and moves arrival on by step. Unlogged: losing the table costs one burst.
create unlogged table sync.rate_limits (
  key          text primary key,
  arrival      timestamptz not null,
  step         interval not null,                      -- between requests in the long run
  burst        interval not null,                      -- how far ahead of that a caller may run
  strikes      integer not null default 0,             -- recent 429s
  slowed_until timestamptz                             -- Plaid answered 429: no request goes before this
);

-- Asks for one request under all of `keys` (an item's, its institution's, its client's), with the steps and bursts of each in
-- ms. Returns how long (ms) the caller has to wait. When that is at most `patience_ms` the request is granted and counted
-- under every key; otherwise it is counted nowhere, so that a refusal by one key uses up nothing of the others.
create function sync.acquire(keys text[], steps float8[], bursts float8[], patience_ms float8)
returns float8 language plpgsql as $$
declare
  at timestamptz;
  wait_ms float8;
begin
  -- A key without a step has no limit of its own; its row exists only while Plaid slows it.
  insert into sync.rate_limits (key, step, burst, arrival)
  select k, s * interval '1 ms', b * interval '1 ms', statement_timestamp()
  from unnest(keys, steps, bursts) as asked (k, s, b) where s > 0 order by k
  on conflict (key) do nothing;
  -- In one order, so that callers cannot deadlock.
  perform from sync.rate_limits where key = any (keys) order by key for update;
  at := clock_timestamp();
  select coalesce(greatest(0, max(extract(epoch from greatest(r.arrival - b * interval '1 ms', r.slowed_until) - at)) * 1000), 0)
  into wait_ms
  from unnest(keys, bursts) as asked (k, b) join sync.rate_limits r on r.key = asked.k;
  if wait_ms <= patience_ms then
    update sync.rate_limits r set step = s * interval '1 ms', burst = b * interval '1 ms',
      arrival = greatest(r.arrival, at) + s * interval '1 ms'
    from unnest(keys, steps, bursts) as asked (k, s, b) where r.key = asked.k and s > 0;
  end if;
  return wait_ms;
end $$;
