-- When the next delivery of each ordering key is due, so that a worker finds due deliveries without reading the keys that wait.

-- A row for each destination and ordering key that has scheduled deliveries. due_at is the due time of the first
-- of them, or an instant that has passed (then the worker reads the key and corrects the row); never a later time, since the
-- delivery would wait for it. Triggers on relay.deliveries maintain it for every statement.
create table relay.ordering_keys (
  destination_id text not null references relay.destinations (id) on delete cascade,
  ordering_key   text not null,                        -- as in relay.deliveries
  due_at         timestamptz not null,
  primary key (destination_id, ordering_key)
) with (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05);
create index ordering_keys_due on relay.ordering_keys (destination_id, due_at, ordering_key);

-- Both functions take parallel arrays, sorted by destination and ordering key, and lock rows in that order.
--
-- A transaction that inserts deliveries holds the row with KEY SHARE. One that changes existing deliveries holds it with NO KEY
-- UPDATE, which is compatible with KEY SHARE. A later time is written, and a row deleted, only with UPDATE, which is compatible
-- with neither and never waited for: a transaction may insert in several statements, whose rows are in no common order.
-- Their plans must not depend on how small the tables were when a session first called them, so the slow plans are off.

-- Deliveries are about to be scheduled under these keys, the first of them at `first_due`.
create function relay.enter_ordering_keys(destinations text[], keys text[], first_due timestamptz) returns void
language plpgsql set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
declare
  held bigint[];
begin
  select coalesce(array_agg(s.place), '{}') into held from (
    select n.place from unnest(destinations, keys) with ordinality as n (destination_id, ordering_key, place)
    join relay.ordering_keys k on k.destination_id = n.destination_id and k.ordering_key = n.ordering_key
    order by n.place for key share of k
  ) s;
  insert into relay.ordering_keys as k (destination_id, ordering_key, due_at)
  select n.destination_id, n.ordering_key, first_due
  from unnest(destinations, keys) with ordinality as n (destination_id, ordering_key, place)
  where n.place <> all (held) order by n.place
  on conflict (destination_id, ordering_key) do update set due_at = excluded.due_at where k.due_at > excluded.due_at;
  -- A delivery that comes earlier in the key may have committed after one that waits by now.
  update relay.ordering_keys k set due_at = h.due_at from (
    select n.destination_id, n.ordering_key, (
      select r.due_at from relay.deliveries r
      where r.destination_id = n.destination_id and r.status = 'scheduled' and r.ordering_key = n.ordering_key
      order by r.ordering_key, r.seq limit 1
    ) as due_at
    from unnest(destinations, keys) as n (destination_id, ordering_key)
    join relay.ordering_keys w on w.destination_id = n.destination_id and w.ordering_key = n.ordering_key and w.due_at > first_due
  ) h where k.destination_id = h.destination_id and k.ordering_key = h.ordering_key and h.due_at < k.due_at;
end
$$;

-- Corrects the rows of these keys. Each step is a statement of its own, so it sees everything that had committed when the locks
-- of the step before were granted. Returns how many rows it wrote.
create function relay.settle_ordering_keys(destinations text[], keys text[]) returns bigint
language plpgsql set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
declare
  free bigint[];
  written bigint;
begin
  perform from unnest(destinations, keys) with ordinality as n (destination_id, ordering_key, place)
  join relay.ordering_keys k on k.destination_id = n.destination_id and k.ordering_key = n.ordering_key
  order by n.place for no key update of k;
  select coalesce(array_agg(s.place), '{}') into free from (
    select n.place from unnest(destinations, keys) with ordinality as n (destination_id, ordering_key, place)
    join relay.ordering_keys k on k.destination_id = n.destination_id and k.ordering_key = n.ordering_key
    order by n.place for update of k skip locked
  ) s;
  with heads as materialized (
    select n.destination_id, n.ordering_key, n.place = any (free) as free, (
      select r.due_at from relay.deliveries r
      where r.destination_id = n.destination_id and r.status = 'scheduled' and r.ordering_key = n.ordering_key
      order by r.ordering_key, r.seq limit 1
    ) as due_at
    from unnest(destinations, keys) with ordinality as n (destination_id, ordering_key, place)
  ), gone as (
    delete from relay.ordering_keys k using heads h
    where k.destination_id = h.destination_id and k.ordering_key = h.ordering_key and h.free and h.due_at is null
    returning k.ordering_key
  ), moved as (
    -- Where another transaction is inserting into the key, its result is unknown: the row gets a time at which a worker reads it again.
    update relay.ordering_keys k set due_at = case when h.free then h.due_at else now() end from heads h
    where k.destination_id = h.destination_id and k.ordering_key = h.ordering_key
      and case when h.free then k.due_at <> h.due_at else k.due_at > now() end
    returning k.ordering_key
  )
  select (select count(*) from gone) + (select count(*) from moved) into written;
  return written;
end
$$;

create function relay.deliveries_inserted() returns trigger language plpgsql as $$
declare
  destinations text[];
  keys text[];
  first_due timestamptz;
begin
  select array_agg(c.destination_id order by c.destination_id, c.ordering_key),
    array_agg(c.ordering_key order by c.destination_id, c.ordering_key),
    min(c.due_at)
  into destinations, keys, first_due
  from (
    select n.destination_id, n.ordering_key, min(n.due_at) as due_at from new_rows n
    where n.ordering_key is not null and n.status = 'scheduled' group by n.destination_id, n.ordering_key
  ) c;
  if destinations is not null then perform relay.enter_ordering_keys(destinations, keys, first_due); end if;
  return null;
end
$$;

create function relay.deliveries_updated() returns trigger language plpgsql as $$
declare
  destinations text[];
  keys text[];
  first_due timestamptz;                               -- of deliveries that were not scheduled before
begin
  select array_agg(c.destination_id order by c.destination_id, c.ordering_key),
    array_agg(c.ordering_key order by c.destination_id, c.ordering_key),
    min(c.due_at)
  into destinations, keys, first_due
  from (
    select o.destination_id, o.ordering_key, min(n.due_at) filter (where o.status <> 'scheduled') as due_at
    from old_rows o join new_rows n on n.id = o.id
    where o.ordering_key is not null and 'scheduled' in (o.status, n.status)
      and (o.status, o.due_at) is distinct from (n.status, n.due_at)
    group by o.destination_id, o.ordering_key
  ) c;
  if destinations is null then return null; end if;
  if first_due is not null then perform relay.enter_ordering_keys(destinations, keys, first_due); end if;
  perform relay.settle_ordering_keys(destinations, keys);
  return null;
end
$$;

create function relay.deliveries_deleted() returns trigger language plpgsql as $$
declare
  destinations text[];
  keys text[];
begin
  select array_agg(c.destination_id order by c.destination_id, c.ordering_key),
    array_agg(c.ordering_key order by c.destination_id, c.ordering_key)
  into destinations, keys
  from (select distinct o.destination_id, o.ordering_key from old_rows o where o.ordering_key is not null and o.status = 'scheduled') c;
  if destinations is not null then perform relay.settle_ordering_keys(destinations, keys); end if;
  return null;
end
$$;

create trigger inserted after insert on relay.deliveries referencing new table as new_rows
for each statement execute function relay.deliveries_inserted();
create trigger updated after update on relay.deliveries referencing old table as old_rows new table as new_rows
for each statement execute function relay.deliveries_updated();
create trigger deleted after delete on relay.deliveries referencing old table as old_rows
for each statement execute function relay.deliveries_deleted();
