-- Who is told, what they are told, and how that went.

create schema relay;

create table relay.destinations (
  id              text primary key,                    -- dst_…
  name            text not null default '',
  description     text not null default '',
  url             text not null,
  headers_sealed  bytea,                               -- JSON object of header names and values; null: none
  header_names    text[] not null default '{}',
  ca              text,                                -- PEM, trusted besides the usual ones
  timeout_ms      integer not null default 15000 check (timeout_ms between 1000 and 30000),
  schedule        integer[] not null default '{5,300,1800,7200,18000,36000,36000}', -- seconds before each retry
  rate_limit      integer check (rate_limit > 0),      -- null: none; else so many…
  rate_window_ms  integer not null default 1000 check (rate_window_ms between 1000 and 60000), -- …in any such window
  concurrency     integer not null default 8 check (concurrency between 1 and 256),
  ordering        text not null default 'parallel' check (ordering in ('parallel', 'per_item')),
  disable_after_s integer not null default 432000,     -- of nothing but failures
  paused_at       timestamptz,
  disabled_at     timestamptz,
  disabled_reason text,                                -- gone, asked_by_receiver, failing, by_hand
  version         integer not null default 1,
  created_at      timestamptz not null default now(),
  updated_at      timestamptz not null default now(),
  deleted_at      timestamptz
);

-- Keys that sign what a destination is sent. During a rotation several do, the newest first.
create table relay.signing_keys (
  id             text primary key,                     -- sgk_…
  destination_id text not null references relay.destinations (id) on delete cascade,
  scheme         text not null check (scheme in ('v1', 'v1a')),
  secret_sealed  bytea not null,                       -- whsec_… or whsk_…
  public_key     text,                                 -- whpk_…, of v1a
  created_at     timestamptz not null default now(),
  expires_at     timestamptz                           -- null: until it is rotated
);
create index signing_keys_by_destination on relay.signing_keys (destination_id, created_at);

-- The processes that deliver. One that is gone is known by its lease, or sooner by its session with Postgres having ended.
create table relay.workers (
  id              uuid primary key,
  started_at      timestamptz not null default now(),
  beat_at         timestamptz not null default now(),
  lease_until     timestamptz not null,
  session_pid     integer not null,
  session_started timestamptz not null
);

-- How a destination fares. Written by the one worker that holds it; the epoch fences out those that held it before.
create table relay.health (
  destination_id  text primary key references relay.destinations (id) on delete cascade,
  worker          uuid,                                -- null: nobody holds it
  epoch           bigint not null default 0,           -- one more at each change of hands
  taken_at        timestamptz,
  breaker         text not null default 'closed' check (breaker in ('closed', 'open', 'half_open')),
  openings        integer not null default 0,          -- in a row, without a success between
  hold_until      timestamptz,                         -- open until then, or asked by Retry-After
  recent          jsonb not null default '[]',         -- the window's attempts: [[minute, failed, all], …]
  failing_since   timestamptz,                         -- first failure after the last success
  failures        integer not null default 0,          -- in a row
  warned          integer not null default 0,          -- per cent of the way to being disabled that were told
  last_success_at timestamptz,
  last_failure_at timestamptz,
  last_error      text
);

create table relay.routes (
  id             text primary key,                     -- rte_…
  destination_id text not null references relay.destinations (id) on delete cascade,
  name           text not null default '',
  version        integer not null default 1,
  enabled        boolean not null default true,
  created_at     timestamptz not null default now(),
  updated_at     timestamptz not null default now(),
  deleted_at     timestamptz
);
create index routes_by_destination on relay.routes (destination_id) where deleted_at is null;

-- What a route says, never changed: a delivery keeps to the version under which it was made.
create table relay.route_versions (
  route_id   text not null references relay.routes (id) on delete cascade,
  version    integer not null,
  definition jsonb not null,                           -- {"filter": {…}, "match": …, "form": …, "transform": …}
  created_at timestamptz not null default now(),
  primary key (route_id, version)
);

