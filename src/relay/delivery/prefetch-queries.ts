/** The statements of the delivery prefetcher: they fetch the deliveries that are due, with payloads of bounded size. */
import { statement } from "../model/statement.ts";

/** The size of the payload of delivery `d`, which Postgres knows without reading it; null where it is no longer kept. */
const SIZE = "coalesce(octet_length(d.body), octet_length(w.body), octet_length(e.payload))";

/**
 * What sending a delivery needs. The payloads of the first deliveries in the order `order` come along until they exceed `inline`
 * bytes together; PAYLOAD_OF reads the others later.
 */
const deliveryOf = (order: string, inline: string): string => {
  const inlined = `sum(${SIZE}) over (order by ${order}) <= ${inline}`;
  return `d.id, d.event_id as "eventId", d.event_type as "eventType", d.ordering_key as "orderingKey", d.form, d.attempts, d.tries,
  d.job_id as "jobId", d.body_sha256 as "bodySha256", d.due_at <= now() as due, v.definition ->> 'transform' as transform,
  coalesce(w.integration_id, e.integration_id) as "integrationId", coalesce(w.environment, e.environment) as environment,
  coalesce(w.item_id, e.item_id) as "itemId", coalesce(d.user_id, e.user_id) as "userId",
  coalesce(e.history, false) as history, w.webhook_type as "webhookType", w.webhook_code as "webhookCode", w.source,
  coalesce(w.received_at, e.occurred_at) as "occurredAt", w.verification, w.key_id as "keyId", w.signed_at as "signedAt",
  ${SIZE} as size, case when ${inlined} then d.body end as body,
  case when d.body is null and ${inlined} then coalesce(w.body, e.payload) end as bytes`;
};

const SOURCES_OF = `
left join journal.webhooks w on d.event_type = 'webhook.received' and w.id = d.event_id
left join events.events e on d.event_type <> 'webhook.received' and e.id = d.event_id
left join relay.route_versions v on d.form = 'transform' and v.route_id = d.route_id and v.version = d.route_version`;

/** The payload of delivery $1: the body that was made for it, otherwise its event's bytes. */
export const PAYLOAD_OF = statement(
  "payload_of",
  `
select d.body, case when d.body is null then coalesce(w.body, e.payload) end as bytes from relay.deliveries d
left join journal.webhooks w on d.body is null and d.event_type = 'webhook.received' and w.id = d.event_id
left join events.events e on d.body is null and d.event_type <> 'webhook.received' and e.id = d.event_id
where d.id = $1`,
);

/**
 * The deliveries without an ordering key that are due at destination $1, in order, except those in $2; at most $3, with $5 bytes
 * of payloads. With $4 only those that became due in the last 10 seconds: delivered ones stay in the index until a vacuum, and a
 * scan that begins at the oldest entry walks past all of them.
 */
export const FETCH_DUE = statement(
  "fetch_due",
  `
with d as materialized (
  select * from relay.deliveries d
  where d.destination_id = $1 and d.status = 'scheduled' and d.ordering_key is null and d.due_at <= now() and d.id <> all ($2::uuid[])
    and d.due_at >= case when $4 then now() - interval '10 seconds' else '-infinity' end
  order by d.due_at, d.seq limit $3
)
select ${deliveryOf("d.due_at, d.seq", "$5")} from d ${SOURCES_OF} order by d.due_at, d.seq`,
);

const OF_KEY = (key: string, count: string): string => `
  select * from relay.deliveries d
  where d.destination_id = $1 and d.status = 'scheduled' and d.ordering_key = ${key} order by d.seq limit ${count}`;

/** The most ordering keys of one fetch. As a number in the text it bounds the cost that Postgres expects of a plan. */
export const KEYS_AT_ONCE = 64;

/**
 * The first deliveries of the ordering keys that are due at destination $1, except the keys in $2: at most $3 deliveries of each
 * of at most $4 keys, in order, with $5 bytes of payloads. The keys that have been due for longest come first. relay.ordering_keys
 * has the keys in the order in which they become due, so a key that waits for a retry costs nothing. A key that has no delivery
 * after all is a row without a delivery (SETTLE_KEYS).
 */
export const FETCH_DUE_KEYS = statement(
  "fetch_due_keys",
  `
with chosen as materialized (
  select ordering_key from (
    select k.ordering_key, k.due_at from relay.ordering_keys k
    where k.destination_id = $1 and k.due_at <= now() and k.ordering_key <> all ($2::text[])
    order by k.due_at, k.ordering_key limit ${KEYS_AT_ONCE}
  ) due order by due_at, ordering_key limit $4
), d as materialized (
  select d.* from chosen c cross join lateral (${OF_KEY("c.ordering_key", "$3")}) d
)
select c.ordering_key as "ofKey", ${deliveryOf("c.ordering_key, d.seq", "$5")}
from chosen c left join (d ${SOURCES_OF}) on d.ordering_key = c.ordering_key order by c.ordering_key, d.seq`,
);

/** Corrects the due times of the ordering keys $2 of destination $1. Yields how many had to be corrected and could be. */
export const SETTLE_KEYS = statement(
  "settle_keys",
  `
select relay.settle_ordering_keys(array_agg($1::text order by k.key), array_agg(k.key order by k.key))::int as written
from unnest($2::text[]) k (key)`,
);

/** The first deliveries of the ordering keys $2 at destination $1, at most $3 of each, with $4 bytes of payloads. */
export const FETCH_OF_KEYS = statement(
  "fetch_of_keys",
  `
with d as materialized (
  select d.* from unnest($2::text[]) as k (key) cross join lateral (${OF_KEY("k.key", "$3")}) d
)
select ${deliveryOf("d.ordering_key, d.seq", "$4")} from d ${SOURCES_OF} order by d.ordering_key, d.seq`,
);
