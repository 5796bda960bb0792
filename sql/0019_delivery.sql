-- What a worker is sending, noted before it is sent: so that no other worker sends it meanwhile, and so that a crash
-- leaves an attempt of unknown outcome instead of none.

-- One row for each destination, written only by the worker that holds it. An attempt named here that has no row in
-- relay.attempts is under way, or was when its worker died.
create table relay.under_way (
  destination_id text primary key references relay.destinations (id) on delete cascade,
  epoch          bigint not null,                      -- of relay.health
  delivery_ids   uuid[] not null default '{}',         -- the attempts, side by side: delivery, number, start
  numbers        integer[] not null default '{}',
  started_at     timestamptz[] not null default '{}',
  url            text not null default '',
  busy_until     timestamptz not null default '-infinity' -- each of them has ended by then, also if its worker is cut off
) with (fillfactor = 30, autovacuum_vacuum_scale_factor = 0.5);
insert into relay.under_way (destination_id, epoch) select destination_id, epoch from relay.health;

-- A worker may replace another only after it has itself been heard without a pause: after an outage of Postgres
-- all of them are silent for equally long, and none of them is gone.
alter table relay.workers add column alive_since timestamptz not null default now();

-- The process behind a worker, where its host can tell whether it has ended: host, pid, and when it started.
alter table relay.workers add column host text, add column process_id integer, add column process_started text;

-- The outcome of an attempt that was cut short by a crash is unknown, and so is its duration.
alter table relay.attempts alter column duration_ms drop not null;

alter table relay.health
  add column failing_ms float8 not null default 0,     -- of nothing but failures, without the pauses between them
  add column asked_until timestamptz;                  -- what of hold_until the receiver asked for by Retry-After
update relay.health set failing_ms = coalesce(extract(epoch from last_failure_at - failing_since) * 1000, 0),
  asked_until = case when breaker = 'closed' then hold_until end;
