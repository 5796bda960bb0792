/**
 * The journal's statements. Values are always bound.
 */
import type { Statement } from "../database/types.ts";

/** What the upsert of a mark does to a subject that exists; `m` is the mark. Shared by append and markDue. */
const REMARK = `
  on conflict (integration_id, kind, id) do update set
    generation = s.generation + 1,
    due_at = case when s.lease_token is null then least(s.due_at, greatest(excluded.due_at, s.not_before)) else s.due_at end,
    oldest_unserved = least(s.oldest_unserved, excluded.oldest_unserved),
    wanted = case when excluded.wanted <@ s.wanted then s.wanted
                  else array(select distinct unnest(s.wanted || excluded.wanted) order by 1) end`;

/**
 * Appends a batch, marks its subjects and puts it into the outbox, in one statement and so in one transaction.
 *
 * Why no wake-up is lost: the upsert of a mark takes the subject's row lock and raises its generation. A run that
 * finishes at the same time either commits first, and the mark then makes the subject due again; or it waits for this
 * commit, sees a newer generation than the one it claimed, and leaves the subject due.
 *
 * Why batches cannot deadlock: locks are taken in one order everywhere: tokens by hash, and after all of them
 * subjects by the order of the marks, which the caller sorted.
 *
 * Why duplicates are safe: a JWT that another transaction is just inserting makes this one wait for its commit, and the
 * row it finds then names the first webhook. Only a webhook whose own id ended up in the row is stored and marks.
 *
 * $1…$17 and $23 are the webhooks' columns, $18…$22 the marks, of which each webhook names one by its number. One that is
 * settled names none and is stored as processed. Yields the duplicates only: their JWT's hash and the id of the first.
 */
export const APPEND: Statement = {
  name: "journal_append",
  text: `
with incoming as materialized (
  select * from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
    $9::text[], $10::text[], $11::timestamptz[], $12::bytea[], $13::text[], $14::bytea[], $15::text[], $16::timestamptz[],
    $17::int4[], $23::text[])
  as w (id, integration_id, source, subject_kind, subject_id, item_id, user_id, webhook_type,
    webhook_code, environment, received_at, body, verification, token_sha256, key_id, signed_at, mark, settled_as)
), tokens as (
  insert into journal.accepted_tokens as t (token_sha256, signed_at, webhook_id)
  select token_sha256, signed_at, id from incoming where token_sha256 is not null order by token_sha256
  on conflict (token_sha256, signed_at) do update set webhook_id = t.webhook_id
  returning token_sha256, webhook_id
), fresh as (
  select * from incoming where token_sha256 is null or id in (select webhook_id from tokens)
), stored as (
  insert into journal.webhooks (id, integration_id, source, subject_kind, subject_id, item_id, user_id, webhook_type,
    webhook_code, environment, received_at, body, verification, key_id, signed_at, processed_at, update_info)
  select w.id, w.integration_id, w.source, w.subject_kind, w.subject_id, w.item_id, coalesce(w.user_id, i.user_id),
    w.webhook_type, w.webhook_code, w.environment, w.received_at, w.body, w.verification, w.key_id, w.signed_at,
    case when w.settled_as is not null then now() end,
    case when w.settled_as is not null then jsonb_build_object('outcome', w.settled_as) end
  from fresh w left join tartan.items i on i.integration_id = w.integration_id and i.item_id = w.item_id
), marked as (
  insert into sync.subjects as s (integration_id, kind, id, due_at, generation, oldest_unserved, wanted)
  select m.integration_id, m.kind, m.id, now(), 1, m.oldest, string_to_array(m.wanted, ',')
  from unnest($18::text[], $19::text[], $20::text[], $21::uuid[], $22::text[]) with ordinality
    as m (integration_id, kind, id, oldest, wanted, number)
  where m.number in (select mark from fresh)
  order by m.number ${REMARK}
), noted as (
  insert into journal.outbox (webhooks) select array_agg(id order by id) from fresh having count(*) > 0
)
select token_sha256, webhook_id from tokens where webhook_id not in (select id from incoming)`,
};

/** The numbers of those of the subjects $1, $2, $3 whose rows another transaction holds. It waits for none and keeps none. */
export const FIND_HELD_SUBJECTS: Statement = {
  name: "journal_find_held_subjects",
  text: `
with asked as materialized (
  select * from unnest($1::text[], $2::text[], $3::text[]) with ordinality as k (integration_id, kind, id, number)
), free as materialized (
  select s.integration_id, s.kind, s.id from sync.subjects s join asked using (integration_id, kind, id)
  for update of s skip locked
)
select a.number::int from asked a join sync.subjects s using (integration_id, kind, id)
where not exists (select from free f where (f.integration_id, f.kind, f.id) = (a.integration_id, a.kind, a.id))`,
};

