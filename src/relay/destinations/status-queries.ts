/** The statement of the destinations' status. */
import type { Statement } from "../../database/types.ts";

/** At most $1 destinations that receive nothing now, the longest first, and the number of destinations in each state. */
export const DESTINATIONS_STATUS: Statement = {
  name: "relay_destinations_status",
  text: `
with known as materialized (
  select x.id, x.name, h.breaker, h.hold_until, h.failing_since, x.disabled_reason,
    case when x.disabled_at is not null then 'disabled' when x.paused_at is not null then 'paused' else 'active' end as status,
    coalesce(x.disabled_at, x.paused_at, h.failing_since) as since
  from relay.destinations x join relay.health h on h.destination_id = x.id
  where x.deleted_at is null
)
select (select count(*)::int from known where status = 'active') as active,
  (select count(*)::int from known where status = 'paused') as paused,
  (select count(*)::int from known where status = 'disabled') as disabled,
  (select count(*)::int from known where status = 'active' and breaker <> 'closed') as open,
  coalesce((
    select jsonb_agg(to_jsonb(u) order by u.since, u.id)
    from (select * from known where status <> 'active' or breaker <> 'closed' or hold_until > now() order by since, id limit $1) u
  ), '[]') as unhealthy`,
};
