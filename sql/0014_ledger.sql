-- A delivery keeps what may be known better later on and changes its bytes: the user, as it was known when the event was
-- dispatched. The rest of a wrapped webhook is its row in the journal, so no destination needs a copy of the bytes.
alter table relay.deliveries add column user_id text;
update relay.deliveries d set user_id = w.user_id from journal.webhooks w
where w.id = d.event_id and d.event_type = 'webhook.received' and d.body is null and d.form = 'transform'
  and d.status in ('scheduled', 'dead') and w.user_id is not null;

-- The version of all routes together: one more at each commit that changes which events go where. Whoever keeps routes in
-- memory compares one number. It is raised as a transaction commits, so no other lock is taken behind this row's.
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
