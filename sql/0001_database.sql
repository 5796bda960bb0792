-- Ids, locks, the processes that work on this database, and a write that proves that Postgres stores.

create schema tartan;

-- A new UUIDv7, so that ordering by id is ordering by time; `n` keeps ids of the same instant in order.
create function tartan.new_id(at timestamptz default clock_timestamp(), n bigint default 0) returns uuid
language sql volatile parallel safe as $$
  select encode(
    substring(int8send((extract(epoch from at) * 1000)::bigint) from 3)
      || int2send((28672 | (n & 4095))::int::smallint)
      || substring(uuid_send(gen_random_uuid()) from 9),
    'hex')::uuid
$$;

-- The least UUIDv7 of an instant.
create function tartan.least_id_at(instant timestamptz) returns uuid
language sql immutable parallel safe as $$
  select (lpad(to_hex(floor(extract(epoch from instant) * 1000)::bigint), 12, '0') || '00000000000000000000')::uuid
$$;

-- A lock is an empty table in a schema that no reader may use. Any login of a database may take its advisory locks, a reader
-- of the mirror too; only a role with rights on a table can lock that table. A lock ends with its transaction, waits in a
-- fair queue, obeys lock_timeout and writes nothing.
create schema tartan_locks;

-- Held while the outbox gets its positions, so that they become visible in their order.
create table tartan_locks.dispatch ();
-- Held while partitions of the journal are made or dropped.
create table tartan_locks.partitions ();
-- Held while a reader's role is made.
create table tartan_locks.readers ();
-- Held while events are deleted; shared by jobs that schedule deliveries of them.
create table tartan_locks.retention ();
-- Shared by a transaction from before it reads the master keys until what it sealed has committed; held by their rotation.
create table tartan_locks.sealing ();

-- Waits for the lock and holds it until the transaction ends.
create function tartan_locks.take(name text) returns void
language plpgsql as $$
begin
  execute format('lock table tartan_locks.%I in exclusive mode', name);
end
$$;

-- Waits for the lock and shares it with any number of others that share it.
create function tartan_locks.share(name text) returns void
language plpgsql as $$
begin
  execute format('lock table tartan_locks.%I in share mode', name);
end
$$;

-- Takes the lock if it is free, and returns whether it did.
create function tartan_locks.try_take(name text) returns boolean
language plpgsql as $$
begin
  execute format('lock table tartan_locks.%I in exclusive mode nowait', name);
  return true;
exception when lock_not_available then
  return false;
end
$$;

-- The Tartan processes that work on this database. Each writes its own row and refreshes seen_at while it lives, so that a
-- command in another terminal, folder or host finds the running server's URL and the settings that it checks destinations
-- against, and a person on call sees which processes run.
create table tartan.processes (
  id             uuid primary key default gen_random_uuid(),
  host           text not null,
  pid            integer not null,
  version        text not null,
  roles          text[] not null,
  url            text not null,                        -- where this process listens
  public_url     text,                                 -- TARTAN_PUBLIC_URL; null where it is not set
  settings       jsonb not null,                       -- {"relay_allow_http","relay_allowed_addresses"}
  master_key_ids text[],                               -- fingerprints of the master keys that it can open; null: it reads new keys itself
  started_at     timestamptz not null default now(),
  seen_at        timestamptz not null default now()
);

-- A process writes here to find out whether Postgres stores anything just now: a full disk, a standby and a frozen server
-- answer reads, or nothing. Every process updates the same row, in place.
create table tartan.readiness (
  only_one   boolean primary key default true check (only_one),
  checked_at timestamptz not null default now()
) with (fillfactor = 10);
insert into tartan.readiness default values;
