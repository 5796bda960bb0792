/** The statements that show subjects other than items, with the user and the token that you gave for them. */
import type { Statement } from "../database/types.ts";

const statement = (name: string, text: string): Statement => ({ name: `sync_${name}`, text });

const STATE = `
select s.kind, s.id, s.integration_id, r.user_id, s.status, s.last_error, s.last_error ->> 'error_code' as error_code,
  s.last_error ->> 'error_type' as error_type, s.created_at as added_at, s.verified_at,
  coalesce(s.lease_token is not null or s.due_at <= now(), false) as due
from sync.subjects s left join tartan.registered_subjects r using (integration_id, kind, id)
where s.kind <> 'item'`;

/**
 * $1 integration, $2 kind, $3 status (each may be null), $4…$6 where the previous page ended, $7 rows. It has no name, so that
 * Postgres plans it for the filters that are given: each has an index of its own.
 */
export const LIST_SUBJECTS = `${STATE} and ($1::text is null or s.integration_id = $1) and ($2::text is null or s.kind = $2)
  and ($3::text is null or s.status = $3) and (s.kind, s.id, s.integration_id) > ($4, $5, $6)
order by s.kind, s.id, s.integration_id limit $7`;

/** $1 kind, $2 id, $3 integration or null. */
export const GET_SUBJECT = statement(
  "get_subject",
  `${STATE} and s.kind = $1 and s.id = $2 and ($3::text is null or s.integration_id = $3) order by s.created_at desc limit 1`,
);

/** The integrations that know subject $2 of kind $1, as many as a sentence can name; $3 only this one, or null. */
export const INTEGRATIONS_OF_SUBJECT = statement(
  "integrations_of_subject",
  `select s.integration_id as id from sync.subjects s
where s.kind <> 'item' and s.kind = $1 and s.id = $2 and ($3::text is null or s.integration_id = $3)
order by s.integration_id limit 10`,
);
