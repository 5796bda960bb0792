-- Events and the outbox. An event is written in the transaction that made it true, together with the outbox row that names
-- it. A webhook is an event by itself: its row in the journal holds everything.

create schema events;

-- Rows leave by the thousand each hour, so autovacuum runs early enough that their space is used again.
create table events.events (
  id             uuid primary key,                     -- UUIDv7
  type           text not null,                        -- such as transactions.changed
  integration_id text,                                 -- null for an event about Tartan itself
  item_id        text,
  subject_kind   text,                                 -- what it is about that belongs to no item, such as payment
  subject_id     text,
  user_id        text,
  environment    text,
  history        boolean not null default false,       -- part of a first reading: it was so before Tartan read it
  occurred_at    timestamptz not null default now(),
  payload        bytea not null                        -- the whole event as JSON, byte for byte as it is sent
) with (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.02);
-- A payload is written once and read soon: compressing it would cost more than it saves.
alter table events.events alter column payload set storage external;
create index events_by_item on events.events (item_id, id) where item_id is not null;
create index events_by_subject on events.events (subject_id, id) where subject_id is not null;

-- The event as it is sent: the envelope around `data`. The function does not parse `data`, which is JSON text, so numbers
-- stay as Plaid wrote them.
create function events.envelope(id uuid, type text, occurred_at timestamptz, integration_id text, environment text,
  item_id text, user_id text, subject_kind text, subject_id text, history boolean, data text) returns bytea
language sql stable parallel safe as $$
  select convert_to(concat(
    '{"id":"evt_', replace(id::text, '-', ''), '","type":', to_json(type), ',"version":1,"occurred_at":"',
    to_char(occurred_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
    '","integration_id":', coalesce(to_json(integration_id)::text, 'null'),
    ',"environment":', coalesce(to_json(environment)::text, 'null'),
    ',"item_id":', coalesce(to_json(item_id)::text, 'null'),
    ',"user_id":', coalesce(to_json(user_id)::text, 'null'),
    case when subject_id is not null then concat(',"subject":{"kind":', to_json(subject_kind), ',"id":', to_json(subject_id), '}') end,
    ',"history":', history::text, ',"data":', data, '}'), 'UTF8')
$$;

-- One row a commit, so that a hundred webhooks that were accepted together cost one row. A dispatcher gives each row its
-- position. One dispatcher at a time gives positions, and they become visible in their order, so a reader that continues
-- from a position misses nothing, however long a transaction took to commit.
create table events.outbox (
  id         bigint generated always as identity primary key,
  webhooks   uuid[] not null default '{}',
  events     uuid[] not null default '{}',
  position   bigint unique,                            -- null until it was dispatched
  written_at timestamptz not null default now()
);
create index outbox_waiting on events.outbox (id) where position is null;
create sequence events.positions;

-- Up to where the outbox was deleted: the last deleted position, and how many events it had. A feed cursor at or before that
-- position has missed events.
create table events.forgotten (
  only_one boolean primary key default true check (only_one),
  position bigint not null,
  events   integer not null
);

-- No webhook with a lesser id waits for dispatch; null where none waits. Rows of the outbox are nearly in the order of time,
-- so the oldest thousand suffice.
create function events.undispatched_since() returns uuid
language sql stable as $$
  with oldest as materialized (
    select webhooks, written_at from events.outbox where position is null order by id limit 1000
  )
  select least(
    (select u.id from oldest o cross join lateral unnest(o.webhooks) as u (id) order by u.id limit 1),
    (select tartan.least_id_at(min(written_at) - interval '1 hour') from oldest))
$$;

-- The outbox's part for sync: what was accepted and sync has not marked yet. The commit that accepts writes the row, the
-- transaction that marks the subjects of its webhooks deletes it. It is a table of its own, so that sync and the relay, whose
-- transactions may take long, never wait for each other's locks, and commits without webhooks cost sync nothing.
create table events.sync_outbox (
  id         bigint generated always as identity primary key,
  webhooks   uuid[] not null default '{}',
  notices    jsonb not null default '[]',              -- [{"integration_id","kind","id","type","code","requested"}]: refused for their age
  written_at timestamptz not null default now()
) with (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.02);
