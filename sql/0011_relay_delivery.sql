-- The workers that deliver, what each is sending, and the health of each destination.

-- The processes that deliver. A worker is gone when its lease has ended, or sooner when its session with Postgres has ended.
create table relay.workers (
  id              uuid primary key,
  started_at      timestamptz not null default now(),
  beat_at         timestamptz not null default now(),
  lease_until     timestamptz not null,
  -- A worker may replace another only after its own heartbeats succeeded without a pause: after an outage of Postgres all
  -- workers have been silent for equally long, and none of them is gone.
  alive_since     timestamptz not null default now(),
  session_pid     integer not null,
  session_started timestamptz not null,
  -- Null unless its host can tell whether this process has ended.
  host            text,
  process_id      integer,
  process_started text
);

-- The health of a destination. The one worker that holds the destination writes it; the epoch rejects writes of earlier holders.
create table relay.health (
  destination_id  text primary key references relay.destinations (id) on delete cascade,
  worker          uuid,                                -- null: no worker holds it
  epoch           bigint not null default 0,           -- incremented each time the holder changes
  taken_at        timestamptz,
  breaker         text not null default 'closed' check (breaker in ('closed', 'open', 'half_open')),
  openings        integer not null default 0,          -- in a row, without a success between
  hold_until      timestamptz,                         -- the circuit is open until then, or Retry-After asked for it
  asked_until     timestamptz,                         -- the part of hold_until that Retry-After asked for
  recent          jsonb not null default '[]',         -- attempts of the window: [[minute, failed, all], …]
  failing_since   timestamptz,                         -- first failure after the last success
  failing_ms      float8 not null default 0,           -- time of failures without a success, without the pauses between them
  failures        integer not null default 0,          -- in a row
  warned          integer not null default 0,          -- per cent of disable_after_s that an event has already reported
  last_success_at timestamptz,
  last_failure_at timestamptz,
  last_error      text
);

-- The attempts that a worker has begun, written before it sends them: so that no other worker sends them at the same time, and
-- so that a crash leaves an attempt of unknown outcome instead of none. One row for each destination, written only by the worker
-- that holds it. An attempt that is named here and has no row in relay.attempts is under way, or was when its worker died.
create table relay.under_way (
  destination_id text primary key references relay.destinations (id) on delete cascade,
  epoch          bigint not null,                      -- of relay.health
  delivery_ids   uuid[] not null default '{}',         -- the attempts, side by side: delivery, number, start
  numbers        integer[] not null default '{}',
  started_at     timestamptz[] not null default '{}',
  url            text not null default '',
  busy_until     timestamptz not null default '-infinity' -- each attempt has ended by then, even if its worker is cut off
) with (fillfactor = 30, autovacuum_vacuum_scale_factor = 0.5);

-- Which of deliveries are scheduled still, by the same job as when they were fetched. The note before each attempt asks this all the
-- time, in a prepared statement; a plan of its own, made while the table was small, would read all of it later on, until it is
-- analysed. So the deliveries are looked up by their keys, whatever the size of the table.
create function relay.scheduled_still(deliveries uuid[], jobs text[]) returns uuid[]
language plpgsql stable set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
begin
  return array(
    select d.id from unnest(deliveries, jobs) f (id, job_id) join relay.deliveries d on d.id = f.id
    where d.status = 'scheduled' and d.job_id is not distinct from f.job_id);
end
$$;
