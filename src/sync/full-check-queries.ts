/** The statements of full checks. Values are always bound; $1 integration, $2 item, where nothing else is said. */
import type { Statement } from "../database/types.ts";

const statement = (name: string, text: string): Statement => ({ name: `sync_${name}`, text });

/** After the mark, in its transaction: by the generation a run knows whether it serves it. */
export const BEGIN_FULL_CHECK = statement(
  "begin_full_check",
  `insert into sync.full_checks as c (integration_id, item_id, requested_at, generation)
select integration_id, id, clock_timestamp(), generation from sync.subjects
where integration_id = $1 and kind = 'item' and id = $2
on conflict (integration_id, item_id) do update set requested_at = excluded.requested_at, generation = excluded.generation,
  finished_at = null, result = default`,
);

/** The check that a run of generation $3 works on. */
export const HOLD_FULL_CHECK = statement(
  "hold_full_check",
  `select result from sync.full_checks
where integration_id = $1 and item_id = $2 and generation <= $3 and finished_at is null for update`,
);

/** $3 the result so far, $4 whether it is finished. */
export const KEEP_FULL_CHECK = statement(
  "keep_full_check",
  `update sync.full_checks set result = $3, finished_at = case when $4 then clock_timestamp() end
where integration_id = $1 and item_id = $2`,
);

/**
 * The checks of the items $2 of the integrations $1. One whose request is gone and that no run has finished was given up, as when its
 * item was unlinked.
 */
export const GET_FULL_CHECKS = statement(
  "get_full_checks",
  `select k.number::int as number, c.requested_at, c.finished_at, c.result, s.status, s.last_error,
  coalesce('full_check' = any (s.requested || s.claimed), false) as requested
from unnest($1::text[], $2::text[]) with ordinality as k (integration_id, item_id, number)
join sync.full_checks c using (integration_id, item_id)
left join sync.subjects s on s.integration_id = c.integration_id and s.kind = 'item' and s.id = c.item_id`,
);

export const FORGET_FULL_CHECK = statement(
  "forget_full_check",
  "delete from sync.full_checks where integration_id = $1 and item_id = $2",
);

/** Forgets the rows of resource $2 that checks of integration $1 name, of $3 items at most. */
export const FORGET_DIFFERENCES = statement(
  "forget_differences",
  `update sync.full_checks c set result = jsonb_set(c.result, '{differences}',
  coalesce((select jsonb_agg(d) from jsonb_array_elements(c.result -> 'differences') d where d ->> 'resource' <> $2), '[]'))
where (c.integration_id, c.item_id) in (
  select integration_id, item_id from sync.full_checks
  where integration_id = $1 and result -> 'differences' @> jsonb_build_array(jsonb_build_object('resource', $2::text)) limit $3)`,
);

/** $2 at most of those that were requested more than $1 days ago. */
export const TRIM_FULL_CHECKS = statement(
  "trim_full_checks",
  `delete from sync.full_checks where (integration_id, item_id) in (
  select integration_id, item_id from sync.full_checks where requested_at < now() - $1 * interval '1 day'
  order by requested_at limit $2 for update skip locked)`,
);
