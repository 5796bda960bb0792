-- What arrived. Rows are written once; only processed_at and update_info are filled in later, in the transaction that
-- makes the mirror true. Ids are UUIDv7, so that ordering by id is ordering by time and a partition is a week of ids:
-- a page of the newest rows reads the newest partition's index and stops.

create schema journal;

create table journal.webhooks (
  id             uuid not null,
  integration_id text not null,
  source         text not null check (source in ('PLAID', 'BACKEND', 'FROM_LISTENER', 'RECONCILER')),
  subject_kind   text,                                 -- what it is about; null where Tartan does not know
  subject_id     text,
  item_id        text,
  user_id        text,
  webhook_type   text,                                 -- null where the body was not of a known shape
  webhook_code   text,
  environment    text,
  received_at    timestamptz not null,
  body           bytea not null,                       -- exactly what arrived; a backend's access_token is cut out first
  verification   text,                                 -- Plaid's own Plaid-Verification header; null for a backend's
  key_id         text,                                 -- kid of the key that proved it
  signed_at      timestamptz,                          -- iat
  processed_at   timestamptz,                          -- when a sync run had served it
  update_info    jsonb,                                -- what that run found
  primary key (id)
) partition by range (id);

-- One index serves an item's webhooks, whatever else is asked of them: newest first, and types, codes and sources are read
-- in the index, without a look at the rows. The same for a user. Sources other than Plaid are rare, and cost Plaid nothing.
create index webhooks_by_item on journal.webhooks (item_id, id) include (webhook_type, webhook_code, source)
  where item_id is not null;
create index webhooks_by_user on journal.webhooks (user_id, id) include (webhook_type, webhook_code, source)
  where user_id is not null;
create index webhooks_by_item_and_source on journal.webhooks (item_id, source, id) where source <> 'PLAID';
create index webhooks_by_subject on journal.webhooks (subject_id, id) where item_id is null and subject_id is not null;
create index webhooks_by_integration on journal.webhooks (integration_id, id);

-- Whatever lies outside the weeks there are. Ranges, not a default partition: with one of those Postgres could not read
-- the partitions in the order of their ids, and a page of the newest would begin with a look into every week.
create table journal.webhooks_earlier partition of journal.webhooks
  for values from (minvalue) to ('00000000-0000-0000-0000-000000000001');
create table journal.webhooks_later partition of journal.webhooks
  for values from ('00000000-0000-0000-0000-000000000001') to (maxvalue);

-- The JWTs of the last days, so that the same one twice is one webhook. A JWT's iat is part of it, so the same JWT
-- always meets itself in the same partition, and old days are dropped whole.
create table journal.accepted_tokens (
  token_sha256 bytea not null,
  signed_at    timestamptz not null,
  webhook_id   uuid not null,
  primary key (token_sha256, signed_at)
) partition by range (signed_at);
create table journal.accepted_tokens_default partition of journal.accepted_tokens default;

-- Requests that were refused, so that a wrong secret is seen and not guessed. Bounded by the janitor.
create table journal.refusals (
  id             bigint generated always as identity primary key,
  refused_at     timestamptz not null default now(),
  integration_id text,
  reason         text not null,                        -- stable code, such as signature_invalid
  detail         text,                                 -- one sentence, without payload
  remote_address text,
  body_bytes     integer,
  count          integer not null default 1            -- alike refusals that were folded into this row
);
create index refusals_by_integration on journal.refusals (integration_id, id);

-- The least UUIDv7 of an instant.
create function journal.least_id_at(instant timestamptz) returns uuid
language sql immutable parallel safe as $$
  select (lpad(to_hex(floor(extract(epoch from instant) * 1000)::bigint), 12, '0') || '00000000000000000000')::uuid
$$;

-- The weeks that have a partition.
create view journal.weeks as
  select c.oid::regclass as partition, to_date(right(c.relname, 7), 'IYYY"w"IW')::timestamp at time zone 'UTC' as starts_at
  from pg_inherits i join pg_class c on c.oid = i.inhrelid
  where i.inhparent = 'journal.webhooks'::regclass and c.relname ~ '^webhooks_\d{4}w\d{2}$';

-- The days that have a partition of accepted tokens.
create view journal.token_days as
  select c.oid::regclass as partition, to_date(right(c.relname, 8), 'YYYYMMDD')::timestamp at time zone 'UTC' as starts_at
  from pg_inherits i join pg_class c on c.oid = i.inhrelid
  where i.inhparent = 'journal.accepted_tokens'::regclass and c.relname ~ '^accepted_tokens_\d{8}$';

