/** The statements that mark subjects. Values are always bound; $1, $2 and $3 are arrays of integrations, kinds and ids. */
import type { Statement } from "../database/types.ts";

const statement = (name: string, text: string): Statement => ({ name: `sync_${name}`, text });

const KEYS = "unnest($1::text[], $2::text[], $3::text[])";

/**
 * Marks subjects due, in their order: $4 requested, $5 not before, $6 the oldest webhook that waits. A running subject
 * keeps the end of its lease.
 */
export const MARK = statement(
  "mark",
  `
insert into sync.subjects as s (integration_id, kind, id, due_at, generation, requested, oldest_unserved)
select m.integration_id, m.kind, m.id, greatest(now(), m.not_before), 1, string_to_array(m.requested, ','), m.oldest
from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::uuid[]) with ordinality
  as m (integration_id, kind, id, requested, not_before, oldest, number)
order by m.number
on conflict (integration_id, kind, id) do update set
  generation = s.generation + 1,
  due_at = case when s.lease_token is null then least(s.due_at, greatest(excluded.due_at, s.not_before)) else s.due_at end,
  oldest_unserved = least(s.oldest_unserved, excluded.oldest_unserved),
  requested = case when excluded.requested <@ s.requested then s.requested
                else array(select distinct unnest(s.requested || excluded.requested) order by 1) end`,
);

/** Locks the existing subjects that no other transaction locks; returns the numbers of the other existing ones. */
export const HELD_SUBJECTS = statement(
  "held_subjects",
  `
with asked as materialized (
  select * from ${KEYS} with ordinality as k (integration_id, kind, id, number)
), free as materialized (
  select a.number from asked a join sync.subjects s using (integration_id, kind, id)
  order by a.number for no key update of s skip locked
)
select a.number::int from asked a join sync.subjects s using (integration_id, kind, id)
where a.number not in (select number from free)`,
);

export const RENEW_SUBJECTS = statement(
  "renew_subjects",
  `
update sync.subjects s set status = 'pending', attempts = 0, not_before = null, last_error = null
from ${KEYS} as k (integration_id, kind, id)
where s.integration_id = k.integration_id and s.kind = k.kind and s.id = k.id
  and s.status in ('needs_user', 'ended', 'misconfigured', 'unlinked', 'retrying')`,
);

export const UNLINKED_SUBJECTS = statement(
  "unlinked_subjects",
  `
insert into sync.subjects (integration_id, kind, id, status, ready)
select integration_id, kind, id, 'unlinked', false
from ${KEYS} with ordinality as k (integration_id, kind, id, number) order by number
on conflict (integration_id, kind, id) do nothing`,
);

/** The items $2 of the integrations $1 that have a token. */
export const LINKED_ITEMS = statement(
  "linked_items",
  `
select integration_id as "integrationId", 'item' as kind, item_id as id
from unnest($1::text[], $2::text[]) as k (integration_id, item_id) join tartan.items i using (integration_id, item_id)
where i.access_token_sealed is not null`,
);

/** Notifies workers that wait for due subjects; Postgres sends equal notifications of a transaction once. */
export const NOTIFY_DUE = statement("notify_due", "select pg_notify('tartan_due', '')");

/** The same in a transaction of its own. Its commit need not wait for the disk: polling makes up for a lost hint. */
export const HINT_DUE = statement(
  "hint_due",
  "select set_config('synchronous_commit', 'off', true), pg_notify('tartan_due', '')",
);
