/**
 * The journal's statements. Values are always bound.
 */
import type { Statement } from "../database/types.ts";
import { announced } from "../events/queries.ts";
import { MARK } from "../tokens.ts";

/**
 * The integration $1 as a condition that no index serves. In a new week, which is not analysed yet, Postgres takes the narrow index by
 * integration for one that is as good as the index by item, and then reads all webhooks of the integration since the first one that
 * is looked for: more the later it is, so a run becomes slower the more webhooks wait.
 */
export const OF_INTEGRATION = "integration_id || '' = $1";

/**
 * Appends a batch and its rows of the outbox, in one statement and so in one transaction.
 *
 * Why batches cannot deadlock: they lock tokens in the order of their hashes, and take no other lock that they could wait for.
 *
 * Why duplicates are safe: if another transaction is inserting the same JWT, this one waits for its commit, and the
 * row that it then finds names the first webhook. Only a webhook whose own id is in the row is stored.
 *
 * $1…$17 are the webhooks' columns. Yields the duplicates only: their JWT's hash and the id of the first.
 */
export const APPEND: Statement = {
  name: "journal_append",
  text: `
with incoming as materialized (
  select * from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
    $9::text[], $10::text[], $11::timestamptz[], $12::bytea[], $13::text[], $14::bytea[], $15::text[], $16::timestamptz[],
    $17::text[])
  as w (id, integration_id, source, subject_kind, subject_id, item_id, user_id, webhook_type,
    webhook_code, environment, received_at, body, verification, token_sha256, key_id, signed_at, requested)
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
), ${announced("fresh")}
select token_sha256, webhook_id from tokens where webhook_id not in (select id from incoming)`,
};

export const FIND_ACCEPTED: Statement = {
  name: "journal_find_accepted",
  text: `
select webhook_id, exists (select from journal.unproven u where u.id = webhook_id) as waits
from journal.accepted_tokens where token_sha256 = $1 and signed_at = $2`,
};

/** Webhooks may come before the item is linked and its user is known. */
export const BACKFILL_USER: Statement = {
  name: "journal_backfill_user",
  text: `update journal.webhooks set user_id = $3 where ${OF_INTEGRATION} and item_id = $2 and user_id is null`,
};

export const BACKFILL_USER_OF_SUBJECT: Statement = {
  name: "journal_backfill_user_of_subject",
  text: `update journal.webhooks set user_id = $4
where ${OF_INTEGRATION} and subject_kind = $2 and subject_id = $3 and subject_kind <> 'item' and user_id is null`,
};

/** The body of the newest webhook of a subject, of those that came with their tokens, which Plaid's list cuts. */
export const NEWEST_BODY: Statement = {
  name: "journal_newest_body",
  text: `select body from journal.webhooks
where ${OF_INTEGRATION} and subject_kind = $2 and subject_id = $3 and subject_kind <> 'item'
  and position('"${MARK}"'::bytea in body) = 0 order by id desc limit 1`,
};

/* Webhooks that wait for a run. */

/**
 * Those of the subject $1 (integration), $2 (kind), $3 (id). An index by item finds an item's, one by subject the others, some of which
 * also name an item.
 */
export const waitingFor = (kind: string): string =>
  kind === "item"
    ? `${OF_INTEGRATION} and subject_kind = $2 and item_id = $3 and processed_at is null`
    : `${OF_INTEGRATION} and subject_kind = $2 and subject_kind <> 'item' and subject_id = $3 and processed_at is null`;

/** When Plaid sent a webhook that Tartan journaled later; of another, when it came. */
const SENT_AT = "coalesce(case when source = 'RECONCILER' then signed_at end, received_at) as sent_at";

/** From $4 on, at most $5. */
export const webhooksOf = (kind: string): Statement => ({
  name: kind === "item" ? "journal_waiting_of_item" : "journal_waiting",
  text: `
select id, webhook_type as type, webhook_code as code, received_at, ${SENT_AT}, coalesce(requested, '{}') as requested
from journal.webhooks where ${waitingFor(kind)} and id >= $4 order by id limit $5`,
});

