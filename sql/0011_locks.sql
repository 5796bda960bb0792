-- breaking
-- Locks that nobody outside Tartan can take. Any login of a database may take its advisory locks, a reader of the mirror
-- too; a table can be locked only by a role with rights on it. So a lock is an empty table in a schema that no reader may
-- use. It ends with its transaction, waits in a fair queue, obeys lock_timeout, and writes nothing.
--
-- Older versions lock elsewhere, so they must not run beside this one.

create schema tartan_locks;

-- Held while the outbox gets its positions: they become visible in their order.
create table tartan_locks.dispatch ();
-- Held while partitions of the journal are made or dropped.
create table tartan_locks.partitions ();
-- Held while a reader's role is made.
create table tartan_locks.readers ();
-- Held while events are deleted; shared by jobs that schedule deliveries of them.
create table tartan_locks.retention ();
-- Shared from before the master keys are read until what was sealed has committed; held by their rotation.
create table tartan_locks.sealing ();

-- Waits for the lock and holds it until the transaction ends.
create function tartan_locks.take(name text) returns void
language plpgsql as $$
begin
  execute format('lock table tartan_locks.%I in exclusive mode', name);
end
$$;

-- As take, but any number may hold it like this at once.
create function tartan_locks.share(name text) returns void
language plpgsql as $$
begin
  execute format('lock table tartan_locks.%I in share mode', name);
end
$$;

-- Takes the lock if it is free; says whether it did.
create function tartan_locks.try_take(name text) returns boolean
language plpgsql as $$
begin
  execute format('lock table tartan_locks.%I in exclusive mode nowait', name);
  return true;
exception when lock_not_available then
  return false;
end
$$;

create or replace function journal.ensure_partitions(at timestamptz default now()) returns void
language plpgsql as $$
declare
  week timestamptz := date_trunc('week', at, 'UTC');
  day timestamptz := date_trunc('day', at, 'UTC');
begin
  perform set_config('lock_timeout', '2s', true);
  perform tartan_locks.take('partitions');
  if (select count(*) from journal.weeks
      where starts_at between week - interval '1 week' and week + interval '4 weeks') < 6 then
    perform journal.make_weeks(week - interval '1 week', week + interval '5 weeks');
  end if;
  if (select count(*) from journal.token_days
      where starts_at between day - interval '3 days' and day + interval '2 days') < 6 then
    perform journal.make_token_days(day - interval '3 days', day + interval '8 days');
  end if;
end
$$;

create or replace function journal.drop_weeks(instant timestamptz) returns integer
language plpgsql as $$
declare
  week record;
  dropped integer := 0;
begin
  perform set_config('lock_timeout', '2s', true);
  perform tartan_locks.take('partitions');
  -- What is just being brought back by a job is needed from now on.
  perform tartan_locks.take('retention');
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

create or replace function journal.drop_token_days(instant timestamptz) returns integer
language plpgsql as $$
declare
  day record;
  dropped integer := 0;
begin
  perform set_config('lock_timeout', '2s', true);
  perform tartan_locks.take('partitions');
  for day in select * from journal.token_days where starts_at + interval '1 day' <= instant order by starts_at loop
    execute format('drop table %s', day.partition);
    dropped := dropped + 1;
  end loop;
  delete from journal.accepted_tokens_default where signed_at < instant;
  return dropped;
end
$$;
