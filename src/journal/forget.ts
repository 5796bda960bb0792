/** Settles or deletes the webhooks of an item, or of an integration, that is unlinked, deleted or erased. */
import { DELETED_AT_ONCE, untilNone } from "../database/parts.ts";
import type { Queryable } from "../database/types.ts";
import type { Subject } from "../model/webhook.ts";
import { forgetUnprovenDataOfItem, forgetUnprovenOfItem, forgetUnprovenOfSubject } from "./forget-unproven.ts";
import { OF_INTEGRATION } from "./queries.ts";

/** How many webhooks one transaction settles; it locks their rows. */
const SETTLED_AT_ONCE = 1000;
const LEAST_UUID = "00000000-0000-0000-0000-000000000000";

const SETTLE_ITEM = `
  update journal.webhooks set processed_at = now(), update_info = '{"outcome": "item_unknown"}'
  where ${OF_INTEGRATION} and subject_kind = 'item' and item_id = $2 and processed_at is null`;
/** From $2 on; without it, those of the last ten minutes. A page behind $3; yields where it ended. */
const SETTLE_INTEGRATION = `
  with page as materialized (
    select id from journal.webhooks
    where integration_id = $1 and processed_at is null and id > $3::uuid
      and id >= coalesce($2::uuid, tartan.least_id_at(now() - interval '10 minutes'))
    order by id limit ${SETTLED_AT_ONCE} for update
  ), settled as (
    update journal.webhooks w set processed_at = now(), update_info = '{"outcome": "item_unknown"}'
    from page where w.id = page.id and w.processed_at is null
  )
  select id from page order by id desc limit 1`;
const FORGET_ITEM = `delete from journal.webhooks where ${OF_INTEGRATION} and item_id = $2`;
const FORGET_SUBJECT = `delete from journal.webhooks
  where ${OF_INTEGRATION} and subject_kind = $2 and subject_id = $3 and subject_kind <> 'item'`;
const PURGE_WEBHOOKS = `
  delete from journal.webhooks where id = any (array(
    select id from journal.webhooks where integration_id = $1 order by id limit ${DELETED_AT_ONCE}))`;
const PURGE_REFUSALS = `delete from journal.refusals where ctid = any (array(
  select ctid from journal.refusals where integration_id = $1 limit ${DELETED_AT_ONCE}))`;

/** The others say what happened to the item, and hold none of its rows. */
const FORGET_DATA = `${FORGET_ITEM} and webhook_type is distinct from 'ITEM'`;
const CUT_SUMMARIES = `update journal.webhooks set update_info = jsonb_build_object('outcome', update_info -> 'outcome')
  where ${OF_INTEGRATION} and item_id = $2 and update_info is not null`;
const CUT_ACCOUNT = `update journal.webhooks set update_info = tartan.without_account(update_info::json, $3)::jsonb
  where ${OF_INTEGRATION} and item_id = $2 and position($3 in update_info::text) > 0`;

/** Deletes an item's webhooks except those about the item itself; these keep only the outcome of their runs. */
export async function forgetDataOfItem(tx: Queryable, integrationId: string, itemId: string): Promise<void> {
  await forgetUnprovenDataOfItem(tx, integrationId, itemId);
  await tx.query(FORGET_DATA, [integrationId, itemId]);
  await tx.query(CUT_SUMMARIES, [integrationId, itemId]);
}

/** Cuts an account out of what the webhooks of its item led to. */
export async function cutAccount(
  tx: Queryable,
  integrationId: string,
  itemId: string,
  accountId: string,
): Promise<void> {
  await tx.query(CUT_ACCOUNT, [integrationId, itemId, accountId]);
}

/** Settles an item's waiting webhooks: no run will serve them. */
export async function settleItem(tx: Queryable, integrationId: string, itemId: string): Promise<void> {
  await tx.query(SETTLE_ITEM, [integrationId, itemId]);
}

/**
 * Settles an integration's waiting webhooks, in parts.
 * @param from no waiting webhook is older; null where only very recent webhooks can wait
 */
export async function settleIntegration(q: Queryable, id: string, from: string | null): Promise<void> {
  let behind: string | undefined = LEAST_UUID;
  while (behind !== undefined) {
    behind = (await q.query<{ id: string }>(SETTLE_INTEGRATION, [id, from, behind])).rows[0]?.id;
  }
}

/** Deletes the webhooks of a subject that is no item. */
export async function forgetSubject(tx: Queryable, integrationId: string, { kind, id }: Subject): Promise<void> {
  await forgetUnprovenOfSubject(tx, integrationId, { kind, id });
  await tx.query(FORGET_SUBJECT, [integrationId, kind, id]);
}

export async function forgetItem(tx: Queryable, integrationId: string, itemId: string): Promise<void> {
  await forgetUnprovenOfItem(tx, integrationId, itemId);
  await tx.query(FORGET_ITEM, [integrationId, itemId]);
}

/** In parts. */
export const purgeWebhooks = (q: Queryable, id: string): Promise<void> => untilNone(q, PURGE_WEBHOOKS, [id]);
/** In parts. */
export const purgeRefusals = (q: Queryable, id: string): Promise<void> => untilNone(q, PURGE_REFUSALS, [id]);
