-- Retention looks at one week at a time, in a transaction of its own, and each that nothing needs goes by itself: however many
-- weeks are old and however long it takes to look at all of them, every round gets further.

drop function journal.drop_weeks(timestamptz);

-- Forgets a week that was found to hold nothing unprocessed; returns what it is needed for after all, null once it is gone. A week
-- behind one that stays is emptied, since ids must not fall between partitions.
create function journal.drop_week(monday date) returns text
language plpgsql as $$
declare
  week record;
  is_empty boolean;
begin
  perform set_config('lock_timeout', '2s', true);
  perform tartan_locks.take('partitions');
  -- A job that brings deliveries back holds this lock; what it needs is needed from now on.
  perform tartan_locks.take('retention');
  select partition, journal.least_id_at(starts_at) as first, journal.least_id_at(starts_at + interval '1 week') as behind,
    starts_at = (select min(starts_at) from journal.weeks) as is_oldest into week
  from journal.weeks where starts_at = monday::timestamp at time zone 'UTC';
  if not found then
    return null;
  elsif journal.undispatched_since() < week.behind then
    return 'undispatched';
  elsif relay.needs_webhooks(week.first, week.behind) then
    return 'undelivered';
  elsif week.is_oldest then
    execute format('drop table %s', week.partition);
    alter table journal.webhooks detach partition journal.webhooks_earlier;
    execute format('alter table journal.webhooks attach partition journal.webhooks_earlier for values from (minvalue) to (%L)',
      journal.least_id_at((select min(starts_at) from journal.weeks)));
  else
    execute format('select not exists (select from %s)', week.partition) into is_empty;
    if not is_empty then
      execute format('truncate %s', week.partition);
    end if;
  end if;
  return null;
end
$$;

-- Notes a round, of which there is one an hour. False until this clock has gone evenly for a day: after a step back, or forward by
-- more days than an installation is switched off for. A lesser step forward forgets at most that much too early.
create or replace function journal.note_round() returns boolean
language sql as $$
  update journal.retention set looked_at = now(), steady_since = case
    when looked_at is null or now() between looked_at - interval '5 minutes' and looked_at + interval '4 days' then steady_since
    else now() end
  returning steady_since <= now() - interval '1 day'
$$;