-- Makes weeks without a gap from `first` up to `last`, joined to those there are. The tables at both ends are taken off,
-- give up what belongs into the new weeks, and are put back with their new borders. That locks the whole journal for
-- some milliseconds, which nobody waits for longer than lock_timeout; it is done weeks ahead, so a failure can be repeated.
create function journal.make_weeks(first timestamptz, last timestamptz) returns void
language plpgsql as $$
declare
  week timestamptz;
  name text;
begin
  select least(first, min(starts_at)), greatest(last, max(starts_at) + interval '1 week') into first, last
  from journal.weeks;
  alter table journal.webhooks detach partition journal.webhooks_earlier;
  alter table journal.webhooks detach partition journal.webhooks_later;
  for week in select generate_series(first, last - interval '1 week', interval '1 week') loop
    name := 'webhooks_' || to_char(week at time zone 'UTC', 'IYYY"w"IW');
    if to_regclass('journal.' || name) is null then
      execute format('create table journal.%I partition of journal.webhooks for values from (%L) to (%L) with (fillfactor = 85)',
        name, journal.least_id_at(week), journal.least_id_at(week + interval '1 week'));
    end if;
  end loop;
  with moved as (
    delete from journal.webhooks_earlier where id >= journal.least_id_at(first) and id < journal.least_id_at(last) returning *
  ) insert into journal.webhooks select * from moved;
  with moved as (
    delete from journal.webhooks_later where id >= journal.least_id_at(first) and id < journal.least_id_at(last) returning *
  ) insert into journal.webhooks select * from moved;
  execute format('alter table journal.webhooks attach partition journal.webhooks_earlier for values from (minvalue) to (%L)',
    journal.least_id_at(first));
  execute format('alter table journal.webhooks attach partition journal.webhooks_later for values from (%L) to (maxvalue)',
    journal.least_id_at(last));
end
$$;

-- Makes the days from `first` up to `last`; tokens that were accepted before their day was made move into it.
create function journal.make_token_days(first timestamptz, last timestamptz) returns void
language plpgsql as $$
declare
  day timestamptz;
  name text;
begin
  alter table journal.accepted_tokens detach partition journal.accepted_tokens_default;
  for day in select generate_series(first, last - interval '1 day', interval '1 day') loop
    name := 'accepted_tokens_' || to_char(day at time zone 'UTC', 'YYYYMMDD');
    if to_regclass('journal.' || name) is null then
      execute format('create table journal.%I partition of journal.accepted_tokens for values from (%L) to (%L)',
        name, day, day + interval '1 day');
    end if;
  end loop;
  with moved as (
    delete from journal.accepted_tokens_default where signed_at >= first and signed_at < last returning *
  ) insert into journal.accepted_tokens select * from moved;
  alter table journal.accepted_tokens attach partition journal.accepted_tokens_default default;
end
$$;

-- Makes the partitions that the weeks and days around `at` need: four weeks ahead, seven days of tokens. Safe to call
-- often and from several processes at once.
create function journal.ensure_partitions(at timestamptz default now()) returns void
language plpgsql as $$
declare
  week timestamptz := date_trunc('week', at, 'UTC');
  day timestamptz := date_trunc('day', at, 'UTC');
begin
  perform set_config('lock_timeout', '2s', true);
  perform pg_advisory_xact_lock(hashtext('journal.ensure_partitions'));
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

-- Forgets the weeks that lie wholly before `instant`, and what is older still; returns how many weeks went.
create function journal.drop_weeks(instant timestamptz) returns integer
language plpgsql as $$
declare
  week record;
  dropped integer := 0;
begin
  perform set_config('lock_timeout', '2s', true);
  perform pg_advisory_xact_lock(hashtext('journal.ensure_partitions'));
  instant := least(instant, date_trunc('week', now(), 'UTC'));
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

-- Forgets the tokens of days that lie wholly before `instant`, and stray ones as old; returns how many days went.
create function journal.drop_token_days(instant timestamptz) returns integer
language plpgsql as $$
declare
  day record;
  dropped integer := 0;
begin
  perform set_config('lock_timeout', '2s', true);
  perform pg_advisory_xact_lock(hashtext('journal.ensure_partitions'));
  for day in select * from journal.token_days where starts_at + interval '1 day' <= instant order by starts_at loop
    execute format('drop table %s', day.partition);
    dropped := dropped + 1;
  end loop;
  delete from journal.accepted_tokens_default where signed_at < instant;
  return dropped;
end
$$;

select journal.ensure_partitions();
