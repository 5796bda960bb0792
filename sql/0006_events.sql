-- What happened, for whoever wants to be told. An event is written in the transaction that made it true; so is a row of
-- the outbox, which names it. A webhook is an event by itself: its row in the journal is all there is of it.

create table journal.events (
  id             uuid primary key,                     -- UUIDv7
  type           text not null,                        -- such as transactions.changed
  integration_id text,                                 -- null for what concerns Tartan itself
  item_id        text,
  user_id        text,
  environment    text,
  history        boolean not null default false,       -- part of a first reading: it was so before Tartan looked
  occurred_at    timestamptz not null default now(),
  payload        bytea not null                        -- the event whole, as JSON: what is sent, byte for byte
);
-- Written once, read soon: compressing would cost more than it saves.
alter table journal.events alter column payload set storage external;
create index events_by_item on journal.events (item_id, id) where item_id is not null;

-- One row a commit, so that a hundred webhooks which were accepted together cost one. Rows wait until a dispatcher
-- gives them their position; positions are given by one dispatcher at a time and become visible in their order, so
-- whoever reads on from a position misses nothing, however long a transaction took to commit.
create table journal.outbox (
  id         bigint generated always as identity primary key,
  webhooks   uuid[] not null default '{}',
  events     uuid[] not null default '{}',
  position   bigint unique,                            -- null until it was dispatched
  written_at timestamptz not null default now()
);
create index outbox_waiting on journal.outbox (id) where position is null;
create sequence journal.positions;

-- A new UUIDv7; `n` keeps those of one instant in order.
create function journal.new_id(at timestamptz default clock_timestamp(), n bigint default 0) returns uuid
language sql volatile parallel safe as $$
  select encode(
    substring(int8send((extract(epoch from at) * 1000)::bigint) from 3)
      || int2send((28672 | (n & 4095))::int::smallint)
      || substring(uuid_send(gen_random_uuid()) from 9),
    'hex')::uuid
$$;

-- An event as it is sent: the envelope around `data`, which is JSON text and is not looked into, so that numbers stay as
-- Plaid wrote them.
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
