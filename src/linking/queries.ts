/** The statements of linking/. Values are always bound; instants are the database's clock. */
import type { Statement } from "../database/types.ts";
import { MARK } from "../tokens.ts";

/* Link tokens. */

export const STORE_LINK_TOKEN: Statement = {
  name: "linking_store_link_token",
  text: `insert into linking.link_tokens (token_sha256, integration_id, user_id, item_id, adopt, expires_at)
    values ($1, $2, $3, $4, $5, $6) on conflict do nothing`,
};

/** What is known of the Link token with the hash $1 of the integration $2, and whether its items are adopted. */
export const FIND_LINK_TOKEN: Statement = {
  name: "linking_find_link_token",
  text: `select t.user_id as "userId", t.item_id as "itemId", coalesce(t.adopt, i.adopt_items) as adopt
    from tartan.integrations i
    left join linking.link_tokens t on t.integration_id = i.id and t.token_sha256 = $1
    where i.id = $2 and i.deleted_at is null`,
};

/* Link tokens about which Plaid is asked. */

/** $1 id, $2 integration, $3 the Link token, sealed. */
export const WATCH: Statement = {
  name: "linking_watch",
  text: `insert into linking.watched_tokens (id, token_sha256, integration_id, token_sealed) values ($1, decode($1, 'hex'), $2, $3)
    on conflict do nothing`,
};

/** How long after its end a Link token is asked about: a session that was open then may go on. */
const AFTERWARDS = "interval '1 hour'";

/**
 * Claims at most $1 that are due, by making each due again later: a question whose process dies is repeated then. A public token lives for
 * 30 minutes. So the waits are shorter than that on the first day, in which most sessions end; a link by mail may wait for weeks.
 */
export const CLAIM_WATCHED: Statement = {
  name: "linking_claim_watched",
  text: `update linking.watched_tokens w set asked = w.asked + 1, next_at = now() + (0.75 + random() / 4) * case
        when t.created_at > now() - interval '1 hour' then interval '5 minutes'
        when t.created_at > now() - interval '1 day' then interval '20 minutes'
        else interval '1 hour' end
    from (select id from linking.watched_tokens where next_at <= now() order by next_at limit $1 for update skip locked) due,
      linking.link_tokens t, tartan.integrations i
    where w.id = due.id and t.token_sha256 = w.token_sha256 and i.id = w.integration_id
    returning w.id, w.integration_id as "integrationId", w.token_sealed as sealed, w.asked, t.item_id as "itemId", i.environment,
      i.deleted_at is null and (t.item_id is not null or coalesce(t.adopt, i.adopt_items)) as "isWanted",
      t.expires_at + ${AFTERWARDS} < now() as "isLast"`,
};

/** Has a row while the question $2 is the latest about the Link token $1. */
export const HOLD_WATCHED = "select id from linking.watched_tokens where id = $1 and asked = $2 for update";
export const ASK_SOON = "update linking.watched_tokens set next_at = now() + interval '2 minutes' where id = $1";
export const UNWATCH: Statement = {
  name: "linking_unwatch",
  text: "delete from linking.watched_tokens where id = $1",
};

/**
 * Of the session $2 of the integration $1, which ended at $3: whether a webhook has announced its end, and whether one may still be on its
 * way, $4 ms after the end. What Plaid's list of sent webhooks says has its tokens cut, so it does not count.
 */
export const ANNOUNCED: Statement = {
  name: "linking_announced",
  text: `select $3::timestamptz > now() - $4::int * interval '1 millisecond' as "isFresh", exists (
      select from journal.webhooks where integration_id = $1 and subject_kind = 'link_session' and subject_kind <> 'item'
        and subject_id = $2 and webhook_type = 'LINK' and webhook_code = 'SESSION_FINISHED'
        and coalesce(position('"${MARK}"'::bytea in body), 0) = 0) as "isAnnounced"`,
};

/* Webhooks about sessions of Link. */

/** $1 UUIDs of webhooks. */
export const NOTE_ARRIVALS: Statement = {
  name: "linking_note_arrivals",
  text: "insert into linking.arrivals (webhook_id) select unnest($1::uuid[]) on conflict do nothing",
};
export const CHANNEL = "tartan_linking";
export const NOTIFY: Statement = { name: "linking_notify", text: `select pg_notify('${CHANNEL}', '')` };
/** The oldest behind $1 that no other transaction looks into. */
export const TAKE_ARRIVAL: Statement = {
  name: "linking_take_arrival",
  text: `delete from linking.arrivals where webhook_id = (select webhook_id from linking.arrivals where webhook_id > $1
    order by webhook_id limit 1 for update skip locked) returning webhook_id as id`,
};

/** Others who work on an item may hold it for minutes. Until then the public tokens of other sessions must not wait. */
export const SHORT_LOCK_WAIT = "select set_config('lock_timeout', '1s', true)";
/** Drops the arrival $1, which cannot be looked into. */
export const DROP_ARRIVAL = "delete from linking.arrivals where webhook_id = $1";

