-- Permits for several requests at once. The two requests of a run, and those of other runs of the process, took a call each, and each call
-- planned its statements anew. Processes of the version before still call sync.acquire.

-- Asks for one request under each group of keys (an item's, its institution's, its client's): `asked` is the number of the request, from 1
-- and ascending, to which a key belongs, with its step and burst in ms. Returns for each request how long (ms) it has to wait. When that is
-- at most its `patience_ms` it is granted and counted under every one of its keys; otherwise it is counted nowhere, so that a refusal by one
-- key uses up nothing of the others. Requests are decided in their order, each as if it had asked by itself behind the one before.
create function sync.acquire_each(asked int[], keys text[], steps float8[], bursts float8[], patience_ms float8[])
returns float8[] language plpgsql
-- Rows are found by their keys, so one plan serves all values, and it must not be one for a table that was nearly empty when it was made.
set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
as $$
declare
  count constant int := cardinality(keys);
  at timestamptz;
  -- By the place of a key: its first place; at that, how far its arrival is ahead, now and before, and until when it is slowed, in ms.
  places int[];
  ahead float8[];
  before float8[];
  slowed float8[];
  waits float8[] := '{}';
  wait_ms float8;
  place int;
  first int := 1;
  next int;
begin
  -- Makes and locks the rows in one order, so that callers cannot deadlock. A key without a step has no limit of its own; its row
  -- exists only while Plaid slows it, and is only read.
  insert into sync.rate_limits as r (key, step, burst, arrival)
  select k, min(s) * interval '1 ms', min(b) * interval '1 ms', statement_timestamp()
  from unnest(keys, steps, bursts) as a (k, s, b) where s > 0 group by k order by k
  on conflict (key) do update set step = excluded.step, burst = excluded.burst where false;
  at := clock_timestamp();
  select array_agg(array_position(keys, a.k) order by a.n),
    array_agg(coalesce(extract(epoch from r.arrival - at) * 1000, '-infinity')::float8 order by a.n),
    array_agg(coalesce(extract(epoch from r.slowed_until - at) * 1000, '-infinity')::float8 order by a.n)
  into places, ahead, slowed
  from unnest(keys) with ordinality as a (k, n) left join sync.rate_limits r on r.key = a.k;
  before := ahead;
  while first <= count loop
    wait_ms := 0;
    next := first;
    while next <= count and asked[next] = asked[first] loop
      place := places[next];
      wait_ms := greatest(wait_ms, ahead[place] - bursts[next], slowed[place]);
      next := next + 1;
    end loop;
    waits := waits || wait_ms;
    if wait_ms <= patience_ms[asked[first]] then
      for i in first .. next - 1 loop
        if steps[i] > 0 then
          ahead[places[i]] := greatest(ahead[places[i]], 0) + steps[i];
        end if;
      end loop;
    end if;
    first := next;
  end loop;
  update sync.rate_limits r set step = a.s * interval '1 ms', burst = a.b * interval '1 ms', arrival = at + a.ahead * interval '1 ms'
  from unnest(keys, steps, bursts, ahead, before) as a (k, s, b, ahead, before)
  where r.key = a.k and a.ahead <> a.before;
  return waits;
end $$;