export const FIND_ACCEPTED: Statement = {
  name: "journal_find_accepted",
  text: "select webhook_id from journal.accepted_tokens where token_sha256 = $1 and signed_at = $2",
};

/** Marks subjects due without a webhook; locks in the order of the marks, which the caller sorted. */
export const MARK_DUE: Statement = {
  name: "journal_mark_due",
  text: `
insert into sync.subjects as s (integration_id, kind, id, due_at, generation, wanted)
select m.integration_id, m.kind, m.id, greatest(now(), m.not_before), 1, string_to_array(m.wanted, ',')
from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::timestamptz[]) with ordinality
  as m (integration_id, kind, id, wanted, not_before, number)
order by m.number ${REMARK}`,
};

/** A hint to whoever waits for due subjects; Postgres folds equal ones of a transaction into one. */
export const NOTIFY_DUE: Statement = { name: "journal_notify_due", text: "select pg_notify('tartan_due', '')" };

const RECORD = `id, integration_id, source, item_id, user_id, webhook_type, webhook_code, environment, received_at, body,
  key_id, signed_at, encode(sha256(body), 'hex') as body_sha256, processed_at, update_info`;

export const GET_WEBHOOK: Statement = {
  name: "journal_get_webhook",
  text: `select ${RECORD} from journal.webhooks where id = $1`,
};

/** The webhooks with ids $1, newest first. */
export const GET_WEBHOOKS: Statement = {
  name: "journal_get_webhooks",
  text: `select ${RECORD} from journal.webhooks where id = any ($1::uuid[]) order by id desc`,
};

/** Bodies are read later, as many as a page may hold; the size of one is known without reading it. */
const PLACE = "id, octet_length(body) as bytes";

export const LIST_FILTERS = ["item_id", "user_id", "type", "code", "source", "integration_id"] as const;
export type ListFilter = (typeof LIST_FILTERS)[number];

const COLUMNS: Record<ListFilter, string> = {
  item_id: "item_id",
  user_id: "user_id",
  type: "webhook_type",
  code: "webhook_code",
  source: "source",
  integration_id: "integration_id",
};

const TYPED: ReadonlySet<ListFilter> = new Set(["type", "code", "source"]);

/** Postgres cuts the names of statements at 63 characters. */
const shortly = (filter: ListFilter): string => filter.replace("_id", "").slice(0, 4);

/** How many of the newest rows a page looks through, where no index knows what is asked for. */
export const SCAN_WINDOW = 5000;

export interface ListShape {
  /** the filters that are given, in the order of their values */
  given: readonly ListFilter[];
  /** source is PLAID: an index knows the others, and Postgres must see which it is */
  plaid: boolean;
  /** there is a cursor: its id is the value after the filters */
  paged: boolean;
}

/**
 * The ids of a page of webhooks with the sizes of their bodies, newest first. Values: the filters', the cursor's id if paged, the number of rows.
 *
 * With an item or a user, or an integration alone, the rows come straight from an index in their order. A type, code or
 * source besides is looked for in the index of the item or user, and only what is found is read. Without either, it is
 * looked for among the newest SCAN_WINDOW; then the last row has `window_end`, the id where the window ended, if it was full.
 */
export function listWebhooksQuery({ given, plaid, paged }: ListShape): Statement {
  const isRare = given.includes("source") && !plaid;
  const name = ["journal_list", ...given.map(shortly), isRare ? "rare" : "", paged ? "paged" : ""]
    .filter(Boolean)
    .join("_");
  const condition = (filter: ListFilter): string => `${COLUMNS[filter]} = $${given.indexOf(filter) + 1}`;
  const before = paged ? `id < $${given.length + 1}` : "true";
  const limit = `order by id desc limit $${given.length + (paged ? 2 : 1)}`;
  const all = [...given.map(condition), isRare ? "source <> 'PLAID'" : "true", before].join(" and ");
  const owned = given.includes("item_id") || given.includes("user_id");
  const typed = given.filter((filter) => TYPED.has(filter));
  if (typed.length === 0) return { name, text: `select ${PLACE} from journal.webhooks where ${all} ${limit}` };
  if (owned)
    return {
      name,
      text: `
select ${PLACE} from journal.webhooks
where id = any (array(select id from journal.webhooks where ${all} ${limit})) order by id desc`,
    };
  const within = given.includes("integration_id") ? `${condition("integration_id")} and ${before}` : before;
  return {
    name,
    text: `
with looked_at as materialized (
  select id, webhook_type, webhook_code, source from journal.webhooks where ${within} order by id desc limit ${SCAN_WINDOW}
), found as (
  select id from looked_at where ${typed.map(condition).join(" and ")} ${limit}
)
select ${PLACE}, null::uuid as window_end from journal.webhooks where id = any (array(select id from found))
union all
select null, null, (select id from looked_at order by id desc offset ${SCAN_WINDOW - 1} limit 1)
order by id desc nulls last`,
  };
}

