/** The statements about page loops that wait. Values are always bound; $1…$3 are the subject. */
import type { Statement } from "../database/types.ts";

const statement = (name: string, text: string): Statement => ({ name: `sync_${name}`, text });

const SUBJECT = "integration_id = $1 and kind = $2 and id = $3";

/** Pages that were staged longer ago than this are not used any more. */
const STAGED_HOURS = 24;
/** Its pages are not too old to be used. */
export const FRESH = `begun_at > now() - interval '${STAGED_HOURS} hours'`;

export const LOOPS = statement(
  "loops",
  `select resource, lease_token, first_cursor, next_cursor, pages, read_with, full_for, generation, waiting, begun_at,
  ${FRESH} as fresh
from sync.loops where ${SUBJECT}`,
);

/** Stores the state of a loop: $4 resource, $5 lease, … $12 when it began, null: now; $13 the webhooks that wait. */
export const KEEP_LOOP = statement(
  "keep_loop",
  `insert into sync.loops (integration_id, kind, id, resource, lease_token, first_cursor, next_cursor, pages, read_with, full_for,
  generation, begun_at, waiting) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, coalesce($12, now()), $13)
on conflict (integration_id, kind, id, resource) do update set lease_token = excluded.lease_token,
  first_cursor = excluded.first_cursor, next_cursor = excluded.next_cursor, pages = excluded.pages,
  read_with = excluded.read_with, full_for = excluded.full_for, generation = excluded.generation, begun_at = excluded.begun_at,
  waiting = excluded.waiting`,
);

/** Moves the loop of resource $4 from lease $5 to lease $6. */
export const MOVE_LOOP = statement(
  "move_loop",
  `update sync.loops set lease_token = $6 where ${SUBJECT} and resource = $4 and lease_token = $5`,
);

/** Deletes the loops of the resources $4, or of all. */
export const DROP_LOOPS = statement(
  "drop_loops",
  `delete from sync.loops where ${SUBJECT} and ($4::text[] is null or resource = any ($4))`,
);

/** How many loops of an integration wait with pages that can still be used, up to $2. */
export const COUNT_LOOPS = statement(
  "count_whole_loops",
  `select count(*)::int as loops from (
  select from sync.loops l where l.integration_id = $1 and l.${FRESH}
    and exists (select from mirror.staged_pages p where p.lease_token = l.lease_token and p.resource = l.resource)
  limit $2) waiting`,
);

/**
 * Deletes loops that are too old to be used and that no run would delete. One whose subject is due stays until its run: it
 * says whether the run has to read everything.
 */
export const SWEEP_LOOPS = statement(
  "sweep_loops",
  `delete from sync.loops l where not l.${FRESH} and not exists (
  select from sync.subjects s where s.integration_id = l.integration_id and s.kind = l.kind and s.id = l.id
    and s.due_at is not null)`,
);
