/** The statements that take over arrivals from another engine. */
import type { Statement } from "../database/types.ts";
import { announced } from "../events/queries.ts";

/**
 * Stores a batch of webhooks that another engine acknowledged, with their rows of the outbox, as APPEND of queries.ts does; but a
 * webhook that is stored already is passed over, by its id too: a webhook without a JWT has nothing else, and the tokens of a long
 * outage may be deleted by now. An APPEND that has not committed yet is waited for, at the token or at the primary key.
 *
 * $1…$17 are the webhooks' columns, in the order of arrival. Yields for each its id, the id of the first with its JWT, and whether it was
 * stored now.
 */
export const RESTORE: Statement = {
  name: "journal_restore",
  text: `
with incoming as materialized (
  select * from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
    $9::text[], $10::text[], $11::timestamptz[], $12::bytea[], $13::text[], $14::bytea[], $15::text[], $16::timestamptz[],
    $17::text[]) with ordinality
  as w (id, integration_id, source, subject_kind, subject_id, item_id, user_id, webhook_type,
    webhook_code, environment, received_at, body, verification, token_sha256, key_id, signed_at, requested, n)
), tokens as (
  insert into journal.accepted_tokens as t (token_sha256, signed_at, webhook_id)
  select token_sha256, signed_at, id from incoming where token_sha256 is not null order by token_sha256
  on conflict (token_sha256, signed_at) do update set webhook_id = t.webhook_id
  returning token_sha256, webhook_id
), fresh as (
  select * from incoming where token_sha256 is null or id in (select webhook_id from tokens)
), stored as (
  insert into journal.webhooks (id, integration_id, source, subject_kind, subject_id, item_id, user_id, webhook_type,
    webhook_code, environment, received_at, body, verification, key_id, signed_at, requested)
  select w.id, w.integration_id, w.source, w.subject_kind, w.subject_id, w.item_id, coalesce(w.user_id, i.user_id),
    w.webhook_type, w.webhook_code, w.environment, w.received_at, w.body, w.verification, w.key_id, w.signed_at,
    string_to_array(w.requested, ',')
  from fresh w left join tartan.items i on i.integration_id = w.integration_id and i.item_id = w.item_id
  order by w.n
  on conflict (id) do nothing
  returning id
), ${announced("stored")}
select i.id, coalesce(t.webhook_id, i.id) as first, i.id in (select id from stored) as stored
from incoming i left join tokens t on t.token_sha256 = i.token_sha256`,
};

/**
 * The webhooks $1, with their integrations $2, items $3, JWTs $4 and times of signing $5, of which one with the same JWT was stored under another id:
 * for JWTs that journal.accepted_tokens may have forgotten. A JWT is accepted from one minute before its time of signing to five after it,
 * so the first has an id of about these minutes.
 */
export const FIND_BY_JWT: Statement = {
  name: "journal_find_by_jwt",
  text: `
with old as (
  select * from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::timestamptz[])
  as o (id, integration_id, item_id, jwt, signed_at)
)
select o.id, w.id as first from old o join journal.webhooks w on w.item_id = o.item_id
  and w.id >= tartan.least_id_at(o.signed_at - interval '2 minutes') and w.id < tartan.least_id_at(o.signed_at + interval '10 minutes')
where o.item_id is not null and w.integration_id = o.integration_id and w.verification = o.jwt and w.id <> o.id
union all
select o.id, w.id from old o join journal.webhooks w on w.integration_id = o.integration_id
  and w.id >= tartan.least_id_at(o.signed_at - interval '2 minutes') and w.id < tartan.least_id_at(o.signed_at + interval '10 minutes')
where o.item_id is null and w.item_id is null and w.verification = o.jwt and w.id <> o.id`,
};

/** What RESTORE takes anyway: a lock that fails behind it belongs to a row. */
export const HOLD_TABLES = "lock table journal.accepted_tokens, journal.webhooks in row exclusive mode";

/** A transaction with the same JWT ends within milliseconds, or is stuck. */
export const JWT_LOCK_WAIT = "select set_config('lock_timeout', '500ms', true)";
export const SINGLE_JWT_LOCK_WAIT = "select set_config('lock_timeout', '100ms', true)";

/** Has a row if the webhook $1 is stored. */
export const IS_STORED: Statement = {
  name: "journal_is_stored",
  text: "select id from journal.webhooks where id = $1",
};

/** Has a row if the item $2 of the integration $1 was linked, or its token replaced, behind the id $3. */
export const IS_LINKED_SINCE: Statement = {
  name: "journal_is_linked_since",
  text: `select id from events.events
where item_id = $2 and id > $3::uuid and integration_id = $1 and type = 'item.linked' limit 1`,
};
