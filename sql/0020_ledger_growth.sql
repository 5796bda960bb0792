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
