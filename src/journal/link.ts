/**
 * Links an item: stores its sealed token, gives its earlier webhooks their user, and appends ITEM/CREATED (or ITEM/UPDATED, where a
 * backend hands over a token that it has rotated) and the event item.linked, in one transaction. So a token whose sender got 200 is
 * stored and will be used.
 */
import type { Database, Queryable } from "../database/types.ts";
import { recordEvents } from "../events/events.ts";
import { LinkedItem as LinkedItemInput } from "../integrations/item.schema.ts";
import { holdIntegration, storeToken } from "../integrations/items.ts";
import type { Vault } from "../integrations/vault.ts";
import { newUuid } from "../model/ids.ts";
import type { Linked, LinkedItem } from "../model/intake.ts";
import { EVERYTHING, EVERYTHING_AGAIN, type NewWebhook } from "../model/webhook.ts";
import { checked } from "../model/validation.ts";
import { append } from "./append.ts";
import { BACKFILL_USER } from "./queries.ts";

type NewItem = Omit<LinkedItem, "arrival">;

/** @throws TartanError `not_found` (integration), `invalid_request` naming each invalid field */
export async function linkItem(
  { database, vault }: { database: Database; vault: Vault },
  item: NewItem,
): Promise<Linked> {
  return await database.transaction((tx) => linkWithin(tx, vault, item));
}

/** Checks the fields of an item before anything of it is stored. @throws TartanError `invalid_request` naming each invalid field */
export function checkLinked({ itemId, accessToken, userId }: NewItem): void {
  checked(LinkedItemInput, { item_id: itemId, access_token: accessToken, user_id: userId }, "item");
}

/** The same in the caller's transaction, which may then write what belongs to it. */
export async function linkWithin(tx: Queryable, vault: Vault, item: NewItem): Promise<Linked> {
  const { integrationId, itemId, userId: given } = item;
  checkLinked(item);
  const receivedAt = item.receivedAt ?? new Date();
  const { userId, created, environment } = await storeToken(tx, vault, item);
  if (given !== undefined) await tx.query(BACKFILL_USER, [integrationId, itemId, given]);
  const id = item.id ?? newUuid(receivedAt);
  await append(tx, [webhookOf({ ...item, id, receivedAt }, { userId, environment })]);
  await recordEvents(tx, [{ type: "item.linked", integrationId, itemId, userId, environment, data: { created } }]);
  return { id, duplicate: false, created };
}

/** Appends the webhook alone, in the caller's transaction: the item has a newer token, which stays. @throws TartanError `not_found` */
export async function noteLinked(tx: Queryable, item: NewItem & { id: string }): Promise<void> {
  const environment = await holdIntegration(tx, item.integrationId);
  const { receivedAt = new Date(), userId = null } = item;
  await append(tx, [webhookOf({ ...item, receivedAt }, { userId, environment })]);
}

const webhookOf = (
  item: NewItem & { id: string; receivedAt: Date },
  known: { userId: string | null; environment: string },
): NewWebhook => ({
  id: item.id,
  integrationId: item.integrationId,
  source: "BACKEND",
  subject: { kind: "item", id: item.itemId },
  itemId: item.itemId,
  ...known,
  webhookType: "ITEM",
  webhookCode: item.code ?? "CREATED",
  receivedAt: item.receivedAt,
  body: bodyOf(item),
  proof: null,
  requested: [item.full ? EVERYTHING_AGAIN : EVERYTHING],
});

/** The body as it came, unless the token is still in it. */
function bodyOf({ body, itemId, userId, accessToken, code = "CREATED" }: NewItem): Buffer {
  if (body && !body.includes(accessToken)) return body;
  const fields = { webhook_type: "ITEM", webhook_code: code, item_id: itemId };
  return Buffer.from(JSON.stringify({ ...fields, ...(userId !== undefined && { user_id: userId }) }));
}
