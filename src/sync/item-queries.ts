/** The statements that show items: their link, their sync status, and their row of the mirror. */

const ITEM_STATE = `
    select i.item_id, i.integration_id, i.user_id, p.institution_id, p.institution_name,
      case when i.access_token_sealed is null then 'unlinked' else coalesce(s.status, 'pending') end as status,
      coalesce(e.last_error ->> 'error_code', p.error_code) as error_code,
      case when e.last_error is null then p.error_type else e.last_error ->> 'error_type' end as error_type,
      case when coalesce(e.last_error ->> 'error_code', p.error_code) = p.error_code then p.error ->> 'error_code_reason' end
        as error_reason, p.products, i.linked_at, s.verified_at,
      coalesce(s.lease_token is not null or s.due_at <= now(), false) as due, e.last_error, i.checked_at,
      case when i.access_token_sealed is not null then i.check_at end as next_check_at, p.webhook as webhook_url,
      case when i.access_token_sealed is null then s.status_since else coalesce(s.status_since, i.linked_at) end as status_since,
      (select coalesce(jsonb_agg(jsonb_build_object('kind', n.kind, 'about', n.about, 'since', n.since, 'until', n.until,
          'details', n.details) order by n.since, n.kind, n.about), '[]')
        from sync.notices n where n.integration_id = i.integration_id and n.item_id = i.item_id) as notices,
      (select jsonb_build_object('status', b.status, 'verified_at', b.verified_at) from plaid.institutions b
        where e.last_error ->> 'error_type' = 'INSTITUTION_ERROR' and b.integration_id = i.integration_id
          and b.institution_id = p.institution_id and b.removed_at is null) as institution`;
const ITEM_SOURCES = `
    from tartan.items i
    left join plaid.items p on p.integration_id = i.integration_id and p.item_id = i.item_id
    left join sync.subjects s on s.integration_id = i.integration_id and s.kind = 'item' and s.id = i.item_id
    cross join lateral (select case when i.access_token_sealed is not null then s.last_error end as last_error) e`;

/** Items with webhooks and without a token, in the columns of ITEM_STATE. */
const NEVER_LINKED = `
    select s.id as item_id, s.integration_id, null as user_id, null as institution_id, null as institution_name, s.status,
      null as error_code, null as error_type, null as error_reason, null as products, null as linked_at, null as verified_at,
      coalesce(s.lease_token is not null or s.due_at <= now(), false) as due, s.last_error,
      null as checked_at, null as next_check_at, null as webhook_url, s.status_since, '[]'::jsonb as notices, null::jsonb as institution
    from sync.subjects s
    where s.kind = 'item' and s.status = 'unlinked'
      and not exists (select from tartan.items i where i.integration_id = s.integration_id and i.item_id = s.id)`;

/** $1 integration, $2 user, $3 status (each may be null), $4 and $5 where the previous page ended, $6 rows. */
export const LIST_ITEMS = `
    (${ITEM_STATE} ${ITEM_SOURCES}
    where ($1::text is null or i.integration_id = $1) and ($2::text is null or i.user_id = $2)
      and ($3::text is null or $3 = case when i.access_token_sealed is null then 'unlinked' else coalesce(s.status, 'pending') end)
      and (i.item_id, i.integration_id) > ($4, $5)
    order by i.item_id, i.integration_id limit $6)
    union all
    (${NEVER_LINKED}
      and ($1::text is null or s.integration_id = $1) and $2::text is null and ($3::text is null or $3 = 'unlinked')
      and (s.id, s.integration_id) > ($4, $5)
    order by s.id, s.integration_id limit $6)
    order by item_id, integration_id limit $6`;

/** The same of linked items that have a notice of kind $7. */
export const LIST_NOTICED = `
    ${ITEM_STATE} ${ITEM_SOURCES}
    where ($1::text is null or i.integration_id = $1) and ($2::text is null or i.user_id = $2)
      and ($3::text is null or $3 = case when i.access_token_sealed is null then 'unlinked' else coalesce(s.status, 'pending') end)
      and (i.item_id, i.integration_id) > ($4, $5)
      and (i.item_id, i.integration_id) in (select n.item_id, n.integration_id from sync.notices n where n.kind = $7)
    order by i.item_id, i.integration_id limit $6`;

/** $1 item, $2 integration or null. */
export const GET_NEVER_LINKED = `${NEVER_LINKED} and s.id = $1 and ($2::text is null or s.integration_id = $2) limit 1`;

export const GET_ITEM = `${ITEM_STATE}
    ${ITEM_SOURCES}
    where i.item_id = $1 and ($2::text is null or i.integration_id = $2)
    order by i.linked_at desc limit 1`;
