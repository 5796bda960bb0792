/** Deletes unproven webhooks with the item, subject or integration that their bodies and URLs name. */
import { DELETED_AT_ONCE } from "../database/parts.ts";
import type { Queryable } from "../database/types.ts";
import type { Subject } from "../model/webhook.ts";
import {
  FORGET_QUARANTINE,
  FORGET_UNPROVEN_DATA_OF_ITEM,
  FORGET_UNPROVEN_OF_ITEM,
  FORGET_UNPROVEN_OF_SUBJECT,
  LOCK_QUARANTINES,
  PURGE_UNPROVEN,
} from "./unproven-queries.ts";

/** A transaction that holds the lock of the quarantine sees what a prover has journaled, which may be about the same item. */
const lock = async (tx: Queryable, integrationId: string): Promise<void> => {
  await tx.query(LOCK_QUARANTINES, [[integrationId]]);
};

/** Deletes those of an item, before its journaled webhooks. */
export async function forgetUnprovenOfItem(tx: Queryable, integrationId: string, itemId: string): Promise<void> {
  await lock(tx, integrationId);
  await tx.query(FORGET_UNPROVEN_OF_ITEM, [integrationId, itemId]);
}

/** Deletes those of an item except those about the item itself, before its journaled webhooks. */
export async function forgetUnprovenDataOfItem(tx: Queryable, integrationId: string, itemId: string): Promise<void> {
  await lock(tx, integrationId);
  await tx.query(FORGET_UNPROVEN_DATA_OF_ITEM, [integrationId, itemId]);
}

/** Deletes those of a subject that is no item, before its journaled webhooks. */
export async function forgetUnprovenOfSubject(
  tx: Queryable,
  integrationId: string,
  { kind, id }: Subject,
): Promise<void> {
  await lock(tx, integrationId);
  await tx.query(FORGET_UNPROVEN_OF_SUBJECT, [integrationId, kind, id]);
}

/**
 * Deletes those of an integration, in parts.
 * @returns how many there were
 */
export async function forgetQuarantine(q: Queryable, integrationId: string): Promise<number> {
  let forgotten = 0;
  for (;;) {
    const { rowCount } = await q.query(PURGE_UNPROVEN, [integrationId, DELETED_AT_ONCE]);
    forgotten += rowCount;
    if (rowCount === 0) break;
  }
  await q.query(FORGET_QUARANTINE, [integrationId]);
  return forgotten;
}
