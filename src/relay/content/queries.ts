/** The statements that read webhooks and events as the relay sends them. */
import { statement } from "../model/statement.ts";

/** The columns of webhook or event x that routes compare. */
export const FACTS = `x.id, x.integration_id as "integrationId", x.environment, x.item_id as "itemId", x.user_id as "userId",
  x.subject_kind as "subjectKind", x.subject_id as "subjectId"`;

/** Webhooks and events with their payloads; $1 ids of webhooks, $2 of events. A webhook whose body was pruned is none any more. */
export const SOURCES = statement(
  "sources",
  `
select ${FACTS}, 'webhook.received' as type, false as history, x.webhook_type as "webhookType",
  x.webhook_code as "webhookCode", x.source, x.received_at as "occurredAt", x.body as bytes, x.verification,
  x.key_id as "keyId", x.signed_at as "signedAt"
from journal.webhooks x where x.id = any ($1::uuid[]) and x.body is not null
union all
select ${FACTS}, x.type, x.history, null, null, null, x.occurred_at, x.payload, null, null, null
from events.events x where x.id = any ($2::uuid[])`,
);

/** True when delivery `r` can be sent again: its body is kept, or the event from which the body is made. */
export const REPLAYABLE = `(r.body is not null
  or (r.event_type = 'webhook.received' and exists (select from journal.webhooks w where w.id = r.event_id and w.body is not null))
  or (r.event_type <> 'webhook.received' and exists (select from events.events e where e.id = r.event_id)))`;