/** Plaid's webhooks of the last eight days with the codes $3 that came before the token of the item $2, and that no run has taken up. */
export const BEFORE_TOKEN: Statement = {
  name: "journal_before_token",
  text: `
select id, webhook_type as type, webhook_code as code, received_at, ${SENT_AT}, '{}'::text[] as requested
from journal.webhooks where ${OF_INTEGRATION} and item_id = $2 and webhook_code = any ($3::text[])
  and id >= tartan.least_id_at(now() - interval '8 days') and source in ('PLAID', 'RECONCILER') and subject_kind = 'item'
  and update_info ->> 'outcome' = 'item_unknown' and not update_info ? 'taken_up' order by id limit 100`,
};

/** The bodies of the webhooks $1 between $2 and $3, of $4 bytes at most. */
export const BODIES: Statement = {
  name: "journal_bodies",
  text: `select id, body from journal.webhooks
where id = any ($1::uuid[]) and id >= $2 and id <= $3 and octet_length(body) <= $4`,
};

/** $1 between $2 and $3, so that other partitions are not read. */
const GIVEN = "id = any ($1::uuid[]) and id >= $2 and id <= $3";
const AMONG = `${GIVEN} and processed_at is null`;

/** Writes the outcome $4 to the webhooks, beside what became of their public tokens. */
export const MARK_SERVED: Statement = {
  name: "journal_mark_served",
  text: `update journal.webhooks set processed_at = statement_timestamp(),
    update_info = case when update_info is null then $4::jsonb else update_info || $4::jsonb end where ${AMONG}`,
};

/** Locks the webhook $1. */
export const HOLD_WEBHOOK: Statement = {
  name: "journal_hold_webhook",
  text: "select id from journal.webhooks where id = $1 for no key update",
};

/** Adds the facts $2 to the update_info of the webhook $1, whether a run has served it or not. */
export const ADD_INFO: Statement = {
  name: "journal_add_info",
  text: "update journal.webhooks set update_info = coalesce(update_info, '{}') || $2::jsonb where id = $1",
};

/** Notes that a run has taken up webhooks that had been processed without one. */
export const NOTE_TAKEN_UP: Statement = {
  name: "journal_note_taken_up",
  text: `update journal.webhooks set update_info = update_info || '{"taken_up": true}' where ${GIVEN}`,
};

export const FORGET_REQUESTED: Statement = {
  name: "journal_forget_requested",
  text: `update journal.webhooks set requested = null where ${AMONG}`,
};

/** The webhooks, with the columns that decide whether they need a run. */
export const GET_ARRIVED: Statement = {
  name: "journal_get_arrived",
  text: `
select id, integration_id, subject_kind, subject_id, source, webhook_type as type, webhook_code as code,
  coalesce(requested, '{}') as requested, processed_at is not null as processed
from journal.webhooks where ${GIVEN} order by id`,
};

/** The whole webhook $1, for those who look into it after it was accepted. */
export const GET_BODY: Statement = {
  name: "journal_get_body",
  text: `select integration_id, subject_kind, subject_id, webhook_code as code, user_id, received_at, ${SENT_AT}, body
from journal.webhooks where id = $1`,
};

/** One row for each kind of refusal, from a JSON array. */
export const INSERT_REFUSALS: Statement = {
  name: "journal_insert_refusals",
  text: `
insert into journal.refusals (refused_at, integration_id, listener_id, reason, detail, remote_address, body_bytes, count)
select coalesce("refusedAt", now()), "integrationId", "listenerId", reason, detail, "remoteAddress", "bodyBytes", count
from json_to_recordset($1::json) as r ("refusedAt" timestamptz, "integrationId" text, "listenerId" text, reason text, detail text,
  "remoteAddress" text, "bodyBytes" integer, count integer)`,
};

