/** The statements of the quarantine. Values are always bound. */
import type { Statement } from "../database/types.ts";

/** Locks the quarantines $1, in their order, until the transaction ends; a new one is made. */
export const LOCK_QUARANTINES: Statement = {
  name: "journal_lock_quarantines",
  text: `
insert into journal.quarantines as q (integration_id) select id from unnest($1::text[]) as id order by id
on conflict (integration_id) do update set integration_id = q.integration_id`,
};

/**
 * What is known of webhooks: those that wait by all of their JWTs, $1, and those that were accepted proven by the identities $2, in their order
 * with the `iat` that each claims, $3.
 */
export const FIND_KEPT: Statement = {
  name: "journal_find_kept",
  text: `
select jwt_sha256 as name, id from journal.unproven where jwt_sha256 = any ($1::bytea[])
union all
select t.token_sha256, t.webhook_id from journal.accepted_tokens t
join unnest($2::bytea[], $3::timestamptz[]) as g (token_sha256, signed_at) using (token_sha256, signed_at)
where not exists (select from journal.unproven u where u.id = t.webhook_id)`,
};

/** How much waits in the quarantines $1. */
export const COUNT_KEPT: Statement = {
  name: "journal_count_kept",
  text: `
select integration_id, key_id, vouched, webhooks, bytes from journal.unproven_keys where integration_id = any ($1::text[])`,
};

/**
 * Adds webhooks, given as one array for each column, and their JWTs to the accepted ones: the same JWT again, proven by now, is then found to
 * be a duplicate as any other is, at no cost for those that are none. Of copies with one identity the first stands there, and all are
 * added. Yields the identities that another transaction has accepted, proven, meanwhile, with the id of that webhook; theirs are not added.
 */
export const KEEP_UNPROVEN: Statement = {
  name: "journal_keep_unproven",
  text: `
with incoming as materialized (
  select * from unnest($1::uuid[], $2::text[], $3::text[], $4::bytea[], $5::timestamptz[], $6::timestamptz[], $7::bytea[], $8::text[],
    $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[])
  as w (id, integration_id, key_id, token_sha256, claimed_at, received_at, body, verification, remote_address, vouched, claimed_item_id,
    claimed_type, claimed_code, claimed_subject_kind, claimed_subject_id)
), tokens as (
  insert into journal.accepted_tokens as t (token_sha256, signed_at, webhook_id)
  select distinct on (token_sha256) token_sha256, claimed_at, id from incoming order by token_sha256, id
  on conflict (token_sha256, signed_at) do update set webhook_id = t.webhook_id
  returning token_sha256, webhook_id
), proven as (
  select * from tokens t
  where webhook_id not in (select id from incoming) and not exists (select from journal.unproven u where u.id = t.webhook_id)
), added as (
  insert into journal.unproven (id, integration_id, key_id, token_sha256, claimed_at, received_at, body, verification, remote_address,
    vouched, claimed_item_id, claimed_type, claimed_code, claimed_subject_kind, claimed_subject_id)
  select id, integration_id, key_id, token_sha256, claimed_at, received_at, body, verification, remote_address, vouched = 'true',
    claimed_item_id, claimed_type, claimed_code, claimed_subject_kind, claimed_subject_id
  from incoming where token_sha256 not in (select token_sha256 from proven)
  on conflict do nothing
)
select token_sha256 as name, webhook_id as id from proven`,
};

/**
 * The keys that a prover takes up now, $3 at most, unless one has taken them up since $1, and without those of the integrations $2. Keys
 * of vouched senders come first, then those with the most webhooks: a forger uses a made-up key once.
 */
export const TAKE_UP_KEYS: Statement = {
  name: "journal_take_up_keys",
  text: `
with due as (
  select integration_id, key_id, vouched from journal.unproven_keys
  where coalesce(asked_at < $1::timestamptz, true) and integration_id <> all ($2::text[])
  order by vouched desc, webhooks desc, key_id limit $3 for update skip locked
), taken as (
  update journal.unproven_keys k set asked_at = clock_timestamp() from due
  where (k.integration_id, k.key_id, k.vouched) = (due.integration_id, due.key_id, due.vouched)
)
select integration_id, key_id, bool_or(vouched) as vouched from due group by 1, 2 order by 3 desc, 1, 2`,
};