-- One event for one destination:
--
--   scheduled ──2xx──▶ delivered            due_at says when; a destination that is paused, disabled or open holds it
--       │ ▲
--       │ └──redriven, replayed──┐
--       ├──gives up──▶ dead ─────┤
--       └──cancelled ▶ cancelled ┘
create table relay.deliveries (
  id             uuid primary key,                     -- UUIDv7; dlv_…
  seq            bigint generated always as identity,  -- the order of the events at their destination
  destination_id text not null references relay.destinations (id) on delete cascade,
  event_id       uuid not null,                        -- of journal.webhooks where event_type is webhook.received, else of journal.events
  event_type     text not null,
  integration_id text,
  item_id        text,
  lane           text,                                 -- one at a time within a lane; null: beside all others
  route_id       text not null,
  route_version  integer not null,
  form           text not null check (form in ('original', 'webhook', 'event', 'transform')),
  status         text not null default 'scheduled' check (status in ('scheduled', 'delivered', 'dead', 'cancelled')),
  due_at         timestamptz,
  attempts       integer not null default 0,           -- all there were
  tries          integer not null default 0,           -- since it was scheduled or last redriven: the place in the schedule
  job_id         text,                                 -- which replay or redrive brought it back
  body           bytea,                                -- what is sent, where that is not the event's own bytes
  body_sha256    bytea,
  cause          text,                                 -- of the last failure: status_500, timeout, …
  detail         text,                                 -- the same in more words, as why a transform failed
  last_status    integer,
  created_at     timestamptz not null default now(),
  finished_at    timestamptz,
  unique (event_id, destination_id),
  check (status <> 'scheduled' or due_at is not null)
) with (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05); -- what was delivered leaves the indexes below only then
create index deliveries_due on relay.deliveries (destination_id, due_at, seq) where status = 'scheduled' and lane is null;
create index deliveries_lanes on relay.deliveries (destination_id, lane, seq) where status = 'scheduled' and lane is not null;
create index deliveries_dead on relay.deliveries (destination_id, cause, seq) where status = 'dead';
create index deliveries_by_destination on relay.deliveries (destination_id, seq);
create index deliveries_by_item on relay.deliveries (item_id, seq) where item_id is not null;

create table relay.attempts (
  delivery_id      uuid not null references relay.deliveries (id) on delete cascade,
  number           integer not null,
  started_at       timestamptz not null,
  duration_ms      integer not null,
  url              text not null,
  address          text,                               -- of the receiver, where a connection came about
  status           integer,
  error            text,                               -- stable code; null: it was answered with 2xx
  response_headers jsonb,
  response_head    bytea,                              -- the first 16 KiB of the answer
  job_id           text,
  primary key (delivery_id, number)
);

-- Work on many deliveries that somebody asked for: over a set that is frozen when it is asked for, in order, a batch a
-- transaction. Whoever dies meanwhile has done whole batches, and another goes on.
create table relay.jobs (
  id             text primary key,                     -- job_…
  kind           text not null check (kind in ('redrive', 'replay', 'route_past')),
  status         text not null default 'running' check (status in ('running', 'paused', 'cancelled', 'done')),
  destination_id text references relay.destinations (id) on delete cascade,
  route_id       text,
  asked          jsonb not null,                       -- the request
  reason         text not null default '',
  total          integer not null,
  done           integer not null default 0,
  changed        integer not null default 0,           -- deliveries that were scheduled by it
  created_at     timestamptz not null default now(),
  updated_at     timestamptz not null default now(),
  finished_at    timestamptz
);
create index jobs_running on relay.jobs (created_at) where status = 'running';

create table relay.job_members (
  job_id text not null references relay.jobs (id) on delete cascade,
  n      integer not null,
  member uuid not null,                                -- a delivery, or an event for route_past
  primary key (job_id, n)
);

-- Whether something waits longer than it should: a row while it does, so that it is told once, whoever finds it.
create table relay.overdue (
  only_one boolean primary key default true check (only_one),
  since    timestamptz not null default now()
);

-- Since when there are webhooks that are still to be sent; null where there are none.
create function relay.needed_since() returns timestamptz
language sql stable as $$
  select to_timestamp(('x' || left(replace(min(r.event_id::text), '-', ''), 12))::bit(48)::bigint / 1000.0)
  from relay.destinations x join relay.deliveries r on r.destination_id = x.id and r.status = 'scheduled'
  where x.deleted_at is null and r.event_type = 'webhook.received' and r.body is null
$$;

-- As before, but it keeps the weeks with webhooks that are still to be sent.
create or replace function journal.drop_weeks(instant timestamptz) returns integer
language plpgsql as $$
declare
  week record;
  dropped integer := 0;
begin
  perform set_config('lock_timeout', '2s', true);
  perform pg_advisory_xact_lock(hashtext('journal.ensure_partitions'));
  -- What is just being brought back by a job is needed from now on.
  perform pg_advisory_xact_lock(21569, 11);
  instant := least(instant, date_trunc('week', now(), 'UTC'), relay.needed_since());
  for week in select * from journal.weeks where starts_at + interval '1 week' <= instant order by starts_at loop
    execute format('drop table %s', week.partition);
    dropped := dropped + 1;
  end loop;
  if dropped > 0 then
    alter table journal.webhooks detach partition journal.webhooks_earlier;
    delete from journal.webhooks_earlier where id < journal.least_id_at(instant);
    execute format('alter table journal.webhooks attach partition journal.webhooks_earlier for values from (minvalue) to (%L)',
      journal.least_id_at((select min(starts_at) from journal.weeks)));
  end if;
  return dropped;
end
$$;
