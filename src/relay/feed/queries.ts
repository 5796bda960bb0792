/** The statements of the event feed. */
import { statement } from "../model/statement.ts";

/** The last position that was given, and the last that was deleted; null where there is none. */
export const EDGES = statement(
  "edges",
  `
select greatest((select max(position) from events.outbox), (select position from events.forgotten))::text as last,
  (select position from events.forgotten)::text as forgotten`,
);

/** Whether an event after event $2 of position $1 was deleted, and since when events are kept. */
export const IS_EXPIRED = statement(
  "is_expired",
  `
select (f.position, f.events) > ($1::bigint, $2::int) as expired,
  (select written_at from events.outbox where position > f.position order by position limit 1) as since
from events.forgotten f`,
);

/**
 * Searches the outbox after event $2 of position $1, at most $10 rows and as many as name $3 events, for
 * events of the types $4, the integration $5, item $6 and user $7 (null: any), first readings too if $8; at most $9 of
 * them. Rows that name no event of these types are passed over: their events are neither counted nor read.
 *
 * Yields where each event stands, in order; on each row, and on a row without an event where there is none, also how far
 * the search went, whether there may be more rows after it (to look would read the whole outbox, where Postgres chooses so), and whether
 * $3 ended it.
 */
export const FIND_EVENTS = statement(
  "find_events",
  `
with next as materialized (
  select position, webhooks, events,
    types is null or types && $4::text[] or (webhooks <> '{}' and 'webhook.received' = any ($4::text[])) as may_match
  from events.outbox where position >= $1::bigint order by position limit $10
), examined as materialized (
  select position, webhooks, events, may_match from (
    select *, sum(case when may_match then cardinality(webhooks) + cardinality(events) end)
      over (order by position rows between unbounded preceding and 1 preceding) as before from next
  ) n where coalesce(before, 0) < $3
), named as materialized (
  select o.position, u.n::int as at, u.id, u.n <= cardinality(o.webhooks) as is_webhook
  from examined o cross join lateral unnest(o.webhooks || o.events) with ordinality as u (id, n)
  where o.may_match and (o.position, u.n) > ($1::bigint, $2::bigint)
), found as (
  select n.position, n.at, n.id, 'webhook.received' as type, octet_length(w.body) as bytes
  from named n join journal.webhooks w on w.id = n.id
  where n.is_webhook and w.body is not null and 'webhook.received' = any ($4::text[]) and ($5::text is null or w.integration_id = $5)
    and ($6::text is null or w.item_id = $6) and ($7::text is null or w.user_id = $7)
  union all
  select n.position, n.at, n.id, e.type, octet_length(e.payload)
  from named n join events.events e on e.id = n.id
  where not n.is_webhook and e.type = any ($4::text[]) and ($5::text is null or e.integration_id = $5)
    and ($6::text is null or e.item_id = $6) and ($7::text is null or e.user_id = $7) and ($8::bool or not e.history)
  order by 1, 2 limit $9
)
select l.last::text as last, l.more, l.cut, f.position::text as position, f.at, f.id, f.type, f.bytes
from (
  select max(position) as last, (select count(*) from next) = $10 or (select count(*) from next) > count(*) as more,
    (select count(*) from next) > count(*) as cut from examined
) l left join found f on true
order by f.position, f.at`,
);
