/** The statements of listeners/. Values are always bound. */
import type { Statement } from "../database/types.ts";

const statement = (name: string, text: string): Statement => ({ name: `listeners_${name}`, text });

const PUBLIC = `id, kind, name, integration_id, throttle_s, event_types, cut_prefix, logins, events_ignored, unknown_users, webhooks,
  items_fresh, last_received_at, created_at, updated_at`;

export const INSERT = `
insert into listeners.listeners (id, kind, name, integration_id, token_sha256, throttle_s, event_types, cut_prefix)
values ($1, $2, $3, $4, $5, $6, $7, $8) returning ${PUBLIC}`;
export const LIST = `select ${PUBLIC} from listeners.listeners order by created_at, id`;
export const GET = `select ${PUBLIC} from listeners.listeners where id = $1`;
export const LOCK = `${GET} for update`;
/** $2…$4: null leaves what is there. $5 whether the prefix is changed, $6 to what. */
export const UPDATE = `
update listeners.listeners set name = coalesce($2, name), throttle_s = coalesce($3, throttle_s),
  event_types = coalesce($4, event_types), cut_prefix = case when $5::boolean then $6 else cut_prefix end, updated_at = now()
where id = $1 returning ${PUBLIC}`;
export const SET_TOKEN = `update listeners.listeners set token_sha256 = $2, updated_at = now() where id = $1 returning ${PUBLIC}`;
export const DELETE = "delete from listeners.listeners where id = $1 returning integration_id, name";
export const FORGET_OF_INTEGRATION = "delete from listeners.listeners where integration_id = $1";

/* Logins. */

/** What a request to the URL of listener $1 is checked and read with. */
export const FIND = statement(
  "find",
  `select id, kind, integration_id as "integrationId", token_sha256 as "tokenSha256", throttle_s as "throttleSeconds",
  event_types as "eventTypes", cut_prefix as "cutPrefix" from listeners.listeners where id = $1`,
);

/** In one order, so that requests cannot deadlock. */
export const LOCK_USERS = statement(
  "lock_users",
  "select from listeners.users where bucket = any ($1::int[]) order by bucket for update",
);

/** Older logins find an item fresh that was touched within this time, however long ago they were. */
const OLDEST = "interval '7 days'";

/**
 * Linked items of the users $1, who logged in at $2 (null: now), from the listener with throttle $3 (s), of integration $4 or of all; $8 rows
 * at most, behind user $5, item $6, integration $7. `fresh`: a sync of the item ended, or a login made a webhook for it, within the
 * throttle or since the login. The statement runs once the users are locked, so it sees what the logins before stored.
 *
 * Each `limit` of a subquery keeps Postgres from reordering the joins: with any statistics of the tables it looks up the items of each user
 * by index, and never reads all items of an integration.
 */
export const ITEMS = statement(
  "items",
  `
with asked as materialized (
  select u.user_id, greatest(statement_timestamp() - ${OLDEST},
    least(u.at, statement_timestamp() - $3::int * interval '1 second')) as since
  from unnest($1::text[], $2::timestamptz[]) as u (user_id, at) where u.user_id >= $5::text
)
select i.user_id as "userId", i.integration_id as "integrationId", i.item_id as "itemId", g.environment,
  statement_timestamp() as now,
  coalesce(s.verified_at >= a.since, false) or exists (
    select from journal.webhooks w where w.item_id = i.item_id and w.integration_id = i.integration_id
      and w.source = 'FROM_LISTENER' and w.id >= tartan.least_id_at(a.since)) as fresh
from asked a
cross join lateral (
  select user_id, item_id, integration_id from tartan.items
  where user_id = a.user_id and access_token_sealed is not null and ($4::text is null or integration_id = $4)
    and (user_id, item_id, integration_id) > ($5::text, $6::text, $7::text)
  order by user_id, item_id, integration_id limit $8::int) i
cross join lateral (
  select environment from tartan.integrations where id = i.integration_id and deleted_at is null limit 1) g
left join lateral (
  select verified_at from sync.subjects
  where integration_id = i.integration_id and kind = 'item' and id = i.item_id limit 1) s on true
order by i.user_id, i.item_id, i.integration_id limit $8::int`,
);

/** $2 logins, $3 ignored events, $4 unknown users, $5 webhooks, $6 items that needed none. */
export const COUNT = statement(
  "count",
  `update listeners.listeners set logins = logins + $2, events_ignored = events_ignored + $3, unknown_users = unknown_users + $4,
  webhooks = webhooks + $5, items_fresh = items_fresh + $6, last_received_at = now() where id = $1`,
);
