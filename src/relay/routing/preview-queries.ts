/** The statements that read past events for previews. */
import type { Statement } from "../../database/types.ts";

/** The ids between which the events from $1 on up to and with the millisecond $2 lie. */
export const ID_RANGE = `
select tartan.least_id_at($1) as least, tartan.least_id_at($2::timestamptz + interval '1 millisecond') as behind`;

const FACTS = `id, integration_id as "integrationId", environment, item_id as "itemId", user_id as "userId",
  subject_kind as "subjectKind", subject_id as "subjectId"`;

/**
 * A page of events without their payloads, newest first: with ids from $1 on and before $2, at most $3; webhooks if $4, others
 * if $5.
 */
export const PAST_EVENTS: Statement = {
  name: "relay_past_events",
  text: `
select * from (
  (select ${FACTS}, 'webhook.received' as type, false as history, webhook_type as "webhookType",
    webhook_code as "webhookCode", source, octet_length(body) as size
  from journal.webhooks where $4 and id >= $1 and id < $2 and body is not null order by id desc limit $3)
  union all
  (select ${FACTS}, type, history, null, null, null, octet_length(payload)
  from events.events where $5 and id >= $1 and id < $2 order by id desc limit $3)
) x order by id desc limit $3`,
};
