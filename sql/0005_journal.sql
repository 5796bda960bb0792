-- Accepted webhooks, the tokens that proved them, refused requests, and retention. A webhook's row is written once; only
-- processed_at and update_info are filled in later, in the transaction of the sync run or of the marker. Ids are UUIDv7, so a partition is a
-- week of ids, and a page of the newest rows reads the index of the newest partition and stops.

create schema journal;

create table journal.webhooks (
  id             uuid not null,
  integration_id text not null,
  source         text not null check (source in ('PLAID', 'BACKEND', 'FROM_LISTENER', 'RECONCILER')),
  subject_kind   text,                                 -- of the webhook's subject; null where Tartan knows none
  subject_id     text,
  item_id        text,
  user_id        text,
  webhook_type   text,                                 -- null where the body has no known shape
  webhook_code   text,
  environment    text,
  received_at    timestamptz not null,
  body           bytea not null,                       -- exactly the bytes that arrived; a backend's access_token is cut out first
  verification   text,                                 -- Plaid's own Plaid-Verification header; null for a backend's webhook
  key_id         text,                                 -- kid of the key that proved it
  signed_at      timestamptz,                          -- iat
  requested      text[],                               -- resources that the sender requests besides those the webhook touches; * is all
  processed_at   timestamptz,                          -- when a sync run had served it, or none was needed
  update_info    jsonb,                                -- summary of that run
  primary key (id)
) partition by range (id);

-- One index serves every query for an item's webhooks, newest first: types, codes and sources are read from the index, without
-- the rows. The same for a user. Sources other than Plaid are rare, so their index costs Plaid's webhooks nothing.
create index webhooks_by_item on journal.webhooks (item_id, id) include (webhook_type, webhook_code, source)
  where item_id is not null;
create index webhooks_by_user on journal.webhooks (user_id, id) include (webhook_type, webhook_code, source)
  where user_id is not null;
create index webhooks_by_item_and_source on journal.webhooks (item_id, source, id) where source <> 'PLAID';
create index webhooks_by_subject on journal.webhooks (subject_id, id) where subject_kind <> 'item';
create index webhooks_by_integration on journal.webhooks (integration_id, id);

-- The rows before the first week and after the last. These are ranges and not a default partition: with a default partition
-- Postgres could not read the partitions in the order of their ids, and a page of the newest would begin by reading every week.
create table journal.webhooks_earlier partition of journal.webhooks
  for values from (minvalue) to ('00000000-0000-0000-0000-000000000001');
create table journal.webhooks_later partition of journal.webhooks
  for values from ('00000000-0000-0000-0000-000000000001') to (maxvalue);

-- The JWTs of the last days, so that the same JWT twice is one webhook. A JWT contains its iat, so a repeated JWT is always in
-- the same partition, and old days are dropped as a whole.
create table journal.accepted_tokens (
  token_sha256 bytea not null,
  signed_at    timestamptz not null,
  webhook_id   uuid not null,
  primary key (token_sha256, signed_at)
) partition by range (signed_at);
create table journal.accepted_tokens_default partition of journal.accepted_tokens default;

-- Refused requests, so that a person sees a wrong secret and need not guess it. The janitor bounds the table.
create table journal.refusals (
  id             bigint generated always as identity primary key,
  refused_at     timestamptz not null default now(),
  integration_id text,
  reason         text not null,                        -- stable code, such as signature_invalid
  detail         text,                                 -- one sentence, without payload
  remote_address text,
  body_bytes     integer,
  count          integer not null default 1            -- similar refusals that were folded into this row
);
create index refusals_by_integration on journal.refusals (integration_id, id);

-- One row: the result of the last round of retention.
create table journal.retention (
  only_one     boolean primary key default true check (only_one),
  looked_at    timestamptz,                            -- time of the round by the database's clock
  steady_since timestamptz not null default '-infinity', -- since then the clock has advanced evenly from round to round
  kept         jsonb not null default '[]'             -- old weeks that are kept: [{"week": "2026-11-16", "needed_for": "unprocessed"}], oldest first
);
insert into journal.retention default values;

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

