/** Retention and erasure of what Plaid says it sent. */
import { untilNone } from "../database/parts.ts";
import type { Queryable } from "../database/types.ts";
import type { Subject } from "../model/webhook.ts";
import { FORGET_SENT_OF_ITEM, FORGET_SENT_OF_SUBJECT, PRUNE_SENT } from "./sent-queries.ts";

const ROWS_AT_ONCE = 5000;

const PURGE_SENT = `delete from silence.plaid_deliveries where ctid = any (array(
  select ctid from silence.plaid_deliveries where integration_id = $1 limit ${ROWS_AT_ONCE}))`;
const PURGE_WATCH = "delete from silence.watches where integration_id = $1";
const PURGE_FRESHNESS = "delete from silence.freshness where integration_id = $1";
const PURGE_FRESH_ITEMS = "delete from silence.freshness_items where integration_id = $1";
const PURGE_LIST = "delete from silence.sent_lists where integration_id = $1";

/** Deletes the webhooks that Plaid sent more than eight days ago. */
export async function pruneSent(q: Queryable, signal?: AbortSignal): Promise<void> {
  for (;;) {
    const { rowCount } = await q.query(PRUNE_SENT, [ROWS_AT_ONCE]);
    if (rowCount < ROWS_AT_ONCE || signal?.aborted) return;
  }
}

/** Deletes what Plaid says it sent about an item. */
export async function forgetItem(tx: Queryable, integrationId: string, itemId: string): Promise<void> {
  await tx.query(FORGET_SENT_OF_ITEM, [integrationId, itemId]);
}

/** The same of a subject that is no item. */
export async function forgetSubject(tx: Queryable, integrationId: string, { kind, id }: Subject): Promise<void> {
  await tx.query(FORGET_SENT_OF_SUBJECT, [integrationId, kind, id]);
}

/** Deletes everything about an integration, in parts. */
export async function purgeIntegration(q: Queryable, integrationId: string): Promise<void> {
  await untilNone(q, PURGE_SENT, [integrationId]);
  for (const statement of [PURGE_LIST, PURGE_WATCH, PURGE_FRESHNESS, PURGE_FRESH_ITEMS])
    await q.query(statement, [integrationId]);
}
