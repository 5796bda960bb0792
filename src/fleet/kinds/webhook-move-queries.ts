/** The statements of moves of webhook URLs. */
import type { Statement } from "../../database/types.ts";

const statement = (name: string, text: string): Statement => ({ name: `fleet_${name}`, text });

/** Plaid once sent it under another code. */
const IS_ACKNOWLEDGEMENT = `w.source = 'PLAID' and w.webhook_type = 'ITEM'
  and w.webhook_code in ('WEBHOOK_UPDATE_ACKNOWLEDGED', 'UPDATE_ACKNOWLEDGED')`;

/**
 * UUIDs of the latest acknowledgements of the items $2 of the integrations $1 in the last hour, in their order; without one, the least
 * UUID of that hour.
 */
export const LATEST_ACKNOWLEDGEMENTS = statement(
  "latest_acknowledgements",
  `
select coalesce(
  (select w.id from journal.webhooks w
   where w.item_id = k.item_id and w.integration_id = k.integration_id and w.id > hour.id and ${IS_ACKNOWLEDGEMENT}
   order by w.id desc limit 1), hour.id) as id
from (select tartan.least_id_at(now() - interval '1 hour') as id offset 0) hour
cross join unnest($1::text[], $2::text[]) with ordinality as k (integration_id, item_id, number)
order by k.number`,
);

/** Acknowledgements of the items $2 of the integrations $1 behind the UUIDs $3, a few of each, with the number of the item. */
export const ACKNOWLEDGED = statement(
  "acknowledged",
  `
select g.number::int as number, w.id, w.body
from unnest($1::text[], $2::text[], $3::uuid[]) with ordinality as g (integration_id, item_id, after, number)
cross join lateral (
  select w.id, w.body from journal.webhooks w
  where w.item_id = g.item_id and w.integration_id = g.integration_id and w.id > g.after and ${IS_ACKNOWLEDGEMENT}
  order by w.id desc limit 5
) w`,
);

/**
 * The linked items of integration $1, of user $2, among $3, whose URL begins with $4, or is not mirrored yet; null: any. Each
 * with its target: with mode $5 `intake` its integration's URL at $6, with `url` $6 itself, with `none` no URL.
 */
export const ITEMS_TO_MOVE = `
select i.integration_id, i.item_id, jsonb_strip_nulls(jsonb_build_object('from_prefix', $4::text))
  || jsonb_build_object('to', case $5::text when 'intake' then $6::text || '/v1/integrations/' || i.integration_id when 'url' then $6 end)
  as details
from tartan.items i left join plaid.items p on p.integration_id = i.integration_id and p.item_id = i.item_id
where i.access_token_sealed is not null and ($1::text is null or i.integration_id = $1) and ($2::text is null or i.user_id = $2)
  and ($3::text[] is null or i.item_id = any ($3)) and ($4::text is null or p.item_id is null or starts_with(p.webhook, $4))`;

/** The linked items of move $1 that Plaid was asked to move, each with its former URL as the target. */
export const ITEMS_TO_ROLL_BACK = `
select m.integration_id, m.item_id,
  jsonb_build_object('to', m.details -> 'former_url', 'from_exactly', m.details -> 'to') as details
from fleet.members m join tartan.items i on i.integration_id = m.integration_id and i.item_id = m.item_id
where m.job_id = $1 and m.details ? 'former_url' and i.access_token_sealed is not null`;

const GROUPS_SHOWN = 20;

/**
 * What a move of the items of `members` would do, as far as the mirror knows: by target and present URL, the largest groups, each with
 * how many items there are in all, and how many of them have the URL already.
 */
export const planOf = (members: string): string => `
with groups as materialized (
  select m.details ->> 'to' as "to", p.webhook as now, p.item_id is null as unknown, count(*)::int as items
  from (${members}) m left join plaid.items p on p.integration_id = m.integration_id and p.item_id = m.item_id
  group by 1, 2, 3
)
select *, (select sum(items)::int from groups) as count,
  (select coalesce(sum(items), 0)::int from groups where not unknown and "to" is not distinct from now) as unchanged
from groups order by items desc, 1, 2 limit ${GROUPS_SHOWN}`;
