-- Routes: which events a destination receives, and in which form.

create table relay.routes (
  id             text primary key,                     -- rte_…
  destination_id text not null references relay.destinations (id) on delete cascade,
  name           text not null default '',
  version        integer not null default 1,
  enabled        boolean not null default true,
  created_at     timestamptz not null default now(),
  updated_at     timestamptz not null default now(),
  deleted_at     timestamptz
);
create index routes_by_destination on relay.routes (destination_id) where deleted_at is null;

-- The definition of a route, never changed: a delivery keeps to the version under which it was made.
create table relay.route_versions (
  route_id   text not null references relay.routes (id) on delete cascade,
  version    integer not null,
  definition jsonb not null,                           -- {"filter": {…}, "match": …, "form": …, "transform": …}
  created_at timestamptz not null default now(),
  primary key (route_id, version)
);

-- The version of all routes together: one more at each commit that changes which events go where. A process that keeps routes
-- in memory compares one number. The triggers increment it as a transaction commits, so the transaction takes no other lock
-- after the lock of this row.
create table relay.routing (
  only_one boolean primary key default true check (only_one),
  version  bigint not null default 1
);
insert into relay.routing default values;

create function relay.raise_routing() returns trigger
language plpgsql as $$
begin
  update relay.routing set version = version + 1;
  return null;
end
$$;
create constraint trigger raise_routing after insert or update or delete on relay.routes
  deferrable initially deferred for each row execute function relay.raise_routing();
create constraint trigger raise_routing after update of ordering, deleted_at or delete on relay.destinations
  deferrable initially deferred for each row execute function relay.raise_routing();
