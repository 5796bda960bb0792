/** The statements of the freshness of resources. Values are always bound; time is Postgres' clock. */
import type { Statement } from "../database/types.ts";

/** Rows of one statement, so that none takes long however many items there are. */
export const PAGE_ROWS = 5000;

/** Claims the next pass for $1 seconds. */
export const CLAIM_PASS: Statement = {
  name: "silence_claim_pass",
  text: `
update silence.freshness_pass set next_at = now() + $1 * interval '1 second', lease = lease + 1
where next_at <= now() returning lease::text, now()::text as began_at`,
};
export const KEEP_PASS: Statement = {
  name: "silence_keep_pass",
  text: `update silence.freshness_pass set next_at = now() + $2 * interval '1 second' where lease = $1::bigint`,
};

/**
 * The resources of a page of cursors behind the key $1 … $4, by integration, kind and resource; $5 seconds are the window. A check that
 * found an item at rest and no difference says of all its resources that they are still equal to Plaid.
 */
export const COUNT_CURSORS: Statement = {
  name: "silence_count_cursors",
  text: `
with page as materialized (
  select integration_id, kind, id, resource, absent, verified_at from sync.cursors
  where (integration_id, kind, id, resource) > ($1, $2, $3, $4) order by integration_id, kind, id, resource limit ${PAGE_ROWS}
), states as (
  select p.*, greatest(p.verified_at, case when s.status = 'ok' and s.due_at is null then i.checked_at end) as equal_at
  from page p join sync.subjects s using (integration_id, kind, id)
    left join tartan.items i on p.kind = 'item' and i.integration_id = p.integration_id and i.item_id = p.id
  where p.absent is null and s.status not in ('ended', 'unlinked')
), counts as (
  select integration_id, kind, resource, count(*)::int as subjects, count(*) filter (where verified_at is null)::int as never_read,
    count(*) filter (where verified_at is not null and equal_at > now() - $5 * interval '1 second')::int as within_window,
    min(verified_at) as oldest_verified_at
  from states group by 1, 2, 3
)
select (select jsonb_agg(c) from counts c) as counts,
  (select jsonb_build_array(integration_id, kind, id, resource) from page order by integration_id desc, kind desc, id desc, resource desc limit 1) as last,
  (select count(*)::int from page) as rows`,
};

/** The linked items of a page of items behind the key $1, $2, by integration. */
export const COUNT_ITEMS: Statement = {
  name: "silence_count_items",
  text: `
with page as materialized (
  select integration_id, item_id, access_token_sealed is not null as linked from tartan.items
  where (integration_id, item_id) > ($1, $2) order by integration_id, item_id limit ${PAGE_ROWS}
), counts as (
  select p.integration_id, count(*) filter (where linked)::int as items,
    count(*) filter (where linked and s.verified_at is null)::int as unread
  from page p left join sync.subjects s on s.integration_id = p.integration_id and s.kind = 'item' and s.id = p.item_id group by 1
)
select (select jsonb_agg(c) from counts c) as counts,
  (select jsonb_build_array(integration_id, item_id) from page order by integration_id desc, item_id desc limit 1) as last,
  (select count(*)::int from page) as rows`,
};

/** $1 the lease, $2 the window, $3 when it began, $4 the seconds that it took, $5 those until the next. */
export const END_PASS: Statement = {
  name: "silence_end_pass",
  text: `
update silence.freshness_pass set as_of = $3::timestamptz, window_seconds = $2, took_seconds = $4, next_at = now() + $5 * interval '1 second'
where lease = $1::bigint`,
};
export const FORGET_COUNTS = "delete from silence.freshness";
export const FORGET_ITEM_COUNTS = "delete from silence.freshness_items";
/** $1 the counts of all pages. */
export const STORE_COUNTS: Statement = {
  name: "silence_store_counts",
  text: `
insert into silence.freshness (integration_id, kind, resource, subjects, within_window, never_read, oldest_verified_at)
select integration_id, kind, resource, sum(subjects), sum(within_window), sum(never_read), min(oldest_verified_at)
from jsonb_to_recordset($1::jsonb) as c (integration_id text, kind text, resource text, subjects bigint, within_window bigint,
  never_read bigint, oldest_verified_at timestamptz)
group by 1, 2, 3`,
};
export const STORE_ITEM_COUNTS: Statement = {
  name: "silence_store_item_counts",
  text: `
insert into silence.freshness_items (integration_id, items, unread)
select integration_id, sum(items), sum(unread) from jsonb_to_recordset($1::jsonb) as c (integration_id text, items bigint, unread bigint)
group by 1`,
};

/** Integrations behind the id $2, or the one with the id $1, with their counts; $3 at most. */
export const LIST_FRESHNESS: Statement = {
  name: "silence_list_freshness",
  text: `
select g.id as integration_id, g.name, p.as_of, p.window_seconds, coalesce(i.items, 0)::int as items, coalesce(i.unread, 0)::int as unread_items,
  coalesce(r.resources, '[]') as resources
from tartan.integrations g cross join silence.freshness_pass p left join silence.freshness_items i on i.integration_id = g.id
  left join lateral (
    select jsonb_agg(jsonb_build_object('resource', f.resource, 'kind', f.kind, 'subjects', f.subjects, 'within_window', f.within_window,
      'never_read', f.never_read, 'oldest_verified_at', f.oldest_verified_at) order by f.kind <> 'item', f.kind, f.resource) as resources
    from silence.freshness f where f.integration_id = g.id) r on true
where g.deleted_at is null and ($1::text is null or g.id = $1) and g.id > $2 order by g.id limit $3`,
};