export const NOW = "select clock_timestamp() as now";

/** Notes why the key $2 of the integration $1 cannot be had. */
export const NOTE_FAILURE: Statement = {
  name: "journal_note_key_failure",
  text: `
update journal.unproven_keys set failure = $3 where integration_id = $1 and key_id = $2 and failure is distinct from $3`,
};

/**
 * Of the webhooks $1, where a proven one repeats each with the identity $2 and time of signing $3, in their order: those that wait unproven, and those that
 * were dropped since then.
 */
export const FIND_UNPROVEN: Statement = {
  name: "journal_find_unproven",
  text: `
select f.id, w.waits from unnest($1::uuid[], $2::bytea[], $3::timestamptz[]) as f (id, token_sha256, signed_at)
cross join lateral (select exists (select from journal.unproven u where u.id = f.id) as waits) w
where w.waits or not exists (
    select from journal.accepted_tokens t
    where (t.token_sha256, t.signed_at, t.webhook_id) = (f.token_sha256, f.signed_at, f.id))
  and not exists (select from journal.webhooks j where j.id = f.id)`,
};

/** The oldest of the key $2 of the integration $1, $3 at most, with their sizes. */
export const OLDEST_UNPROVEN: Statement = {
  name: "journal_oldest_unproven",
  text: `
select id, octet_length(body) + octet_length(verification) as bytes from journal.unproven
where integration_id = $1 and key_id = $2 order by id limit $3`,
};

export const READ_UNPROVEN: Statement = {
  name: "journal_read_unproven",
  text: `
select id, body, verification as jwt, received_at, remote_address from journal.unproven where id = any ($1::uuid[]) order by id`,
};

/**
 * Writes the proven webhooks $1, whose JWTs have the identities $2 and times of signing $3, in place of those that wait with the same identity. The
 * first of several with one identity is written.
 */
export const TAKE_OVER_TOKENS: Statement = {
  name: "journal_take_over_tokens",
  text: `
update journal.accepted_tokens t set webhook_id = p.id
from (
  select distinct on (token_sha256) * from unnest($1::uuid[], $2::bytea[], $3::timestamptz[]) as g (id, token_sha256, signed_at)
  order by token_sha256, id
) p
where (t.token_sha256, t.signed_at) = (p.token_sha256, p.signed_at) and t.webhook_id <> p.id
  and exists (select from journal.unproven u where u.id = t.webhook_id)`,
};

/** For those that are proven: their JWTs stay accepted. */
export const REMOVE_UNPROVEN: Statement = {
  name: "journal_remove_unproven",
  text: "delete from journal.unproven where id = any ($1::uuid[])",
};

/**
 * Deletes those that nobody will prove any more, as `gone`, and their JWTs: the same JWT is no duplicate of them. Where a copy with the same
 * identity still waits, that one takes its place.
 */
const dropped = (where: string): string => `
with gone as (
  delete from journal.unproven where ${where} returning *
), heirs as (
  select g.id, g.token_sha256, g.claimed_at, h.id as heir from gone g left join lateral (
    select u.id from journal.unproven u where u.token_sha256 = g.token_sha256 and u.id not in (select id from gone) order by u.id limit 1
  ) h on true
), handed_over as (
  update journal.accepted_tokens t set webhook_id = h.heir from heirs h
  where h.heir is not null and t.signed_at = h.claimed_at and t.token_sha256 = h.token_sha256 and t.webhook_id = h.id
), freed as (
  delete from journal.accepted_tokens t using heirs h
  where h.heir is null and t.signed_at = h.claimed_at and t.token_sha256 = h.token_sha256 and t.webhook_id = h.id
)`;
const drop = (where: string): string => `${dropped(where)} select id from gone`;

export const REFUSE_UNPROVEN: Statement = {
  name: "journal_refuse_unproven",
  text: drop("id = any ($1::uuid[])"),
};

/** Integrations with webhooks that were received more than $1 days ago. */
export const EXPIRED_QUARANTINES: Statement = {
  name: "journal_expired_quarantines",
  text: `
select q.integration_id from journal.quarantines q
where exists (
  select from journal.unproven u where u.integration_id = q.integration_id and u.received_at < now() - $1 * interval '1 day')
order by 1`,
};