/** One row a kind of refusal, from a JSON array. */
export const INSERT_REFUSALS: Statement = {
  name: "journal_insert_refusals",
  text: `
insert into journal.refusals (refused_at, integration_id, reason, detail, remote_address, body_bytes, count)
select coalesce("refusedAt", now()), "integrationId", reason, detail, "remoteAddress", "bodyBytes", count
from json_to_recordset($1::json) as r ("refusedAt" timestamptz, "integrationId" text, reason text, detail text,
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
select id, refused_at, integration_id, reason, detail, remote_address, body_bytes, count from journal.refusals
where ${conditions.join(" and ")} order by id desc limit $${1 + Number(ofIntegration) + Number(paged)}`,
  };
}

/* Retention, by the database's clock: $1 is a number of days. */

/** Notes a round, and says what time it is here and whether this clock has gone evenly for a day. */
export const NOTE_ROUND =
  "select journal.note_round() as steady, (extract(epoch from clock_timestamp()) * 1000)::float8 as now";
export const ENSURE_PARTITIONS = "select journal.ensure_partitions()";
export const DROP_TOKEN_DAYS = "select journal.drop_token_days(now() - $1 * interval '1 day')";

/** All of a week that begins before this is older than $1 days; the present week never is. */
const OLD = "least(now() - $1 * interval '1 day', date_trunc('week', now(), 'UTC'))";

/** The Mondays of the weeks that are wholly older, the oldest first. */
export const OLD_WEEKS = `
select to_char(starts_at at time zone 'UTC', 'YYYY-MM-DD') as week from journal.weeks
where starts_at + interval '1 week' <= ${OLD} order by starts_at`;
/** What the week of Monday $1 is needed for. It reads the week until it finds something unprocessed, and locks nothing. */
export const LOOK_AT_WEEK = `
select journal.week_needed_for(partition, journal.least_id_at(starts_at), journal.least_id_at(starts_at + interval '1 week'))
  as needed_for
from journal.weeks where starts_at = $1::date::timestamp at time zone 'UTC'`;
export const DROP_WEEK = "select journal.drop_week($1::date) as needed_for";
/** $2 at most of those that are older than all weeks and that nothing needs. */
export const TRIM_EARLIER = `
delete from journal.webhooks_earlier where id = any (array(
  select w.id from journal.webhooks_earlier w
  where w.id < journal.least_id_at(${OLD}) and w.processed_at is not null
    and w.id < coalesce(journal.undispatched_since(), 'ffffffff-ffff-ffff-ffff-ffffffffffff')
    and not exists (select from relay.deliveries r
      where r.event_id = w.id and r.status in ('scheduled', 'dead') and r.body is null)
  limit $2))`;
/** $1 the weeks that are old and still needed, as JSON. */
export const NOTE_KEPT = "update journal.retention set kept = $1::jsonb where kept <> $1::jsonb";

/** What retention found last, and the time here. */
export const RETENTION_STATE = `
select kept, looked_at, steady_since <= now() - interval '1 day' as steady,
  (extract(epoch from clock_timestamp()) * 1000)::float8 as now
from journal.retention`;

/** Keeps the newest $1; $2 at most go. */
export const TRIM_REFUSALS = `
delete from journal.refusals where id = any (array(
  select id from journal.refusals
  where id <= (select id from journal.refusals order by id desc offset $1 limit 1) order by id limit $2))`;

/** $2 at most of those that began more than $1 days ago; ids grow with the time of the start. */
export const TRIM_RUNS = `
delete from sync.runs where id in (
  select id from sync.runs where id < journal.least_id_at(now() - $1 * interval '1 day') order by id limit $2
  for update skip locked)`;
