-- Dead letters are listed by place, and grouped by cause and time: each by an index of its own that holds nothing else.
drop index relay.deliveries_dead;
create index deliveries_dead on relay.deliveries (destination_id, seq) where status = 'dead';
create index deliveries_dead_by_cause on relay.deliveries (destination_id, (coalesce(cause, '')), finished_at)
  where status = 'dead';

-- What an unfinished job is about is kept until the job is finished.
create index job_members_by_member on relay.job_members (member);

-- How far the outbox was forgotten: the last position that is gone, and how many events it had. A cursor that points there or
-- before has missed something.
create table relay.forgotten (
  only_one boolean primary key default true check (only_one),
  position bigint not null,
  events   integer not null
);

-- As before, and webhooks to which an unfinished job still comes.
create or replace function relay.needs_webhooks(first uuid, behind uuid) returns boolean
language sql stable as $$
  select exists (
    select from relay.destinations x
    join relay.deliveries r on r.destination_id = x.id and r.status in ('scheduled', 'dead')
    where x.deleted_at is null and r.event_type = 'webhook.received' and r.body is null
      and r.event_id >= first and r.event_id < behind)
  or exists (
    select from relay.job_members m join relay.jobs j on j.id = m.job_id and j.finished_at is null
    where m.member >= first and m.member < behind)
$$;
