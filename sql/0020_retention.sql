-- Retention goes by the database's clock, and never drops what is still needed: webhooks that no run has served, that the relay
-- has not dispatched, or whose deliveries are scheduled or in the dead letters. A week that holds one is kept whole.

-- What the last round of retention found.
create table journal.retention (
  only_one     boolean primary key default true check (only_one),
  looked_at    timestamptz,                            -- when, by this clock
  steady_since timestamptz not null default '-infinity', -- since when this clock has gone evenly from round to round
  kept         jsonb not null default '[]'             -- [{"week": "2026-11-16", "needed_for": "unprocessed"}], oldest first
);
insert into journal.retention default values;

-- Notes a round, of which there is one an hour. False until this clock has gone evenly for a day: after a jump, or when Tartan
-- did not run for hours, nothing is dropped for a day, so that somebody can set a wrong clock right.
create function journal.note_round() returns boolean
language sql as $$
  update journal.retention set looked_at = now(), steady_since = case
    when looked_at is null or now() between looked_at - interval '5 minutes' and looked_at + interval '3 hours' then steady_since
    else now() end
  returning steady_since <= now() - interval '1 day'
$$;

-- No webhook with a lesser id waits for dispatch; null where none waits. Rows of the outbox are in the order of time, as
-- good as, so the oldest tell of all.
create function journal.undispatched_since() returns uuid
language sql stable as $$
  with oldest as materialized (
    select webhooks, written_at from journal.outbox where position is null order by id limit 1000
  )
  select least(
    (select u.id from oldest o cross join lateral unnest(o.webhooks) as u (id) order by u.id limit 1),
    (select journal.least_id_at(min(written_at) - interval '1 hour') from oldest))
$$;

-- Whether webhooks with ids from `first` to before `behind` are needed for deliveries that are, or may be, still sent.
create function relay.needs_webhooks(first uuid, behind uuid) returns boolean
language sql stable as $$
  select exists (
    select from relay.destinations x
    join relay.deliveries r on r.destination_id = x.id and r.status in ('scheduled', 'dead')
    where x.deleted_at is null and r.event_type = 'webhook.received' and r.body is null
      and r.event_id >= first and r.event_id < behind)
$$;
drop function relay.needed_since();

-- What a week is still needed for; null where it is not.
create function journal.week_needed_for(week regclass, first uuid, behind uuid) returns text
language plpgsql stable as $$
declare
  is_unprocessed boolean;
begin
  if journal.undispatched_since() < behind then
    return 'undispatched';
  elsif relay.needs_webhooks(first, behind) then
    return 'undelivered';
  end if;
  execute format('select exists (select from %s where processed_at is null)', week) into is_unprocessed;
  return case when is_unprocessed then 'unprocessed' end;
end
$$;

-- Forgets the weeks that lie wholly before `instant` and that nothing needs, and what is older still; returns how many weeks
-- went. A week between others that stay is emptied, since ids must not fall between partitions.
create or replace function journal.drop_weeks(instant timestamptz) returns integer
language plpgsql as $$
declare
  week record;
  old jsonb;
  is_empty boolean;
  keeping jsonb := '[]';
  gone integer := 0;
  dropped integer := 0;
begin
  perform set_config('lock_timeout', '2s', true);
  perform tartan_locks.take('partitions');
  instant := least(instant, date_trunc('week', now(), 'UTC'));
  -- What takes long comes before the lock that jobs wait for.
  old := (
    select jsonb_agg(jsonb_build_object('partition', o.partition::text, 'starts_at', o.starts_at, 'first', o.first,
      'behind', o.behind, 'needed_for', journal.week_needed_for(o.partition, o.first, o.behind)) order by o.starts_at)
    from (
      select partition, starts_at, journal.least_id_at(starts_at) as first,
        journal.least_id_at(starts_at + interval '1 week') as behind
      from journal.weeks where starts_at + interval '1 week' <= instant
    ) o);
  -- A job that brings deliveries back holds this lock; what it needs is needed from now on.
  perform tartan_locks.take('retention');
  for week in
    select * from jsonb_to_recordset(coalesce(old, '[]'))
      as w (partition text, starts_at timestamptz, first uuid, behind uuid, needed_for text)
  loop
    week.needed_for := coalesce(week.needed_for, case when relay.needs_webhooks(week.first, week.behind) then 'undelivered' end);
    if week.needed_for is not null then
      keeping := keeping || jsonb_build_object(
        'week', to_char(week.starts_at at time zone 'UTC', 'YYYY-MM-DD'), 'needed_for', week.needed_for);
    elsif keeping = '[]' then
      execute format('drop table %s', week.partition);
      dropped := dropped + 1;
      gone := gone + 1;
    else
      execute format('select not exists (select from %s)', week.partition) into is_empty;
      if not is_empty then
        execute format('truncate %s', week.partition);
        gone := gone + 1;
      end if;
    end if;
  end loop;
  if dropped > 0 then
    alter table journal.webhooks detach partition journal.webhooks_earlier;
    execute format('alter table journal.webhooks attach partition journal.webhooks_earlier for values from (minvalue) to (%L)',
      journal.least_id_at((select min(starts_at) from journal.weeks)));
  end if;
  delete from journal.webhooks_earlier w
  where w.id < journal.least_id_at(instant) and w.processed_at is not null
    and w.id < coalesce(journal.undispatched_since(), 'ffffffff-ffff-ffff-ffff-ffffffffffff')
    and not exists (select from relay.deliveries r
      where r.event_id = w.id and r.status in ('scheduled', 'dead') and r.body is null);
  update journal.retention set kept = keeping where kept <> keeping;
  return gone;
end
$$;

-- As before, but partitions are made around now only, and not by the thousand: a clock that is years off makes none.
create or replace function journal.ensure_partitions(at timestamptz default now()) returns void
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

-- What would grow for ever.

-- Subjects of items that nobody linked go after a month; cursors of unlinked items go when they are unlinked.
create index subjects_unlinked on sync.subjects (created_at) where status = 'unlinked' and due_at is null;
delete from sync.cursors c using tartan.items i
where c.kind = 'item' and i.integration_id = c.integration_id and i.item_id = c.id and i.access_token_sealed is null;

-- Rows that Plaid removed may be forgotten (TARTAN_REMOVED_ROWS_RETENTION_DAYS); these find them, and hold nothing else.
do $$
declare
  mirrored name;
begin
  for mirrored in
    select c.relname from pg_class c
    where c.relnamespace = 'plaid'::regnamespace and c.relkind in ('r', 'p')
      and exists (select from pg_attribute where attrelid = c.oid and attname = 'removed_at' and not attisdropped)
  loop
    execute format('create index %I on plaid.%I (removed_at) where removed_at is not null', mirrored || '_removed', mirrored);
  end loop;
end
$$;

-- Rows leave these by the thousand each hour; space is found again before it counts.
alter table sync.runs set (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.02);
alter table journal.events set (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.02);