/* Public tokens. */

/** Plaid's life of a public token. */
const LIFE = "interval '30 minutes'";
/** How long a claim holds without a renewal. */
export const LEASE_SECONDS = 30;
const LEASE = `interval '${LEASE_SECONDS} seconds'`;

/** $1 id, $2 integration, $3 hash of the token, $4 user. A request brought it. */
export const NOTE_PUBLIC_TOKEN: Statement = {
  name: "linking_note_public_token",
  text: `insert into linking.public_tokens (id, integration_id, token_sha256, adopt, user_id, received_at, expires_at)
    values ($1, $2, $3, false, $4, now(), now() + ${LIFE}) on conflict (integration_id, token_sha256) do nothing`,
};

/**
 * $1 id, $2 integration, $3 hash of the token, $4 user, $5 session, $6 webhook, $7 when it came, by the clock of the process that received it, or
 * when its session ended, where no webhook announced it.
 * A token that is known keeps its outcome.
 */
export const NOTE_ADOPTED: Statement = {
  name: "linking_note_adopted",
  text: `insert into linking.public_tokens as t (id, integration_id, token_sha256, adopt, user_id, link_session_id, webhook_id,
      received_at, expires_at)
    values ($1, $2, $3, true, $4, $5, $6, $7, least($7, now()) + ${LIFE})
    on conflict (integration_id, token_sha256) do update set adopt = true, user_id = coalesce(t.user_id, excluded.user_id),
      link_session_id = coalesce(t.link_session_id, excluded.link_session_id), webhook_id = coalesce(t.webhook_id, excluded.webhook_id)
    returning id, status`,
};
/** $1 webhook, $2 id of the public token that it brought. */
export const NOTE_BROUGHT: Statement = {
  name: "linking_note_brought",
  text: "insert into linking.public_token_webhooks (webhook_id, public_token) values ($1, $2) on conflict do nothing",
};

const CLAIMED = `id, integration_id as "integrationId", user_id as "userId", webhook_id as "webhookId",
  link_session_id as "linkSessionId", adopt, attempts, fence::text as fence`;

/** The public token $1, locked. */
export const HOLD_PUBLIC_TOKEN: Statement = {
  name: "linking_hold_public_token",
  text: `select ${CLAIMED}, status from linking.public_tokens where id = $1 for update`,
};

/**
 * For a request: claims the token $2 of the integration $1 unless it is linked, or somebody exchanges it now. A claim of a token whose
 * lease has ended follows an attempt without a known outcome.
 */
export const CLAIM_BY_TOKEN: Statement = {
  name: "linking_claim_by_token",
  text: `update linking.public_tokens set status = 'exchanging', reason = null, next_at = now() + ${LEASE},
      attempts = attempts + 1, fence = fence + 1, in_doubt = in_doubt or status = 'exchanging', settled_at = null
    where integration_id = $1 and token_sha256 = $2
      and (status in ('pending', 'failed') or (status = 'exchanging' and next_at <= now()))
    returning ${CLAIMED}`,
};

/** Whether there is anything to do for the worker: one question, which idle processes ask at each poll. */
export const WORK: Statement = {
  name: "linking_work",
  text: `select exists (select from linking.arrivals) or exists (
    select from linking.public_tokens where adopt and status in ('pending', 'exchanging') and next_at <= now()) or exists (
    select from linking.public_tokens where status in ('pending', 'exchanging') and expires_at <= now() and next_at <= now()) or exists (
    select from linking.watched_tokens where next_at <= now()) as any`,
};

/** For the worker: claims at most $1 tokens that are due and have not ended. */
export const CLAIM_DUE: Statement = {
  name: "linking_claim_due",
  text: `update linking.public_tokens t set status = 'exchanging', next_at = now() + ${LEASE},
      attempts = t.attempts + 1, fence = t.fence + 1, in_doubt = t.in_doubt or t.status = 'exchanging'
    from (select id from linking.public_tokens where adopt and status in ('pending', 'exchanging') and next_at <= now()
      and expires_at > now() order by next_at limit $1 for update skip locked) due
    where t.id = due.id
    returning t.id, integration_id as "integrationId", user_id as "userId", webhook_id as "webhookId",
      link_session_id as "linkSessionId", adopt, attempts, fence::text as fence, token_sha256 as "tokenSha256"`,
};

/** Ends at most $1 tokens whose 30 minutes are over, and which nobody exchanges now. */
export const EXPIRE: Statement = {
  name: "linking_expire",
  text: `update linking.public_tokens t set status = 'failed', settled_at = now(),
      reason = case when t.in_doubt or t.status = 'exchanging' then 'lost' else 'expired' end
    from (select id from linking.public_tokens where status in ('pending', 'exchanging') and next_at <= now()
      and expires_at <= now() order by expires_at limit $1 for update skip locked) over
    where t.id = over.id
    returning t.id, integration_id as "integrationId", user_id as "userId", webhook_id as "webhookId",
      link_session_id as "linkSessionId", adopt, attempts, fence::text as fence, reason, last_error as "lastError"`,
};

