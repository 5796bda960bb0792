/** The statements that show items: their link, their sync status, and their row of the mirror. */

/** `key` names the table that has the item's key: `i`, or `s`, whose item may never have been linked. */
const itemState = (key: string): string => `
    select ${key}, i.user_id, p.institution_id, p.institution_name,
      case when i.access_token_sealed is null then 'unlinked' else coalesce(s.status, 'pending') end as status,
      coalesce(e.last_error ->> 'error_code', p.error_code) as error_code,
      case when e.last_error is null then p.error_type else e.last_error ->> 'error_type' end as error_type,
      case when coalesce(e.last_error ->> 'error_code', p.error_code) = p.error_code then p.error ->> 'error_code_reason' end
        as error_reason, p.products, i.linked_at, s.verified_at,
      coalesce(s.lease_token is not null or s.due_at <= now(), false) as due,
      case when i.item_id is null then s.last_error else e.last_error end as last_error, i.checked_at,
      case when i.access_token_sealed is not null then i.check_at end as next_check_at, p.webhook as webhook_url,
      case when i.access_token_sealed is null then s.status_since else coalesce(s.status_since, i.linked_at) end as status_since,
      (select coalesce(jsonb_agg(jsonb_build_object('kind', n.kind, 'about', n.about, 'since', n.since, 'until', n.until,
          'details', n.details) order by n.since, n.kind, n.about), '[]')
        from sync.notices n where n.integration_id = i.integration_id and n.item_id = i.item_id) as notices,
      (select jsonb_build_object('status', b.status, 'verified_at', b.verified_at) from plaid.institutions b
        where e.last_error ->> 'error_type' = 'INSTITUTION_ERROR' and b.integration_id = i.integration_id
          and b.institution_id = p.institution_id and b.removed_at is null) as institution`;
const OF_ITEM = "i.item_id, i.integration_id";
const MIRRORED = `
    left join plaid.items p on p.integration_id = i.integration_id and p.item_id = i.item_id
    cross join lateral (select case when i.access_token_sealed is not null then s.last_error end as last_error) e`;
const ITEM_STATE = itemState(OF_ITEM);
const ITEM_SOURCES = `
    from tartan.items i
    left join sync.subjects s on s.integration_id = i.integration_id and s.kind = 'item' and s.id = i.item_id${MIRRORED}`;

/** Of a subject that is an item, whether it was linked or not. */
const SUBJECT_STATE = `
    ${itemState("s.id as item_id, s.integration_id")}
    from sync.subjects s left join tartan.items i on i.integration_id = s.integration_id and i.item_id = s.id${MIRRORED}`;

/** Items with webhooks and without a token. */
const NEVER_LINKED = `${SUBJECT_STATE}
    where s.kind = 'item' and s.status = 'unlinked' and i.item_id is null`;

/**
 * $1 integration, $2 user, $3 status (each may be null), $4 and $5 where the previous page ended, $6 rows. Items that were never linked
 * are read no further than the page goes: the unlinked ones may be many, and would be examined to the last.
 */
export const LIST_ITEMS = `
    with linked as materialized (
      ${ITEM_STATE} ${ITEM_SOURCES}
      where ($1::text is null or i.integration_id = $1) and ($2::text is null or i.user_id = $2)
        and ($3::text is null or $3 = case when i.access_token_sealed is null then 'unlinked' else coalesce(s.status, 'pending') end)
        and (i.item_id, i.integration_id) > ($4, $5)
      order by i.item_id, i.integration_id limit $6
    ), ends as (
      select case when count(*) = $6 then max(item_id)
        else (select s.id from sync.subjects s where s.kind = 'item' and s.status = 'unlinked' order by s.id desc limit 1) end as item_id
      from linked
    )
    select * from linked
    union all
    (select never.* from ends cross join lateral (${NEVER_LINKED}
      and ($1::text is null or s.integration_id = $1) and $2::text is null and ($3::text is null or $3 = 'unlinked')
      and (s.id, s.integration_id) > ($4, $5) and s.id <= ends.item_id
    order by s.id, s.integration_id limit $6) never)
    order by item_id, integration_id limit $6`;

/** Items whose first webhook waits to be marked: they are linked and have no subject yet. $1 to $4 as in LIST_ITEMS_IN. */
const UNMARKED = `
    select w.integration_id, w.subject_id as item_id
    from (select webhooks from events.sync_outbox where $2 = 'pending' order by id limit 10000) o
    cross join unnest(o.webhooks) as waiting (id) join journal.webhooks w on w.id = waiting.id
    where w.subject_kind = 'item' and ($1::text is null or w.integration_id = $1) and (w.subject_id, w.integration_id) > ($3, $4)`;

/**
 * Items in a status that few are in: any but ok. $1 integration or null, $2 status, $3 and $4 where the previous page ended, $5 rows. It
 * begins with the index of these subjects, so items in other statuses are not read.
 */
export const LIST_ITEMS_IN = `
    (${SUBJECT_STATE}
    where s.kind = 'item' and s.status = $2 and ($2 = 'unlinked' or i.access_token_sealed is not null)
      and ($1::text is null or s.integration_id = $1) and (s.id, s.integration_id) > ($3, $4)
    order by s.id, s.integration_id limit $5)
    union all
    (${ITEM_STATE} ${ITEM_SOURCES}
    where (i.integration_id, i.item_id) in (${UNMARKED}) and i.access_token_sealed is not null and s.id is null
    order by i.item_id, i.integration_id limit $5)
    order by item_id, integration_id limit $5`;

/** As LIST_ITEMS, of linked items that have a notice of kind $7. */
export const LIST_NOTICED = `
    ${ITEM_STATE}
    from (
      select n.item_id, n.integration_id from sync.notices n
      where n.kind = $7 and (n.item_id, n.integration_id) > ($4, $5) and ($1::text is null or n.integration_id = $1)
      group by n.item_id, n.integration_id
    ) noticed
    join tartan.items i on i.integration_id = noticed.integration_id and i.item_id = noticed.item_id
    left join sync.subjects s on s.integration_id = i.integration_id and s.kind = 'item' and s.id = i.item_id${MIRRORED}
    where ($2::text is null or i.user_id = $2)
      and ($3::text is null or $3 = case when i.access_token_sealed is null then 'unlinked' else coalesce(s.status, 'pending') end)
    order by noticed.item_id, noticed.integration_id limit $6`;

/** $1 item, $2 integration or null. */
export const GET_NEVER_LINKED = `${NEVER_LINKED} and s.id = $1 and ($2::text is null or s.integration_id = $2) limit 1`;

export const GET_ITEM = `${ITEM_STATE}
    ${ITEM_SOURCES}
    where i.item_id = $1 and ($2::text is null or i.integration_id = $2)
    order by i.linked_at desc limit 1`;
