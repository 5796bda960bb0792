/** The statements of checks.ts. Values are always bound; all times are Postgres' own. */
import type { Statement } from "../database/types.ts";

/** How many items one statement plans. */
export const PLAN_BATCH = 1000;

/**
 * Plans the first check of items without one, and plans checks anew that are beyond the window, since the window was shortened. It
 * spreads a batch over the whole window ($1 seconds), one item a slot, so that items imported together are not checked together.
 */
export const PLAN_CHECKS: Statement = {
  name: "checks_plan",
  text: `
with unplanned as (
  select integration_id, item_id from tartan.items
  where access_token_sealed is not null and check_at is null limit ${PLAN_BATCH} for update skip locked
), beyond as (
  select integration_id, item_id from tartan.items
  where access_token_sealed is not null and check_at > now() + $1 * interval '1 second'
  limit ${PLAN_BATCH} for update skip locked
), slots as (
  select *, (row_number() over (order by random()) - random()) / count(*) over () as place
  from (select * from unplanned union all select * from beyond) items
)
update tartan.items i set check_at = now() + $2 * s.place * interval '1 second'
from slots s where i.integration_id = s.integration_id and i.item_id = s.item_id`,
};

/** Counts the linked items, for the rate, unless they were counted in the last $1 seconds. */
export const COUNT_CHECKED: Statement = {
  name: "checks_count",
  text: `
update tartan.check_pace set counted_at = now(),
  items = (select count(*) from tartan.items where access_token_sealed is not null)
where counted_at is null or counted_at <= now() - $1 * interval '1 second'`,
};

/**
 * Claims up to $2 items whose check is due, the longest due first, for $3 seconds each. $1 is the window in seconds.
 *
 * The rate is at most twice the rate that the window needs, so that checks that are overdue after an outage of days are done evenly
 * in half a window. One check a second may always begin, so a few items never wait. One process claims at a time;
 * another that comes meanwhile gets none and tries again.
 */
export const CLAIM_CHECKS: Statement = {
  name: "checks_claim",
  text: `
with pace as (
  select greatest(next_at, now() - interval '2 seconds') as from_at, least(1, $1 / (2.0 * greatest(items, 1))) as step
  from tartan.check_pace for update skip locked
), allowed as (
  select least($2, floor(extract(epoch from now() - from_at) / step) + 1)::int as looks from pace where from_at <= now()
), due as (
  select integration_id, item_id, check_at from tartan.items
  where access_token_sealed is not null and check_at <= now()
  order by check_at limit coalesce((select looks from allowed), 0) for update skip locked
), claimed as (
  update tartan.items i set check_at = now() + $3 * interval '1 second'
  from due where i.integration_id = due.integration_id and i.item_id = due.item_id
  returning i.integration_id, i.item_id, i.linked_at, i.check_seen as seen, i.check_at::text as lease,
    extract(epoch from now() - due.check_at)::float8 as late_seconds
), paced as (
  update tartan.check_pace set next_at = pace.from_at + (select count(*) from claimed) * pace.step * interval '1 second'
  from pace where exists (select from claimed)
)
select * from claimed`,
};

/**
 * Ends a check whose lease $6 still holds: $3 whether Plaid answered, $4 seconds until the next check, $5 what Plaid reported, null to
 * keep the previous value. Since the request the item may have been unlinked, erased, or claimed by another process.
 */
export const FINISH_CHECK: Statement = {
  name: "checks_finish",
  text: `
update tartan.items set check_at = now() + $4 * interval '1 second',
  checked_at = case when $3 then now() else checked_at end, check_seen = coalesce($5::jsonb, check_seen)
where integration_id = $1 and item_id = $2 and check_at = $6::timestamptz and access_token_sealed is not null`,
};
