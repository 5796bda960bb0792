-- Rate limits are asked for all at once, and a page loop that has to wait goes on where it stopped.

-- Asks for one request under all of `keys` (an item's, its institution's, its client's), with the steps and bursts of each in
-- ms. Returns for how long (ms) it has to wait. When that is at most `patience_ms` it is granted and counted under
-- every key; otherwise nothing is counted anywhere, so that what one key refuses spends nothing of the others.
create function sync.acquire(keys text[], steps float8[], bursts float8[], patience_ms float8)
returns float8 language plpgsql as $$
declare
  at timestamptz;
  wait_ms float8;
begin
  -- A key without a step has no limit of its own; its row exists only while Plaid slows it.
  insert into sync.rate_limits (key, step, burst, arrival)
  select k, s * interval '1 ms', b * interval '1 ms', statement_timestamp()
  from unnest(keys, steps, bursts) as asked (k, s, b) where s > 0 order by k
  on conflict (key) do nothing;
  -- In one order, so that askers cannot deadlock.
  perform from sync.rate_limits where key = any (keys) order by key for update;
  at := clock_timestamp();
  select coalesce(greatest(0, max(extract(epoch from greatest(r.arrival - b * interval '1 ms', r.slowed_until) - at)) * 1000), 0)
  into wait_ms
  from unnest(keys, bursts) as asked (k, b) join sync.rate_limits r on r.key = asked.k;
  if wait_ms <= patience_ms then
    update sync.rate_limits r set step = s * interval '1 ms', burst = b * interval '1 ms',
      arrival = greatest(r.arrival, at) + s * interval '1 ms'
    from unnest(keys, steps, bursts) as asked (k, s, b) where r.key = asked.k and s > 0;
  end if;
  return wait_ms;
end $$;
-- `granted` stays for processes of the release before, which may still run beside this one.
comment on column sync.rate_limits.granted is 'no longer used';
