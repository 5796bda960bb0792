/** Unlinks or erases an item. Each is one transaction, in which every owner of tables deletes its part. */
import { audit } from "../audit/audit.ts";
import type { Database, Queryable } from "../database/types.ts";
import { TartanError } from "../errors.ts";
import { recordEvents, type NewEvent } from "../events/events.ts";
import * as events from "../events/forget.ts";
import * as fleet from "../fleet/forget.ts";
import * as integrations from "../integrations/items.ts";
import * as linking from "../linking/forget.ts";
import * as journal from "../journal/forget.ts";
import * as mirror from "../mirror/forget.ts";
import { BY_TARTAN, type Change } from "../model/change.ts";
import * as relay from "../relay/forget.ts";
import * as silence from "../silence/forget.ts";
import * as sync from "../sync/forget.ts";

interface Removed {
  integrationId: string;
  itemId: string;
  reason: "unlinked" | "erased";
  userId?: string | null;
}

/** The event that an item is no longer synced. Of an erased item nothing else remains. */
export const itemRemoved = ({ integrationId, itemId, reason, userId = null }: Removed): NewEvent => ({
  integrationId,
  itemId,
  userId,
  environment: null,
  type: "item.removed",
  data: { reason, error_code: null },
});

/**
 * Deletes the token and ends syncing; mirrored rows stay.
 * @throws TartanError `not_found`
 */
export async function unlinkItem(
  database: Database,
  integrationId: string,
  itemId: string,
  by: Change = BY_TARTAN,
): Promise<void> {
  await database.transaction(async (tx) => {
    await checkKnown(tx, integrationId, itemId);
    const wasLinked = await integrations.forgetToken(tx, integrationId, itemId);
    await sync.endItem(tx, integrationId, itemId);
    await journal.settleItem(tx, integrationId, itemId);
    await audit(tx, by, { action: "item.unlinked", integrationId, target: itemId });
    if (wasLinked) await recordEvents(tx, [itemRemoved({ integrationId, itemId, reason: "unlinked" })]);
  });
}

/**
 * Deletes everything about the item: token, mirrored rows, webhooks, runs, events and their deliveries. All or nothing. Only the
 * event about it remains, with the item's id, and the row of the audit log.
 * @throws TartanError `not_found`
 */
export async function eraseItem(
  database: Database,
  integrationId: string,
  itemId: string,
  by: Change = BY_TARTAN,
): Promise<void> {
  await database.transaction(async (tx) => {
    await checkKnown(tx, integrationId, itemId);
    // Before the first row is locked, since this may take long.
    await relay.awaitUnderWay(tx);
    // Before the journal: what waits to be journaled from Plaid's list is about the item too.
    await silence.forgetItem(tx, integrationId, itemId);
    await integrations.forgetToken(tx, integrationId, itemId);
    await sync.forgetItem(tx, integrationId, itemId);
    await mirror.forgetItem(tx, integrationId, itemId);
    await linking.forgetItem(tx, integrationId, itemId);
    await integrations.forgetItem(tx, integrationId, itemId);
    await relay.forgetItem(tx, integrationId, itemId);
    await events.forgetItem(tx, integrationId, itemId);
    await journal.forgetItem(tx, integrationId, itemId);
    // Last, since it holds up the jobs that the item is in.
    await fleet.forgetItem(tx, integrationId, itemId);
    await audit(tx, by, { action: "item.erased", integrationId, target: itemId });
    await recordEvents(tx, [itemRemoved({ integrationId, itemId, reason: "erased" })]);
  }, "long");
}

/** An item is also known if only webhooks came for it and never a token, proven or not. */
const IS_KNOWN = `
  select exists (select from tartan.items where integration_id = $1 and item_id = $2)
    or exists (select from sync.subjects where integration_id = $1 and kind = 'item' and id = $2)
    or exists (select from journal.webhooks where integration_id = $1 and item_id = $2)
    or exists (select from journal.unproven where integration_id = $1 and claimed_item_id = $2) as known`;

async function checkKnown(tx: Queryable, integrationId: string, itemId: string): Promise<void> {
  const { rows } = await tx.query<{ known: boolean }>(IS_KNOWN, [integrationId, itemId]);
  if (rows[0]?.known) return;
  throw new TartanError("not_found", `There is no item ${itemId}.`, { fields: { item_id: "names no item" } });
}
