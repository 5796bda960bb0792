/** The statements of the webhooks that Plaid says it sent. Values are always bound; ages are by Postgres' clock. */
import type { Statement } from "../database/types.ts";

/* How far the lists were read. */

/** Integrations that have no row yet; their first reading is spread over $1 seconds. */
export const PLAN_LISTS: Statement = {
  name: "silence_plan_lists",
  text: `
insert into silence.sent_lists (integration_id, next_at)
select id, now() + random() * $1 * interval '1 second' from tartan.integrations i
where deleted_at is null and not exists (select from silence.sent_lists l where l.integration_id = i.id)
limit 1000 on conflict do nothing`,
};

/**
 * Claims the list that has been due longest for $1 seconds. Where its process dies, another claims it then, and writes of the first one fail
 * since the lease is another.
 */
export const CLAIM_LIST: Statement = {
  name: "silence_claim_list",
  text: `
with due as (
  select l.integration_id from silence.sent_lists l join tartan.integrations i on i.id = l.integration_id
  where l.next_at <= now() and i.deleted_at is null order by l.next_at limit 1 for update of l skip locked
)
update silence.sent_lists l set next_at = now() + $1 * interval '1 second', lease = lease + 1
from due, tartan.integrations i where l.integration_id = due.integration_id and i.id = due.integration_id
returning l.integration_id, l.lease::text, l.cursor, l.recheck_cursor, l.recheck_from, l.recheck_began_at::text as recheck_began_at,
  greatest(i.created_at, now() - interval '6 days 23 hours', l.read_to - interval '1 hour') as start`,
};

const HELD = "where integration_id = $1 and lease = $2::bigint";

/** $3 Plaid's cursor behind the page; null: it gave none. */
export const NOTE_PAGE: Statement = {
  name: "silence_note_page",
  text: `update silence.sent_lists set cursor = coalesce($3, cursor), state = 'available', error = null, asked_at = now() ${HELD}`,
};
/** The list was read to its end, which $3 is. */
export const NOTE_READ: Statement = {
  name: "silence_note_read",
  text: `update silence.sent_lists set read_to = greatest(read_to, $3::timestamptz) ${HELD}`,
};
export const FORGET_CURSOR: Statement = {
  name: "silence_forget_cursor",
  text: `update silence.sent_lists set cursor = null ${HELD}`,
};

/** Begins a second reading from the oldest webhook that Plaid had not delivered. */
export const BEGIN_RECHECK: Statement = {
  name: "silence_begin_recheck",
  text: `
update silence.sent_lists set recheck_cursor = null, recheck_began_at = clock_timestamp(), recheck_from = (
  select greatest(min(sent_at), now() - interval '6 days 23 hours') from silence.plaid_deliveries
  where integration_id = $1 and status = 'PENDING')
${HELD} returning recheck_from, recheck_began_at::text as recheck_began_at`,
};
export const NOTE_RECHECK_PAGE: Statement = {
  name: "silence_note_recheck_page",
  text: `update silence.sent_lists set recheck_cursor = coalesce($3, recheck_cursor) ${HELD}`,
};
export const END_RECHECK: Statement = {
  name: "silence_end_recheck",
  text: `update silence.sent_lists set recheck_cursor = null, recheck_from = null, recheck_began_at = null ${HELD}`,
};
/** What was sent since $2 and was not among the webhooks that Plaid has not delivered, which were read since $3, was delivered. */
export const NOTE_DELIVERED: Statement = {
  name: "silence_note_delivered",
  text: `
update silence.plaid_deliveries set status = 'DELIVERED', last_http_status = null, last_attempt_at = null
where integration_id = $1 and status = 'PENDING' and sent_at >= $2 and seen_at < $3::timestamptz`,
};

/** $3 the seconds until the next reading, $4 the state or null to keep it, $5 the error or null, $6 whether Plaid answered. */
export const END_CLAIM: Statement = {
  name: "silence_end_claim",
  text: `
update silence.sent_lists set next_at = now() + $3 * interval '1 second', state = coalesce($4, state), error = $5::jsonb,
  asked_at = case when $6 then now() else asked_at end
${HELD}`,
};

/* The webhooks. */

/** A payload that is larger is not kept; the webhook is then journaled with its type, code and item alone. */
const PAYLOAD_BYTES_MAX = 64 * 1024;

/**
 * A page: $2 the rows, $3 Plaid's answer without tokens, in which each row's payload stands at its place. Only what may be recovered keeps
 * its payload: what was sent to the intake, about no item or one that is linked.
 */
