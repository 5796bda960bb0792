-- The queue tells what is due now from what is due later, and a paused page loop goes on where it stopped.

-- `due_at <= now()` cannot be indexed, so a column says it: true once due_at has passed. The trigger sets it for whoever
-- writes due_at; the workers set it for what becomes due by time alone (sync/queries.ts, WAKE). Claims therefore read an
-- index that holds nothing but due subjects, however many wait for later.
alter table sync.subjects add column ready boolean not null default false;
update sync.subjects set ready = true where due_at <= now();
alter table sync.subjects alter column ready set default true;

create function sync.set_ready() returns trigger language plpgsql as $$
begin
  new.ready := coalesce(new.due_at <= clock_timestamp(), false);
  return new;
end $$;
-- The condition spares the call where nothing changes: a webhook that marks a subject due inserts or keeps `true`.
create trigger set_ready_on_insert before insert on sync.subjects for each row
  when (new.ready is distinct from coalesce(new.due_at <= clock_timestamp(), false)) execute function sync.set_ready();
create trigger set_ready_on_update before update of due_at on sync.subjects for each row
  when (new.ready is distinct from coalesce(new.due_at <= clock_timestamp(), false)) execute function sync.set_ready();

drop index sync.subjects_due;
create index subjects_ready on sync.subjects (integration_id, due_at) where ready;
create index subjects_waiting on sync.subjects (integration_id, due_at) where not ready and due_at is not null;
