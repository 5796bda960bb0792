/** The statements of notices. Values are always bound; $1 is an integration and $2 an item, unless the comment says otherwise. */
import type { Statement } from "../database/types.ts";

const statement = (name: string, text: string): Statement => ({ name: `sync_${name}`, text });

const ITEM = "integration_id = $1 and item_id = $2";

/** The open notices of an item, and its latest repairs. */
export const NOTICES = statement(
  "notices",
  `
select null as repaired_by, kind, about, since, announced_at, until, details, webhook_id from sync.notices where ${ITEM}
union all
select repaired_by, null, '', repaired_at, repaired_at, null, '{}', null from sync.repairs where ${ITEM}`,
);

/** Deletes those whose kind and subject are not among $3 and $4. */
export const CLEAR_NOTICES = statement(
  "clear_notices",
  `delete from sync.notices where ${ITEM} and (kind, about) not in (select * from unnest($3::text[], $4::text[]))`,
);

export const KEEP_NOTICES = statement(
  "keep_notices",
  `
insert into sync.notices (integration_id, item_id, kind, about, since, announced_at, until, details, webhook_id)
select $1, $2, n.* from unnest($3::text[], $4::text[], $5::timestamptz[], $6::timestamptz[], $7::timestamptz[], $8::jsonb[], $9::uuid[]) n
on conflict (integration_id, item_id, kind, about) do update set since = excluded.since,
  announced_at = excluded.announced_at, until = excluded.until, details = excluded.details, webhook_id = excluded.webhook_id`,
);

/** Those of the accounts $3 that Plaid has. */
export const PRESENT_ACCOUNTS = statement(
  "present_accounts",
  `select account_id from plaid.accounts where ${ITEM} and account_id = any ($3) and removed_at is null`,
);

export const FORGET_OLD_REPAIRS = statement(
  "forget_old_repairs",
  `delete from sync.repairs where ctid = any (array(
    select ctid from sync.repairs where repaired_at < now() - interval '8 days' limit 5000))`,
);

/** Deletes all that an item has. */
export const FORGET_NOTICES = `delete from sync.notices where ${ITEM}`;
export const FORGET_REPAIRS = `delete from sync.repairs where ${ITEM}`;

/** $3: by what; $4: when, null: now. In milliseconds, as a run reads it. */
export const KEEP_REPAIR = statement(
  "keep_repair",
  `
insert into sync.repairs (integration_id, item_id, repaired_by, repaired_at)
values ($1, $2, $3, date_trunc('milliseconds', coalesce($4::timestamptz, clock_timestamp())))
on conflict (integration_id, item_id, repaired_by) do update set repaired_at = greatest(sync.repairs.repaired_at, excluded.repaired_at)`,
);

/** An item that fails is tried again anyway. One that waits for a product of Plaid's is not asked about until then. */
const AT_REST = `
  join sync.subjects s on s.integration_id = n.integration_id and s.kind = 'item' and s.id = n.item_id
    and (s.due_at is null or (s.status = 'waiting' and s.lease_token is null)) and s.status not in ('ended', 'unlinked')
  join tartan.items i on i.integration_id = n.integration_id and i.item_id = n.item_id and i.access_token_sealed is not null`;

/**
 * Items at rest that a run has to look at although nothing made them due: the time of a notice has passed, or the consent ends within a
 * week and no notice says so. At most $1.
 */
export const OVERDUE_NOTICES = statement(
  "overdue_notices",
  `
(select n.integration_id, n.item_id from sync.notices n ${AT_REST} where n.until <= now() order by n.until limit $1)
union
(select n.integration_id, n.item_id from plaid.items n ${AT_REST}
  where n.consent_expiration_time between now() and now() + interval '7 days' and n.removed_at is null
    and not exists (select from sync.notices open
      where open.integration_id = n.integration_id and open.item_id = n.item_id and open.kind = 'consent_expiring')
  order by n.consent_expiration_time limit $1)`,
);
