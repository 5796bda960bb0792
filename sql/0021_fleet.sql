-- Jobs about many items, such as a move of their webhook URLs. The members of a job are frozen when it is created; each has a state,
-- which the job's kind names, and a phase, which says what the runner does next. A process holds a job by a lease and a fencing token.
-- A transaction that changes members locks the row of their job first.

create schema fleet;

create table fleet.jobs (
  id             text primary key,                     -- job_…
  kind           text not null check (kind in ('webhook_move', 'backfill', 'check')),
  status         text not null default 'running' check (status in ('running', 'paused', 'cancelled', 'done')),
  integration_id text,                                 -- null: items of any integration
  asked          jsonb not null,                       -- the request
  reason         text not null default '',
  per_minute     integer not null check (per_minute > 0), -- members that are begun in a minute
  next_at        timestamptz not null default now(),   -- no member is begun before
  fence          bigint not null default 0,            -- the fencing token: raised by each claim; a holder with an older one cannot write
  lease_until    timestamptz,                          -- null: no process holds the job
  created_at     timestamptz not null default now(),
  updated_at     timestamptz not null default now(),
  finished_at    timestamptz
);
create index jobs_running on fleet.jobs (created_at) where status = 'running';
create index jobs_newest on fleet.jobs (created_at, id);

create table fleet.members (
  job_id         text not null references fleet.jobs (id) on delete cascade,
  n              integer not null,                     -- their order
  integration_id text not null,
  item_id        text not null,
  state          text not null,                        -- one of the kind's
  -- queued: begun when the pace admits it; following: worked on without a pace; outstanding: waits until something arrives
  phase          text not null default 'queued' check (phase in ('queued', 'following', 'outstanding', 'done', 'failed')),
  due_at         timestamptz not null default now(),   -- worked on, or examined, from then on
  waits_until    timestamptz,                          -- outstanding: it fails then
  overdue        text,                                 -- outstanding: the cause of that failure
  attempts       integer not null default 0,           -- failures in a row
  cause          text,                                 -- of the last failure: Plaid's error code, or one of the kind's
  details        jsonb not null default '{}',          -- the kind's own, such as the former URL
  updated_at     timestamptz not null default now(),   -- of the state
  primary key (job_id, n)
);
create index members_due on fleet.members (job_id, phase, due_at, n) where phase in ('queued', 'following', 'outstanding');
create index members_by_state on fleet.members (job_id, state, n);
create index members_by_item on fleet.members (integration_id, item_id);

-- How many members of a job are in each state; of failed ones by cause. The triggers below keep it, so that progress costs no scan.
create table fleet.tallies (
  job_id  text not null references fleet.jobs (id) on delete cascade,
  state   text not null,
  phase   text not null,
  cause   text not null default '',
  members integer not null,
  primary key (job_id, state, phase, cause)
);

-- One row. The creation of a job whose kind takes no item twice locks it, so that two cannot both find an item free.
create table fleet.creation (only_one boolean primary key default true check (only_one));
insert into fleet.creation default values;

create function fleet.tally_added() returns trigger
language plpgsql as $$
begin
  insert into fleet.tallies as t (job_id, state, phase, cause, members)
  select job_id, state, phase, case when phase = 'failed' then coalesce(cause, '') else '' end, count(*)
  from added group by 1, 2, 3, 4
  on conflict (job_id, state, phase, cause) do update set members = t.members + excluded.members;
  return null;
end
$$;

-- Updates only: the rows of a job that is deleted are gone already.
create function fleet.tally_gone() returns trigger
language plpgsql as $$
begin
  update fleet.tallies t set members = t.members - g.members
  from (select job_id, state, phase, case when phase = 'failed' then coalesce(cause, '') else '' end as cause, count(*) as members
    from gone group by 1, 2, 3, 4) g
  where t.job_id = g.job_id and t.state = g.state and t.phase = g.phase and t.cause = g.cause;
  return null;
end
$$;

create function fleet.tally_changed() returns trigger
language plpgsql as $$
begin
  with differences as materialized (
    select job_id, state, phase, case when phase = 'failed' then coalesce(cause, '') else '' end as cause, sum(one)::integer as members
    from (select job_id, state, phase, cause, 1 as one from added
      union all select job_id, state, phase, cause, -1 from gone) c
    group by 1, 2, 3, 4 having sum(one) <> 0
  )
  insert into fleet.tallies as t (job_id, state, phase, cause, members)
  select * from differences
  on conflict (job_id, state, phase, cause) do update set members = t.members + excluded.members;
  return null;
end
$$;

create trigger tally_added after insert on fleet.members
  referencing new table as added for each statement execute function fleet.tally_added();
create trigger tally_gone after delete on fleet.members
  referencing old table as gone for each statement execute function fleet.tally_gone();
create trigger tally_changed after update on fleet.members
  referencing old table as gone new table as added for each statement execute function fleet.tally_changed();