/** The webhooks that brought the public token $1. */
export const BROUGHT_BY: Statement = {
  name: "linking_brought_by",
  text: "select webhook_id as id from linking.public_token_webhooks where public_token = $1",
};
/** What became of the public tokens that the webhook $1 brought. */
export const OUTCOMES: Statement = {
  name: "linking_outcomes",
  text: `select t.id, t.status, t.item_id, t.reason, t.last_error
    from linking.public_token_webhooks w join linking.public_tokens t on t.id = w.public_token
    where w.webhook_id = $1 order by t.id`,
};

export const FIND_PUBLIC_TOKEN: Statement = {
  name: "linking_find_public_token",
  text: "select status, item_id from linking.public_tokens where integration_id = $1 and token_sha256 = $2",
};

/** $1 id, $2 fence: holds the claim for longer. */
export const RENEW_CLAIM: Statement = {
  name: "linking_renew_claim",
  text: `update linking.public_tokens set next_at = now() + ${LEASE}
    where id = $1 and fence = $2::bigint and status = 'exchanging' returning id`,
};

/** $1 id, $2 item. The holder of an access token writes it under any claim, the newest or not: nobody can have another token. */
export const NOTE_LINKED: Statement = {
  name: "linking_note_linked",
  text: `update linking.public_tokens set status = 'linked', reason = null, item_id = $2, last_error = null, settled_at = now()
    where id = $1`,
};

/**
 * $1 id, $2 fence, $3 Plaid's code, $4 milliseconds until the next attempt, $5 whether Plaid may have exchanged the token. It is due
 * again at the end of its 30 minutes at the latest.
 */
export const NOTE_FAILURE: Statement = {
  name: "linking_note_failure",
  text: `update linking.public_tokens set status = 'pending', last_error = $3, in_doubt = in_doubt or $5,
      next_at = least(now() + $4 * interval '1 millisecond', expires_at)
    where id = $1 and fence = $2::bigint and status = 'exchanging' returning id`,
};

/** $1 id, $2 fence, $3 Plaid's code, $4 whether Plaid says that it does not know the token (any more). */
export const NOTE_REFUSED: Statement = {
  name: "linking_note_refused",
  text: `update linking.public_tokens set status = 'failed', last_error = $3, settled_at = now(), reason = case
      when not $4 then 'refused' when in_doubt then 'lost' when expires_at <= now() then 'expired' else 'exchanged_elsewhere' end
    where id = $1 and fence = $2::bigint and status = 'exchanging'
    returning reason`,
};

/* The list. */

const LISTED = `id, integration_id, status, reason, adopt, user_id, item_id, link_session_id, webhook_id, received_at, expires_at,
  attempts, last_error, settled_at`;

export const LIST_FILTERS = ["integration_id", "status", "item_id", "user_id", "webhook_id"] as const;
export type ListFilter = (typeof LIST_FILTERS)[number];

/** A page, newest first. Values: the given filters', the cursor's id if paged, the number of rows. */
export function listQuery(given: readonly ListFilter[], paged: boolean): string {
  const condition = (filter: ListFilter, index: number): string =>
    filter === "webhook_id"
      ? `id in (select public_token from linking.public_token_webhooks where webhook_id = $${index + 1}::uuid)`
      : `${filter} = $${index + 1}`;
  const conditions = [...given.map(condition), paged ? `id < $${given.length + 1}::uuid` : "true"];
  return `select ${LISTED} from linking.public_tokens where ${conditions.join(" and ")}
    order by id desc limit $${given.length + (paged ? 2 : 1)}`;
}

/* Retention. */

/** $1 rows at once. Webhooks about a session may come as long as the token is valid, and for a while after. */
export const TRIM_LINK_TOKENS = `delete from linking.link_tokens where token_sha256 = any (array(
  select token_sha256 from linking.link_tokens where expires_at < now() - interval '7 days' order by expires_at limit $1))`;
export const TRIM_PUBLIC_TOKENS = `delete from linking.public_tokens where id = any (array(
  select id from linking.public_tokens where id < tartan.least_id_at(now() - interval '30 days') order by id limit $1))`;
export const FORGET_LINK_TOKENS_OF_ITEM = "delete from linking.link_tokens where integration_id = $1 and item_id = $2";
export const FORGET_PUBLIC_TOKENS_OF_ITEM =
  "delete from linking.public_tokens where integration_id = $1 and item_id = $2";
/** $1 integration, $2 rows at once. */
export const PURGE_LINK_TOKENS = `delete from linking.link_tokens where token_sha256 = any (array(
  select token_sha256 from linking.link_tokens where integration_id = $1 limit $2))`;
export const PURGE_WATCHED_TOKENS = `delete from linking.watched_tokens where id = any (array(
  select id from linking.watched_tokens where integration_id = $1 limit $2))`;
export const PURGE_PUBLIC_TOKENS = `delete from linking.public_tokens where id = any (array(
  select id from linking.public_tokens where integration_id = $1 limit $2))`;
