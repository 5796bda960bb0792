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
 * Appends a batch and marks its subjects, in one statement and so in one transaction.
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
 * $1…$17 are the webhooks' columns, $18…$22 the marks, of which each webhook names one by its number. Yields the
 * duplicates only: their JWT's hash and the id of the first.
 */
export const APPEND: Statement = {
  name: "journal_append",
  text: `
with incoming as materialized (
  select * from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
    $9::text[], $10::text[], $11::timestamptz[], $12::bytea[], $13::text[], $14::bytea[], $15::text[], $16::timestamptz[],
    $17::int4[])
  as w (id, integration_id, source, subject_kind, subject_id, item_id, user_id, webhook_type,
    webhook_code, environment, received_at, body, verification, token_sha256, key_id, signed_at, mark)
), tokens as (
  insert into journal.accepted_tokens as t (token_sha256, signed_at, webhook_id)
  select token_sha256, signed_at, id from incoming where token_sha256 is not null order by token_sha256
  on conflict (token_sha256, signed_at) do update set webhook_id = t.webhook_id
  returning token_sha256, webhook_id
), fresh as (
  select * from incoming where token_sha256 is null or id in (select webhook_id from tokens)
), stored as (
  insert into journal.webhooks (id, integration_id, source, subject_kind, subject_id, item_id, user_id, webhook_type,
    webhook_code, environment, received_at, body, verification, key_id, signed_at)
  select w.id, w.integration_id, w.source, w.subject_kind, w.subject_id, w.item_id, coalesce(w.user_id, i.user_id),
    w.webhook_type, w.webhook_code, w.environment, w.received_at, w.body, w.verification, w.key_id, w.signed_at
  from fresh w left join tartan.items i on i.integration_id = w.integration_id and i.item_id = w.item_id
), marked as (
  insert into sync.subjects as s (integration_id, kind, id, due_at, generation, oldest_unserved, wanted)
  select m.integration_id, m.kind, m.id, now(), 1, m.oldest, string_to_array(m.wanted, ',')
  from unnest($18::text[], $19::text[], $20::text[], $21::uuid[], $22::text[]) with ordinality
    as m (integration_id, kind, id, oldest, wanted, number)
  where m.number in (select mark from fresh)
  order by m.number ${REMARK}
)
select token_sha256, webhook_id from tokens where webhook_id not in (select id from incoming)`,
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
