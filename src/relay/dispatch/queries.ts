/**
 * The statements of dispatch, which turns rows of the outbox into deliveries. All of them run in one transaction that holds
 * the dispatchers' lock, so that positions become visible in their order.
 */
import { take, tryTake } from "../../database/locks.ts";
import { FACTS } from "../content/queries.ts";
import { statement } from "../model/statement.ts";

/** Takes the dispatchers' lock until the transaction ends, unless another has it. */
export const BEGIN_DISPATCH = tryTake("dispatch");

/**
 * Waits for the dispatch that is under way; sent alone, outside of a transaction. A dispatch that begins afterwards sees
 * everything that was committed before this statement, above all routes.
 */
export const AWAIT_DISPATCH = take("dispatch");

/**
 * The oldest $1 waiting rows of the outbox, and the version of the routes in the same snapshot, so that an event never misses a
 * route that was created before it.
 */
export const WAITING_ROWS = statement(
  "waiting_rows",
  `
select id, cardinality(webhooks) + cardinality(events) as events, (select version from relay.routing) as "routingVersion"
from events.outbox where position is null order by id limit $1`,
);

/**
 * The events of the rows $1 of the outbox, in their order, without their payloads; Postgres knows how long those are
 * without reading them. Events that were erased meanwhile are left out.
 */
export const EVENTS_OF = statement(
  "events_of",
  `
with waiting as materialized (
  select id, webhooks, events from events.outbox where id = any ($1::bigint[])
)
select o.id as "outboxId", 0 as kind, u.n, ${FACTS}, 'webhook.received' as type, false as history,
  x.webhook_type as "webhookType", x.webhook_code as "webhookCode", x.source, octet_length(x.body) as size
from waiting o cross join lateral unnest(o.webhooks) with ordinality as u (id, n) join journal.webhooks x on x.id = u.id
union all
select o.id, 1, u.n, ${FACTS}, x.type, x.history, null, null, null, octet_length(x.payload)
from waiting o cross join lateral unnest(o.events) with ordinality as u (id, n) join events.events x on x.id = u.id
order by 1, 2, 3`,
);

/**
 * Inserts deliveries, in the order of the arrays, due now. $1 ids, $2 destinations, $3 event ids, $4 event types, $5
 * integrations, $6 items, $7 users, $8 ordering keys, $9 routes, $10 their versions, $11 forms, $12 the job that asked
 * for them or null. A delivery that its destination already has is skipped.
 */
export const INSERT_DELIVERIES = statement(
  "insert_deliveries",
  `
insert into relay.deliveries (id, destination_id, event_id, event_type, integration_id, item_id, user_id, ordering_key, route_id,
  route_version, form, job_id, due_at)
select d.id, d.destination_id, d.event_id, d.event_type, d.integration_id, d.item_id, d.user_id, d.ordering_key, d.route_id,
  d.route_version, d.form, $12, now()
from unnest($1::uuid[], $2::text[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[],
  $10::int4[], $11::text[]) with ordinality
  as d (id, destination_id, event_id, event_type, integration_id, item_id, user_id, ordering_key, route_id, route_version, form, n)
join relay.destinations x on x.id = d.destination_id and x.deleted_at is null
order by d.n
on conflict (event_id, destination_id) do nothing`,
);
