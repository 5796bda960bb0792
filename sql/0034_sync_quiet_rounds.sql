-- One row: when subjects that are no items and were not read for long are looked for next. All processes share it, so that many processes
-- read them no faster than one.
create table sync.quiet_rounds (
  only_one boolean primary key default true check (only_one),
  next_at  timestamptz not null default now()
);
insert into sync.quiet_rounds default values;
