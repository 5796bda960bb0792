/** Deletes the events of an item or of an integration. */
import { DELETED_AT_ONCE, untilNone } from "../database/parts.ts";
import type { Queryable } from "../database/types.ts";
import type { Subject } from "../model/webhook.ts";

const FORGET_ITEM = "delete from events.events where integration_id = $1 and item_id = $2";
const PURGE = `delete from events.events where ctid = any (array(
  select ctid from events.events where integration_id = $1 limit ${DELETED_AT_ONCE}))`;

const FORGET_SUBJECT = "delete from events.events where integration_id = $1 and subject_kind = $2 and subject_id = $3";

/** Deletes the events of a subject that belongs to no item. */
export async function forgetSubject(tx: Queryable, integrationId: string, { kind, id }: Subject): Promise<void> {
  await tx.query(FORGET_SUBJECT, [integrationId, kind, id]);
}

export async function forgetItem(tx: Queryable, integrationId: string, itemId: string): Promise<void> {
  await tx.query(FORGET_ITEM, [integrationId, itemId]);
}

/** What happened to the item stays: those events hold Plaid's object of it, and no rows. */
const FORGET_ROWS = `${FORGET_ITEM} and type not like 'item.%'`;
const CUT_ACCOUNT = `
  update events.events set payload = convert_to(tartan.without_account(convert_from(payload, 'UTF8')::json, $3), 'UTF8')
  where integration_id = $1 and item_id = $2 and position(convert_to($3, 'UTF8') in payload) > 0
  returning id`;

/** Deletes the events of an item that hold rows, or summaries of them. */
export async function forgetRowsOfItem(tx: Queryable, integrationId: string, itemId: string): Promise<void> {
  await tx.query(FORGET_ROWS, [integrationId, itemId]);
}

/**
 * Cuts the rows of an account out of the item's events; those of other accounts stay as they are.
 * @returns the ids of the events that named the account
 */
export async function cutAccount(
  tx: Queryable,
  integrationId: string,
  itemId: string,
  accountId: string,
): Promise<string[]> {
  const { rows } = await tx.query<{ id: string }>(CUT_ACCOUNT, [integrationId, itemId, accountId]);
  return rows.map(({ id }) => id);
}

/** In parts. */
export const purgeIntegration = (q: Queryable, id: string): Promise<void> => untilNone(q, PURGE, [id]);
