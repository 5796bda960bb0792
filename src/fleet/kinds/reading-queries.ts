/** The statements of backfills and checks. Values are always bound. */
import type { Statement } from "../../database/types.ts";

const statement = (name: string, text: string): Statement => ({ name: `fleet_${name}`, text });

/** How many members of running backfills and checks but $1 are begun and not finished. */
export const OTHERS_BEGUN = statement(
  "others_begun",
  `select coalesce(sum(t.members), 0)::int as begun from fleet.jobs j join fleet.tallies t on t.job_id = j.id
where j.status = 'running' and j.kind in ('backfill', 'check') and j.id <> $1 and t.phase in ('following', 'outstanding')`,
);

/** A limit for one of the endpoints $1, of integration $2 or any, whose burst is used up by more than half, or that Plaid slowed. */
export const BUSY_ENDPOINTS = statement(
  "busy_endpoints",
  `select from unnest($1::text[]) e (endpoint) cross join tartan.integrations i
join sync.rate_limits r on r.key = e.endpoint || ' ' || i.id
where ($2::text is null or i.id = $2) and (r.arrival - r.burst / 2 > now() or r.slowed_until > now()) limit 1`,
);

/** The linked items of integration $1, of user $2, among $3; null: any. $4 joins the details of each. */
export const ITEMS = `
select i.integration_id, i.item_id, $4::jsonb as details from tartan.items i
where i.access_token_sealed is not null and ($1::text is null or i.integration_id = $1) and ($2::text is null or i.user_id = $2)
  and ($3::text[] is null or i.item_id = any ($3))`;

/** Those of them that had webhooks from $5 to $6, each with the types and codes of these. What a check found was no webhook of Plaid's. */
export const ITEMS_WITH_WEBHOOKS = `
select i.integration_id, i.item_id, i.details || jsonb_build_object('touched', t.touched) as details
from (${ITEMS}) i join (
  select w.integration_id, w.item_id, jsonb_agg(distinct w.webhook_type || '/' || w.webhook_code) as touched
  from journal.webhooks w
  where w.id >= tartan.least_id_at($5::timestamptz) and w.id < tartan.least_id_at($6::timestamptz) and w.item_id is not null
    and w.webhook_type is not null and w.webhook_code is not null and not (w.source = 'RECONCILER' and w.webhook_code = 'GAP_FOUND')
    and ($1::text is null or w.integration_id = $1) and ($3::text[] is null or w.item_id = any ($3))
  group by 1, 2
) t on t.integration_id = i.integration_id and t.item_id = i.item_id`;