export const STORE_PAGE: Statement = {
  name: "silence_store_page",
  text: `
insert into silence.plaid_deliveries (integration_id, message_id, webhook_type, webhook_code, item_id, subject_kind, subject_id, sent_at,
  status, last_http_status, attempts, last_attempt_at, to_intake, outcome, payload)
select $1, r.message_id, r.webhook_type, r.webhook_code, r.item_id, r.subject_kind, r.subject_id, r.sent_at,
  r.status, r.last_http_status, r.attempts, r.last_attempt_at, r.to_intake, case when r.to_intake then 'open' else 'elsewhere' end,
  case when r.to_intake and jsonb_typeof(p.payload) = 'object' and octet_length(p.payload::text) <= ${PAYLOAD_BYTES_MAX}
    and (r.item_id is null or coalesce(r.subject_kind, 'item') <> 'item' or exists (select from tartan.items i
      where i.integration_id = $1 and i.item_id = r.item_id and i.access_token_sealed is not null)) then p.payload::text end
from jsonb_to_recordset($2::jsonb) as r (place integer, message_id text, webhook_type text, webhook_code text, item_id text,
    subject_kind text, subject_id text, sent_at timestamptz, status text, last_http_status integer, attempts integer,
    last_attempt_at timestamptz, to_intake boolean)
  cross join lateral (select $3::jsonb -> 'webhook_events' -> r.place -> 'payload' as payload) p
on conflict (integration_id, message_id) do update set status = excluded.status, last_http_status = excluded.last_http_status,
  attempts = excluded.attempts, last_attempt_at = excluded.last_attempt_at, seen_at = clock_timestamp()
returning xmax = 0 as is_new`,
};

/**
 * Webhooks of the integration $1 to decide, behind the place $2 (status), $3 (whether the attempt is unknown), $4 (instant) and $5
 * (message), $6 at most: those that were delivered, and then those that failed and were last tried more than $7 ms ago, since what
 * arrived belongs to one that was delivered.
 */
export const TO_DECIDE: Statement = {
  name: "silence_to_decide",
  text: `
select message_id, webhook_type, webhook_code, item_id, subject_kind, subject_id, status, sent_at, last_attempt_at, payload,
  greatest(coalesce(last_attempt_at, sent_at), case when last_attempt_at is null then seen_at end) < now() - $7 * interval '1 ms' as over
from silence.plaid_deliveries
where integration_id = $1 and outcome = 'open' and status <> 'PENDING'
  and (status, last_attempt_at is null, sent_at, message_id) > ($2, $3::boolean, $4::timestamptz, $5)
  and (status = 'DELIVERED' or coalesce(last_attempt_at, sent_at) < now() - $7 * interval '1 ms')
order by status, last_attempt_at is null, sent_at, message_id limit $6 for update`,
};

/** How far the instants of Plaid and of the journal may be apart: a signature may be five minutes old, and dated a minute ahead. */
const APART = "interval '6 minutes'";
/** A webhook that failed may have arrived with any attempt; of one that was delivered later, the attempt is not known. */
const WINDOW = `
  tartan.least_id_at(case when d.status = 'DELIVERED' then coalesce(d.last_attempt_at, d.sent_at) else d.sent_at end - ${APART}) as first,
  tartan.least_id_at(coalesce(d.last_attempt_at, now()) + ${APART}) as behind`;
const ALIKE = `w.integration_id = $1 and w.source = 'PLAID' and w.webhook_type = d.webhook_type and w.webhook_code = d.webhook_code
    and w.id >= b.first and w.id < b.behind
    and w.id <> all ($4::uuid[]) and not exists (select from silence.plaid_deliveries other where other.webhook_id = w.id)`;
const CANDIDATE =
  "select w.id, abs(extract(epoch from w.received_at - coalesce(d.last_attempt_at, d.sent_at))) as apart";
const NEAREST = "order by apart limit 10";

/**
 * Webhooks of the journal that may be one of the $2, each the nearest first, with its place; not for the places $3, nor the webhooks $4. A
 * webhook whose attempt is not known may be any since it was sent, so it comes after those whose attempt is known.
 */
export const CANDIDATES: Statement = {
  name: "silence_candidates",
  text: `
select d.place, c.id from jsonb_to_recordset($2::jsonb) as d (place integer, webhook_type text, webhook_code text, item_id text,
    subject_kind text, subject_id text, status text, sent_at timestamptz, last_attempt_at timestamptz)
  cross join lateral (select ${WINDOW}) b
  cross join lateral (
    (${CANDIDATE} from journal.webhooks w where d.item_id is not null and w.item_id = d.item_id and ${ALIKE} ${NEAREST})
    union all
    (${CANDIDATE} from journal.webhooks w where d.item_id is null and d.subject_id is not null and w.subject_kind <> 'item'
      and w.subject_id = d.subject_id and ${ALIKE} ${NEAREST})
    union all
    (${CANDIDATE} from journal.webhooks w where d.item_id is null and d.subject_id is null and ${ALIKE} ${NEAREST})
  ) c
where d.place <> all ($3::int[]) order by d.status, d.last_attempt_at is null, d.place, c.apart`,
};

const WAITS = `exists (select from journal.unproven u
    where u.integration_id = $1 and u.claimed_type = d.webhook_type and u.claimed_code = d.webhook_code and u.id >= b.first and u.id < b.behind`;

