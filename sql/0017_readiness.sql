-- What a process writes to find out whether Postgres stores anything at all just now: a full disk, a standby and a frozen
-- server answer reads, or nothing. Every process updates the same row, in place.
create table tartan.readiness (
  only_one   boolean primary key default true check (only_one),
  checked_at timestamptz not null default now()
) with (fillfactor = 10);
insert into tartan.readiness default values;
