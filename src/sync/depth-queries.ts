/** The statements that count what waits for sync. */
import type { Statement } from "../database/types.ts";

const statement = (name: string, text: string): Statement => ({ name: `sync_${name}`, text });

/** Counts of due subjects stop here, so that a scrape costs some milliseconds in any backlog. */
const DUE_MAX = 50_001;

/** One probe of the index finds the earliest subject of each integration that has some: those that are ready, or wait. */
const ring = (name: string, state: string): string => `${name} (integration_id, due_at) as (
  (select integration_id, due_at from sync.subjects where ${state} order by integration_id, due_at limit 1)
  union all
  select next.integration_id, next.due_at from ${name} r cross join lateral (select s.integration_id, s.due_at from sync.subjects s
    where ${state} and s.integration_id > r.integration_id order by s.integration_id, s.due_at limit 1) next
)`;

/**
 * Counts due subjects, DUE_MAX at most of those that are ready and of those that became due by time, without reading those that wait for
 * later.
 */
export const QUEUE_DEPTH = statement(
  "queue_depth",
  `
with recursive ${ring("ready", "ready")}, ${ring("waiting", "not ready and due_at is not null")}, due as (
  select lease_token from (
    select lease_token from sync.subjects where ready order by integration_id, due_at limit ${DUE_MAX}) r
  union all
  select lease_token from (
    select s.lease_token from waiting w cross join lateral (select lease_token from sync.subjects s
      where not s.ready and s.integration_id = w.integration_id and s.due_at <= now() order by s.due_at limit ${DUE_MAX}) s
    where w.due_at <= now() limit ${DUE_MAX}) w
)
select (select least(count(*), ${DUE_MAX}) from due where lease_token is null)::int as due,
  coalesce(extract(epoch from now() - (select min(due_at) from (select due_at from ready union all select due_at from waiting) f
    where due_at <= now())), 0)::float8 as oldest_due_seconds,
  (select count(*) from sync.subjects where lease_token is not null)::int as running`,
);
/** Reads all subjects. */
export const BY_STATUS = statement(
  "by_status",
  "select status, count(*)::int as count from sync.subjects group by status order by status",
);
