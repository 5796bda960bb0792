/** Forgets the deliveries of the events of an item or another subject, or of an integration. */
import { take } from "../database/locks.ts";
import { DELETED_AT_ONCE, untilNone } from "../database/parts.ts";
import type { Queryable } from "../database/types.ts";
import type { Subject } from "../model/webhook.ts";

/**
 * Waits for the dispatch and the batches of jobs that are under way, which have read what is about to be deleted and would
 * make deliveries of it; those that begin later find nothing.
 */
const AWAIT_RELAY = take("dispatch", "retention");
const FORGET_ITEM = "delete from relay.deliveries where integration_id = $1 and item_id = $2";
const FORGET_SUBJECT = `delete from relay.deliveries d where d.event_id in (
    select id from events.events where integration_id = $1 and subject_kind = $2 and subject_id = $3
    union all
    select id from journal.webhooks
    where integration_id = $1 and subject_kind = $2 and subject_id = $3 and subject_kind <> 'item')`;
const PURGE = `delete from relay.deliveries where ctid = any (array(
  select ctid from relay.deliveries where integration_id = $1 limit ${DELETED_AT_ONCE}))`;

/** Deletes the deliveries of the events and webhooks about a subject that belongs to no item. */
export async function forgetSubject(tx: Queryable, integrationId: string, { kind, id }: Subject): Promise<void> {
  await tx.query(FORGET_SUBJECT, [integrationId, kind, id]);
}

export async function forgetItem(tx: Queryable, integrationId: string, itemId: string): Promise<void> {
  await tx.query(FORGET_ITEM, [integrationId, itemId]);
}

/** The deliveries of events with rows, and of webhooks that are not about the item itself. */
const FORGET_DATA = `${FORGET_ITEM} and event_type not like 'item.%' and not (event_type = 'webhook.received'
  and exists (select from journal.webhooks w where w.id = event_id and w.webhook_type = 'ITEM'))`;
/** A body is made again from its event when it is sent again. What a transform made of rows need not name their account. */
const CUT_BODIES = `update relay.deliveries set body = null, body_sha256 = null
  where event_id = any ($1::uuid[]) and (body is not null or body_sha256 is not null)`;
/** A receiver may answer with what it got. */
const CUT_ANSWERS = `update relay.attempts a set response_head = null from relay.deliveries d
  where d.event_id = any ($1::uuid[]) and a.delivery_id = d.id and a.response_head is not null`;

/** Forgets the deliveries of what the events' and the journal's forgetting of an item's data deletes; call it before. */
export async function forgetDataOfItem(tx: Queryable, integrationId: string, itemId: string): Promise<void> {
  await tx.query(FORGET_DATA, [integrationId, itemId]);
}

/** Forgets the bodies that were made of events before rows of an account were cut out of them, and the answers to those bodies. */
export async function cutEvents(tx: Queryable, eventIds: readonly string[]): Promise<void> {
  await tx.query(CUT_BODIES, [eventIds]);
  await tx.query(CUT_ANSWERS, [eventIds]);
}

/** In parts. */
export const purgeIntegration = (q: Queryable, id: string): Promise<void> => untilNone(q, PURGE, [id]);

/** Locks out dispatch and jobs until the transaction ends, so that no delivery is made of rows that are deleted after it. */
export async function awaitUnderWay(q: Queryable): Promise<void> {
  await q.query(AWAIT_RELAY);
}