/** Deletes those of the integration $2, $3 at most, and counts them by key and sender. */
export const EXPIRE_UNPROVEN: Statement = {
  name: "journal_expire_unproven",
  text: `
${dropped(`id = any (array(
    select id from journal.unproven where integration_id = $2 and received_at < now() - $1 * interval '1 day' order by id limit $3))`)}
select g.key_id, g.remote_address, count(*)::int as webhooks, max(octet_length(g.body)) as bytes, min(g.received_at) as first_at,
  max(g.received_at) as last_at, max(k.failure) as failure
from gone g left join journal.unproven_keys k
  on (k.integration_id, k.key_id, k.vouched) = ($2, g.key_id, g.vouched) group by 1, 2 order by 5`,
};

/* What is shown. */

/** What waits in all quarantines, and in each, those first that wait longest; $1 integrations at most. */
export const SUM_UNPROVEN: Statement = {
  name: "journal_sum_unproven",
  text: `
with sums as (
  select k.integration_id, sum(k.webhooks)::int as webhooks, sum(k.bytes)::bigint as bytes, count(distinct k.key_id)::int as keys,
    (array_agg(k.failure order by k.vouched desc, k.webhooks desc) filter (where k.failure is not null))[1] as failure
  from journal.unproven_keys k group by 1
)
select s.*, i.name, o.oldest_at, extract(epoch from now() - o.oldest_at)::float8 as oldest_seconds,
  (sum(webhooks) over ())::int as all_webhooks, (sum(bytes) over ())::bigint as all_bytes
from sums s left join tartan.integrations i on i.id = s.integration_id
left join lateral (
  select received_at as oldest_at from journal.unproven u where u.integration_id = s.integration_id order by received_at limit 1
) o on true
order by o.oldest_at limit $1`,
};

/** A page, newest first. Values: the integration's id if given, the cursor's id if paged, the number of rows. */
export function listUnprovenQuery({ ofIntegration, paged }: { ofIntegration: boolean; paged: boolean }): Statement {
  const conditions = [
    ofIntegration ? "u.integration_id = $1" : "true",
    paged ? `u.id < $${ofIntegration ? 2 : 1}` : "true",
  ];
  return {
    name: `journal_list_unproven${ofIntegration ? "_of_integration" : ""}${paged ? "_paged" : ""}`,
    text: `
select u.id, u.integration_id, u.received_at, u.key_id, u.claimed_at, u.remote_address, u.vouched, u.claimed_item_id, u.claimed_type,
  u.claimed_code, octet_length(u.body) as body_bytes, encode(sha256(u.body), 'hex') as body_sha256, k.failure
from journal.unproven u left join journal.unproven_keys k using (integration_id, key_id, vouched)
where ${conditions.join(" and ")} order by u.id desc limit $${1 + Number(ofIntegration) + Number(paged)}`,
  };
}

/* Erasure. The caller has locked the quarantine. */

const OF_ITEM = "integration_id = $1 and claimed_item_id = $2";
export const FORGET_UNPROVEN_OF_ITEM: Statement = {
  name: "journal_forget_unproven_of_item",
  text: drop(OF_ITEM),
};
export const FORGET_UNPROVEN_DATA_OF_ITEM: Statement = {
  name: "journal_forget_unproven_data_of_item",
  text: drop(`${OF_ITEM} and claimed_type is distinct from 'ITEM'`),
};
export const FORGET_UNPROVEN_OF_SUBJECT: Statement = {
  name: "journal_forget_unproven_of_subject",
  text: drop("integration_id = $1 and claimed_subject_kind = $2 and claimed_subject_id = $3"),
};
/** Some of the integration $1, $2 at most; locks the quarantine itself. */
export const PURGE_UNPROVEN = drop(`id = any (array(
    select u.id from (select integration_id from journal.quarantines where integration_id = $1 for update) held
    join journal.unproven u using (integration_id) limit $2))`);
export const FORGET_QUARANTINE = "delete from journal.quarantines where integration_id = $1";