-- Makes weeks without a gap from `first` up to `last`, next to the existing ones. The function detaches the tables at both
-- ends, moves the rows of the new weeks out of them, and attaches them with their new borders. That locks the whole journal
-- for some milliseconds. lock_timeout limits the wait, and weeks are made four weeks ahead, so a failure can be repeated.
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
        name, tartan.least_id_at(week), tartan.least_id_at(week + interval '1 week'));
    end if;
  end loop;
  with moved as (
    delete from journal.webhooks_earlier where id >= tartan.least_id_at(first) and id < tartan.least_id_at(last) returning *
  ) insert into journal.webhooks select * from moved;
  with moved as (
    delete from journal.webhooks_later where id >= tartan.least_id_at(first) and id < tartan.least_id_at(last) returning *
  ) insert into journal.webhooks select * from moved;
  execute format('alter table journal.webhooks attach partition journal.webhooks_earlier for values from (minvalue) to (%L)',
    tartan.least_id_at(first));
  execute format('alter table journal.webhooks attach partition journal.webhooks_later for values from (%L) to (maxvalue)',
    tartan.least_id_at(last));
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

-- Makes the partitions around `at`: four weeks of webhooks ahead and seven days of tokens. Safe to call often and from several
-- processes at once. A clock that is years away from the existing weeks makes none, so it cannot make thousands.
create function journal.ensure_partitions(at timestamptz default now()) returns void
language plpgsql as $$
declare
  week timestamptz := date_trunc('week', at, 'UTC');
  day timestamptz := date_trunc('day', at, 'UTC');
  first timestamptz := (select min(starts_at) from journal.weeks);
  last timestamptz := (select max(starts_at) from journal.weeks);
begin
  if at not between first - interval '2 years' and last + interval '6 years' then
    raise exception 'the clock says %, which is years away from the webhooks there are', at
      using hint = 'Set the clock of the database''s machine right; webhooks are stored meanwhile.';
  end if;
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

-- Drops the tokens of days that lie wholly before `instant`, and stray tokens as old; returns how many days were dropped.
create function journal.drop_token_days(instant timestamptz) returns integer
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

-- Retention uses the database's clock and never drops a week that holds a webhook that is still needed: one that no run has
-- served, that the relay has not dispatched, or whose deliveries are scheduled or dead letters.

-- Notes a round; there is one an hour. Returns false until the clock has advanced evenly for a day. A step back, or forward by
-- more days than an installation is usually switched off for, starts that day again, so that a person can correct a wrong clock
-- before anything is dropped. A lesser step forward drops at most that much too early.
create function journal.note_round() returns boolean
language sql as $$
  update journal.retention set looked_at = now(), steady_since = case
    when looked_at is null or now() between looked_at - interval '5 minutes' and looked_at + interval '4 days' then steady_since
    else now() end
  returning steady_since <= now() - interval '1 day'
$$;

-- Whether no run has served one of the webhooks of a week.
create function journal.has_unprocessed(week regclass) returns boolean
language plpgsql stable as $$
declare
  found boolean;
begin
  execute format('select exists (select from %s where processed_at is null)', week) into found;
  return found;
end
$$;

-- Drops a week that nothing needs; the caller holds the locks under which it found that. One transaction drops one week, so
-- every round makes progress however many weeks are old. A week behind one that stays is emptied and not dropped, since ids must
-- not fall between partitions.
create function journal.drop_week(monday date) returns void
language plpgsql as $$
declare
  week record;
  is_empty boolean;
begin
  select partition, starts_at = (select min(starts_at) from journal.weeks) as is_oldest into week
  from journal.weeks where starts_at = monday::timestamp at time zone 'UTC';
  if not found then
    return;
  elsif week.is_oldest then
    execute format('drop table %s', week.partition);
    alter table journal.webhooks detach partition journal.webhooks_earlier;
    execute format('alter table journal.webhooks attach partition journal.webhooks_earlier for values from (minvalue) to (%L)',
      tartan.least_id_at((select min(starts_at) from journal.weeks)));
  else
    execute format('select not exists (select from %s)', week.partition) into is_empty;
    if not is_empty then
      execute format('truncate %s', week.partition);
    end if;
  end if;
end
$$;

select journal.ensure_partitions();
