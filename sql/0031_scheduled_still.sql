-- Which of deliveries are scheduled still, by the same job as when they were fetched. The note before each attempt asks this all the
-- time, in a prepared statement; a plan of its own, made while the table was small, would read all of it later on, until it is
-- analysed. So the deliveries are looked up by their keys, whatever the size of the table.
create function relay.scheduled_still(deliveries uuid[], jobs text[]) returns uuid[]
language plpgsql stable set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
begin
  return array(
    select d.id from unnest(deliveries, jobs) f (id, job_id) join relay.deliveries d on d.id = f.id
    where d.status = 'scheduled' and d.job_id is not distinct from f.job_id);
end
$$;
