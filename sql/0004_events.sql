-- Events and the outbox. An event is written in the transaction that made it true, together with the outbox row that names
-- it. A webhook is an event by itself: its row in the journal holds everything.

create schema journal;

-- A new UUIDv7, so that ordering by id is ordering by time; `n` keeps ids of the same instant in order.
create function journal.new_id(at timestamptz default clock_timestamp(), n bigint default 0) returns uuid
language sql volatile parallel safe as $$
  select encode(
    substring(int8send((extract(epoch from at) * 1000)::bigint) from 3)
      || int2send((28672 | (n & 4095))::int::smallint)
      || substring(uuid_send(gen_random_uuid()) from 9),
    'hex')::uuid
$$;

-- The least UUIDv7 of an instant.
create function journal.least_id_at(instant timestamptz) returns uuid
language sql immutable parallel safe as $$
  select (lpad(to_hex(floor(extract(epoch from instant) * 1000)::bigint), 12, '0') || '00000000000000000000')::uuid
$$;

-- Rows leave by the thousand each hour, so autovacuum runs early enough that their space is used again.
create table journal.events (
  id             uuid primary key,                     -- UUIDv7
  type           text not null,                        -- such as transactions.changed
  integration_id text,                                 -- null for an event about Tartan itself
  item_id        text,
  user_id        text,
  environment    text,
  history        boolean not null default false,       -- part of a first reading: it was so before Tartan read it
  occurred_at    timestamptz not null default now(),
  payload        bytea not null                        -- the whole event as JSON, byte for byte as it is sent
) with (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.02);
-- A payload is written once and read soon: compressing it would cost more than it saves.
alter table journal.events alter column payload set storage external;
create index events_by_item on journal.events (item_id, id) where item_id is not null;

-- The event as it is sent: the envelope around `data`. The function does not parse `data`, which is JSON text, so numbers
-- stay as Plaid wrote them.
create function journal.envelope(id uuid, type text, occurred_at timestamptz, integration_id text, environment text,
  item_id text, user_id text, history boolean, data text) returns bytea
language sql stable parallel safe as $$
  select convert_to(concat(
    '{"id":"evt_', replace(id::text, '-', ''), '","type":', to_json(type), ',"version":1,"occurred_at":"',
    to_char(occurred_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
    '","integration_id":', coalesce(to_json(integration_id)::text, 'null'),
    ',"environment":', coalesce(to_json(environment)::text, 'null'),
    ',"item_id":', coalesce(to_json(item_id)::text, 'null'),
    ',"user_id":', coalesce(to_json(user_id)::text, 'null'),
    ',"history":', history::text, ',"data":', data, '}'), 'UTF8')
$$;

-- One row a commit, so that a hundred webhooks that were accepted together cost one row. A dispatcher gives each row its
-- position. One dispatcher at a time gives positions, and they become visible in their order, so a reader that continues
-- from a position misses nothing, however long a transaction took to commit.
create table journal.outbox (
  id         bigint generated always as identity primary key,
  webhooks   uuid[] not null default '{}',
  events     uuid[] not null default '{}',
  position   bigint unique,                            -- null until it was dispatched
  written_at timestamptz not null default now()
);
create index outbox_waiting on journal.outbox (id) where position is null;
create sequence journal.positions;

-- No webhook with a lesser id waits for dispatch; null where none waits. Rows of the outbox are nearly in the order of time,
-- so the oldest thousand suffice.
create function journal.undispatched_since() returns uuid
language sql stable as $$
  with oldest as materialized (
    select webhooks, written_at from journal.outbox where position is null order by id limit 1000
  )
  select least(
    (select u.id from oldest o cross join lateral unnest(o.webhooks) as u (id) order by u.id limit 1),
    (select journal.least_id_at(min(written_at) - interval '1 hour') from oldest))
$$;

-- The outbox's part for sync: what was accepted and sync has not looked at yet. The commit that accepts writes the row, the
-- transaction that marks the subjects of its webhooks deletes it. It is a table of its own, so that sync and the relay, whose
-- transactions may take long, never wait for each other's locks, and commits without webhooks cost sync nothing.
create table journal.sync_outbox (
  id         bigint generated always as identity primary key,
  webhooks   uuid[] not null default '{}',
  notices    jsonb not null default '[]',              -- [{"integration_id","kind","id","type","code","requested"}]: refused for their age
  written_at timestamptz not null default now()
) with (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.02);
