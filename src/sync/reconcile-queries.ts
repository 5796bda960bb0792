/** The statements of reconciliation. Values are always bound. */
import type { Statement } from "../database/types.ts";

/** The state of an item: whether it is synced, whether a sync waits or runs, and the readings of its resources. */
export const KNOWN_ITEM: Statement = {
  name: "sync_known_item",
  text: `
select s.status = 'ok' as synced, s.due_at is not null as due,
  (select coalesce(jsonb_object_agg(c.resource, jsonb_build_object('verified_at', c.verified_at, 'read_with', c.read_with)), '{}')
    from sync.cursors c where c.integration_id = s.integration_id and c.kind = s.kind and c.id = s.id and c.absent is null) as readings
from sync.subjects s where s.integration_id = $1 and s.kind = 'item' and s.id = $2`,
};

/**
 * Whether the journal has a webhook of Plaid's of item $2 with code $3, received no earlier than $5 ms before $4, or recovered from
 * Plaid's list since then; and how long ago $4 is.
 */
export const HAS_WEBHOOK: Statement = {
  name: "sync_has_webhook",
  text: `
select exists (select from journal.webhooks
  where integration_id = $1 and item_id = $2 and webhook_code = $3 and source in ('PLAID', 'RECONCILER')
    and id >= tartan.least_id_at($4::timestamptz - $5 * interval '1 ms')) as has,
  (extract(epoch from now() - $4::timestamptz) * 1000)::float8 as age_ms`,
};

/** Begins a round of all processes together, if one is due; the next is due in $1 seconds. */
export const BEGIN_ROUND: Statement = {
  name: "sync_begin_round",
  text: `
update sync.quiet_rounds set next_at = now() + $1 * interval '1 second'
where only_one in (select only_one from sync.quiet_rounds where next_at <= now() for update skip locked)`,
};

/** Subjects of the kinds $1, known for less than $2 days each, that are well. */
const READ_AGAIN = `sync.subjects s join unnest($1::text[], $2::int[]) as k (kind, days) using (kind)
where s.kind <> 'item' and s.status = 'ok' and s.created_at > now() - k.days * interval '1 day'`;

/**
 * Of these, those at rest that were not equal to Plaid in the last $3 seconds, the longest first. At most $4, or twice the share of all of
 * them that is due in one of the $5 rounds of a window: so they are read evenly, also where many were read at once.
 */
export const QUIET_SUBJECTS: Statement = {
  name: "sync_quiet_subjects",
  text: `
select s.integration_id as "integrationId", s.kind, s.id
from ${READ_AGAIN} and s.due_at is null and s.verified_at < now() - $3 * interval '1 second'
order by s.verified_at
limit (select greatest($4::int, ceil(2.0 * count(*) / $5::int)) from ${READ_AGAIN})`,
};
