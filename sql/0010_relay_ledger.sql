-- Deliveries and their attempts, and work on many deliveries at once.

-- One event for one destination:
--
--   scheduled ──2xx──▶ delivered            due_at says when; a paused, disabled or failing destination holds it back
--       │ ▲
--       │ └──redriven, replayed──┐
--       ├──gives up──▶ dead ─────┤
--       └──cancelled ▶ cancelled ┘
create table relay.deliveries (
  id             uuid primary key,                     -- UUIDv7; dlv_…
  seq            bigint generated always as identity,  -- the order of the events at their destination
  destination_id text not null references relay.destinations (id) on delete cascade,
  event_id       uuid not null,                        -- of journal.webhooks where event_type is webhook.received, else of events.events
  event_type     text not null,
  integration_id text,
  item_id        text,
  user_id        text,                                 -- as it was known at dispatch, so that a later attempt sends the same bytes
  ordering_key   text,                                 -- one delivery at a time; null: in parallel with all others
  route_id       text not null,
  route_version  integer not null,
  form           text not null check (form in ('original', 'webhook', 'event', 'transform')),
  status         text not null default 'scheduled' check (status in ('scheduled', 'delivered', 'dead', 'cancelled')),
  due_at         timestamptz,
  attempts       integer not null default 0,           -- in total
  tries          integer not null default 0,           -- since it was scheduled or last redriven: the place in the schedule
  job_id         text,                                 -- the replay or redrive that brought it back
  body           bytea,                                -- the bytes to send where they are not the event's own bytes
  body_sha256    bytea,
  cause          text,                                 -- of the last failure: status_500, timeout, …
  detail         text,                                 -- explains the cause, such as why a transform failed
  last_status    integer,
  created_at     timestamptz not null default now(),
  finished_at    timestamptz,
  unique (event_id, destination_id),
  check (status <> 'scheduled' or due_at is not null)
) with (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05); -- only a vacuum takes finished deliveries out of these indexes
create index deliveries_due on relay.deliveries (destination_id, due_at, seq) where status = 'scheduled' and ordering_key is null;
create index deliveries_by_ordering_key on relay.deliveries (destination_id, ordering_key, seq)
  where status = 'scheduled' and ordering_key is not null;
-- Dead letters are listed by place, and grouped by cause and time: each by an index of its own that holds nothing else.
create index deliveries_dead on relay.deliveries (destination_id, seq) where status = 'dead';
create index deliveries_dead_by_cause on relay.deliveries (destination_id, (coalesce(cause, '')), finished_at)
  where status = 'dead';
create index deliveries_by_destination on relay.deliveries (destination_id, seq);
create index deliveries_by_item on relay.deliveries (item_id, seq) where item_id is not null;

create table relay.attempts (
  delivery_id      uuid not null references relay.deliveries (id) on delete cascade,
  number           integer not null,
  started_at       timestamptz not null,
  duration_ms      integer,                            -- null: a crash cut the attempt short, so its outcome is unknown
  url              text not null,
  address          text,                               -- of the receiver, where a connection was made
  status           integer,
  error            text,                               -- stable code; null: the answer was 2xx
  response_headers jsonb,
  response_head    bytea,                              -- the first 16 KiB of the answer
  job_id           text,
  primary key (delivery_id, number)
);

-- Requested work on many deliveries. The set is frozen when the job is created. A worker goes through it in order, a batch a
-- transaction, so a worker that dies has finished whole batches and another continues.
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
  changed        integer not null default 0,           -- deliveries that it scheduled
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
-- Finds what an unfinished job still needs; that is kept until the job is finished.
create index job_members_by_member on relay.job_members (member);

-- Whether a delivery or an unfinished job may still send webhooks with ids from `first` to before `behind`.
create function relay.needs_webhooks(first uuid, behind uuid) returns boolean
language sql stable as $$
  select exists (
    select from relay.destinations x
    join relay.deliveries r on r.destination_id = x.id and r.status in ('scheduled', 'dead')
    where x.deleted_at is null and r.event_type = 'webhook.received' and r.body is null
      and r.event_id >= first and r.event_id < behind)
  or exists (
    select from relay.job_members m join relay.jobs j on j.id = m.job_id and j.finished_at is null
    where m.member >= first and m.member < behind)
$$;

-- Requests that carried an Idempotency-Key, with their answers: a repeat within a day gets the first answer again. Keys and
-- requests are stored as hashes; answers are jobs, which hold no secret.
create table relay.requests (
  key_sha256     bytea primary key,
  request_sha256 bytea not null,                       -- of method, path and body
  status         integer,                              -- null only inside the transaction that works on it
  answer         json,
  created_at     timestamptz not null default now()
);
create index requests_by_age on relay.requests (created_at);

-- A row while events or deliveries wait longer than they should, so that one process reports it once.
create table relay.overdue (
  only_one boolean primary key default true check (only_one),
  since    timestamptz not null default now()
);