/** A page of refusals, newest first. Values: the integration's id if given, the cursor's id if paged, the number of rows. */
export function listRefusalsQuery({ ofIntegration, paged }: { ofIntegration: boolean; paged: boolean }): Statement {
  const conditions = [
    ofIntegration ? "integration_id = $1" : "true",
    paged ? `id < $${ofIntegration ? 2 : 1}` : "true",
  ];
  return {
    name: `journal_list_refusals${ofIntegration ? "_of_integration" : ""}${paged ? "_paged" : ""}`,
    text: `
select id, refused_at, integration_id, listener_id, reason, detail, remote_address, body_bytes, count from journal.refusals
where ${conditions.join(" and ")} order by id desc limit $${1 + Number(ofIntegration) + Number(paged)}`,
  };
}

/* Retention, by the database's clock: $1 is a number of days. */

/** Records a round, and returns the database's time and whether its clock has advanced evenly for a day. */
export const NOTE_ROUND =
  "select journal.note_round() as steady, (extract(epoch from clock_timestamp()) * 1000)::float8 as now";
export const ENSURE_PARTITIONS = "select journal.ensure_partitions()";
export const DROP_TOKEN_DAYS = "select journal.drop_token_days(now() - $1 * interval '1 day')";

/** A week that begins before this is wholly older than $1 days; the present week never is. */
const OLD = "least(now() - $1 * interval '1 day', date_trunc('week', now(), 'UTC'))";

/** The Mondays of the weeks that are wholly older, the oldest first. */
export const OLD_WEEKS = `
select to_char(starts_at at time zone 'UTC', 'YYYY-MM-DD') as week from journal.weeks
where starts_at + interval '1 week' <= ${OLD} order by starts_at`;
const MONDAY = "starts_at = $1::date::timestamp at time zone 'UTC'";
/** The ids of the week of Monday $1, from `first` to before `behind`, and whether one of them may wait for dispatch. */
export const WEEK = `
select first, behind, coalesce(events.undispatched_since() < behind, false) as undispatched
from (select tartan.least_id_at(starts_at) as first, tartan.least_id_at(starts_at + interval '1 week') as behind
  from journal.weeks where ${MONDAY}) week`;
/** Reads the week of Monday $1 until it finds a webhook that no run has served. */
export const HAS_UNPROCESSED = `select journal.has_unprocessed(partition) as unprocessed from journal.weeks where ${MONDAY}`;
/** A change of partitions must not wait long for its lock: all later statements on the table would wait behind it. */
export const SHORT_LOCK_WAIT = "select set_config('lock_timeout', '2s', true)";
/** Drops the week of Monday $1, in a transaction that holds the locks `partitions` and `retention`. */
export const DROP_WEEK = "select journal.drop_week($1::date)";
/** Webhooks that are older than all weeks, served and dispatched, behind the id $2; $3 at most. */
export const OLD_EARLIER = `
select id from journal.webhooks_earlier
where id > $2::uuid and id < tartan.least_id_at(${OLD}) and processed_at is not null
  and id < coalesce(events.undispatched_since(), 'ffffffff-ffff-ffff-ffff-ffffffffffff')
order by id limit $3`;
export const DELETE_EARLIER = "delete from journal.webhooks_earlier where id = any ($1::uuid[])";
/** $1 the weeks that are old and still needed, as JSON. */
export const NOTE_KEPT = "update journal.retention set kept = $1::jsonb where kept <> $1::jsonb";

/** The result of the last round of retention, and the database's time. */
export const RETENTION_STATE = `
select kept, looked_at, steady_since <= now() - interval '1 day' as steady,
  (extract(epoch from clock_timestamp()) * 1000)::float8 as now
from journal.retention`;

/** Keeps the newest $1; deletes $2 at most. */
export const TRIM_REFUSALS = `
delete from journal.refusals where id = any (array(
  select id from journal.refusals
  where id <= (select id from journal.refusals order by id desc offset $1 limit 1) order by id limit $2))`;