/** The places of those of the $2 that may be webhooks which wait unproven: nobody knows yet whether these are Plaid's. */
export const UNPROVEN: Statement = {
  name: "silence_unproven",
  text: `
select d.place from jsonb_to_recordset($2::jsonb) as d (place integer, webhook_type text, webhook_code text, item_id text,
    subject_kind text, subject_id text, status text, sent_at timestamptz, last_attempt_at timestamptz)
  cross join lateral (select ${WINDOW}) b
where d.item_id is not null and ${WAITS} and u.claimed_item_id = d.item_id)
  or d.item_id is null and d.subject_id is not null and ${WAITS} and u.claimed_subject_kind <> 'item'
    and u.claimed_subject_id = d.subject_id)
  or d.item_id is null and d.subject_id is null and ${WAITS})`,
};

/**
 * Which of the $2 must be journaled: not those that were sent before the integration was made or more than $3 days ago (0: all), nor those
 * of an item that is not linked, was linked since or has ended, nor those that a later webhook or session of Link says more than
 * (superseded.ts), nor those of a subject that was erased since.
 */
export const NEEDED: Statement = {
  name: "silence_needed",
  text: `
select d.place from jsonb_to_recordset($2::jsonb) as d (place integer, item_id text, subject_kind text, subject_id text, sent_at timestamptz,
    later_codes text[], later_session boolean)
where d.sent_at >= (select created_at from tartan.integrations where id = $1 and deleted_at is null)
  and ($3::int = 0 or d.sent_at > now() - $3::int * interval '1 day')
  and case when coalesce(d.subject_kind, 'item') = 'item' and d.item_id is not null
    then exists (select from tartan.items i left join sync.subjects s
        on s.integration_id = i.integration_id and s.kind = 'item' and s.id = i.item_id
      where i.integration_id = $1 and i.item_id = d.item_id and i.access_token_sealed is not null and i.linked_at <= d.sent_at
        and s.status is distinct from 'ended')
      and not exists (select from journal.webhooks w where w.integration_id = $1 and w.item_id = d.item_id and w.webhook_type = 'ITEM'
        and w.webhook_code = any (d.later_codes) and w.source in ('PLAID', 'BACKEND') and w.id >= tartan.least_id_at(d.sent_at))
      and not (d.later_session and exists (select from sync.repairs r
        where r.integration_id = $1 and r.item_id = d.item_id and r.repaired_by = 'link_session' and r.repaired_at >= d.sent_at))
    else not exists (select from tartan.audit_log a
      where a.target = d.subject_id and a.action = 'subject.erased' and a.integration_id = $1 and a.at >= d.sent_at) end`,
};

/** $2 messages, $3 the outcome of each, $4 its webhook in the journal, if any. */
export const DECIDE: Statement = {
  name: "silence_decide",
  text: `
update silence.plaid_deliveries d set outcome = k.outcome, webhook_id = k.webhook_id, payload = null
from unnest($2::text[], $3::text[], $4::uuid[]) as k (message_id, outcome, webhook_id)
where d.integration_id = $1 and d.message_id = k.message_id and d.outcome = 'open'`,
};

/* For users, retention and erasure. */

export const SENT_FILTERS = ["integration_id", "item_id", "status"] as const;
export type SentFilterName = (typeof SENT_FILTERS)[number];

const LAST = "(sent_at, integration_id, message_id)";

/** A page, the latest first. Values: the filters', the place where the previous page ended if paged, the number of rows. */
export function listSentQuery(given: readonly SentFilterName[], paged: boolean): Statement {
  const conditions = given.map((name, index) => `${name} = $${index + 1}`);
  // The index of these holds few rows beside those that were delivered.
  if (given.includes("status"))
    conditions.push(`(status <> 'DELIVERED' or $${given.indexOf("status") + 1} = 'DELIVERED')`);
  const at = given.length + 1;
  if (paged)
    conditions.push(
      `${LAST} < ('epoch'::timestamptz + $${at}::bigint * interval '1 microsecond', $${at + 1}, $${at + 2})`,
    );
  const where = conditions.length === 0 ? "" : `where ${conditions.join(" and ")}`;
  return {
    name: `silence_list_sent_${given.map((name) => name.slice(0, 3)).join("_")}${paged ? "_paged" : ""}`,
    text: `
select integration_id, message_id, webhook_type, webhook_code, item_id, subject_kind, subject_id, sent_at, status, last_http_status,
  attempts, last_attempt_at, to_intake, outcome, webhook_id, (extract(epoch from sent_at) * 1000000)::bigint::text as place
from silence.plaid_deliveries ${where} order by sent_at desc, integration_id desc, message_id desc limit $${at + (paged ? 3 : 0)}`,
  };
}

/** More than Plaid lists them, so that a reading from the beginning counts none twice. */
const KEPT = "interval '8 days'";
export const PRUNE_SENT: Statement = {
  name: "silence_prune_sent",
  text: `
delete from silence.plaid_deliveries where ctid = any (array(
  select ctid from silence.plaid_deliveries where sent_at < now() - ${KEPT} order by sent_at limit $1))`,
};
export const FORGET_SENT_OF_ITEM = "delete from silence.plaid_deliveries where integration_id = $1 and item_id = $2";
export const FORGET_SENT_OF_SUBJECT =
  "delete from silence.plaid_deliveries where integration_id = $1 and subject_kind = $2 and subject_id = $3";
