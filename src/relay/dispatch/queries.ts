/**
 * The statements of dispatch: what waits in the outbox becomes deliveries. All of them run in one transaction that holds
 * the dispatchers' lock, so that positions become visible in their order.
 */
import { take, tryTake } from "../../database/locks.ts";
import type { Statement } from "../../database/types.ts";

const statement = (name: string, text: string): Statement => ({ name: `relay_${name}`, text });

/** Takes the dispatchers' lock until the transaction ends, unless another has it. */
export const BEGIN_DISPATCH = tryTake("dispatch");

/**
 * Waits for the dispatch that is under way, alone and outside of a transaction. Those that begin afterwards see all that was
 * committed before this statement, routes above all.
 */
export const AWAIT_DISPATCH = take("dispatch");

/**
 * The oldest $1 rows of the outbox that wait; and, seen at the same instant, the version of the routes that there are. So an
 * event never misses a route that was there before it.
 */
export const WAITING_ROWS = statement(
  "waiting_rows",
  `
select id, cardinality(webhooks) + cardinality(events) as events, (select version from relay.routing) as "routingVersion"
from journal.outbox where position is null order by id limit $1`,
);

/** What routes look at, of a webhook or event x. */
export const FACTS = `x.id, x.integration_id as "integrationId", x.environment, x.item_id as "itemId", x.user_id as "userId"`;

/**
 * The events of the rows $1 of the outbox, in their order, without their payloads; Postgres knows how long those are
 * without reading them. Events that were erased meanwhile are left out.
 */
export const EVENTS_OF = statement(
  "events_of",
  `
with waiting as materialized (
  select id, webhooks, events from journal.outbox where id = any ($1::bigint[])
)
select o.id as "outboxId", 0 as kind, u.n, ${FACTS}, 'webhook.received' as type, false as history,
  x.webhook_type as "webhookType", x.webhook_code as "webhookCode", x.source, octet_length(x.body) as size
from waiting o cross join lateral unnest(o.webhooks) with ordinality as u (id, n) join journal.webhooks x on x.id = u.id
union all
select o.id, 1, u.n, ${FACTS}, x.type, x.history, null, null, null, octet_length(x.payload)
from waiting o cross join lateral unnest(o.events) with ordinality as u (id, n) join journal.events x on x.id = u.id
order by 1, 2, 3`,
);

/** Webhooks and events with their bytes; $1 ids of webhooks, $2 of events. */
export const SOURCES = statement(
  "sources",
  `
select ${FACTS}, 'webhook.received' as type, false as history, x.webhook_type as "webhookType",
  x.webhook_code as "webhookCode", x.source, x.received_at as "occurredAt", x.body as bytes, x.verification,
  x.key_id as "keyId", x.signed_at as "signedAt"
from journal.webhooks x where x.id = any ($1::uuid[])
union all
select ${FACTS}, x.type, x.history, null, null, null, x.occurred_at, x.payload, null, null, null
from journal.events x where x.id = any ($2::uuid[])`,
);

/**
 * Makes deliveries, in the order of the arrays, due now. $1 ids, $2 destinations, $3 event ids, $4 event types, $5
 * integrations, $6 items, $7 users, $8 lanes, $9 routes, $10 their versions, $11 forms, $12 which job asked, if one did.
 * An event that its destination has already is passed over.
 */
export const INSERT_DELIVERIES = statement(
  "insert_deliveries",
  `
insert into relay.deliveries (id, destination_id, event_id, event_type, integration_id, item_id, user_id, lane, route_id,
  route_version, form, job_id, due_at)
select d.id, d.destination_id, d.event_id, d.event_type, d.integration_id, d.item_id, d.user_id, d.lane, d.route_id,
  d.route_version, d.form, $12, now()
from unnest($1::uuid[], $2::text[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[],
  $10::int4[], $11::text[]) with ordinality
  as d (id, destination_id, event_id, event_type, integration_id, item_id, user_id, lane, route_id, route_version, form, n)
join relay.destinations x on x.id = d.destination_id and x.deleted_at is null
order by d.n
on conflict (event_id, destination_id) do nothing`,
);

/** Gives the rows $1 of the outbox their positions and says who made what: $2, if anything. */
export const GIVE_POSITIONS = statement(
  "give_positions",
  `
with numbered as materialized (
  select id, nextval('journal.positions') as position from (select unnest($1::bigint[]) as id order by 1) ordered
), given as (
  update journal.outbox o set position = n.position from numbered n where o.id = n.id
)
select pg_notify('tartan_events', ''), case when $2::text is not null then pg_notify('tartan_deliveries', $2) end`,
);
