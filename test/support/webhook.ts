/** Webhooks as the receiver hands them to an Intake. */
import { randomBytes } from "node:crypto";
import type { UnprovenWebhook } from "../../src/model/intake.ts";
import { newUuid } from "../../src/model/ids.ts";
import type { NewWebhook } from "../../src/model/webhook.ts";
import { webhookBody } from "./plaid-signer.ts";

/** The integration of what has no other. */
export const INTEGRATION = "svi_test";

/** A webhook of the item `item-1`, with a token of its own and a body that says what the fields say. */
export function webhook(fields: Partial<NewWebhook> = {}): NewWebhook {
  const { receivedAt = new Date(), itemId = "item-1" } = fields;
  const { webhookType = "TRANSACTIONS", webhookCode = "SYNC_UPDATES_AVAILABLE" } = fields;
  return {
    id: newUuid(receivedAt),
    integrationId: INTEGRATION,
    source: "PLAID",
    subject: itemId === null ? null : { kind: "item", id: itemId },
    itemId,
    webhookType,
    webhookCode,
    environment: "sandbox",
    receivedAt,
    body: webhookBody({ item_id: itemId, webhook_type: webhookType, webhook_code: webhookCode }),
    proof: proof(),
    ...fields,
  };
}

/** An unproven webhook of a stranger, with a token of its own. */
export function unprovenWebhook(fields: Partial<UnprovenWebhook> = {}): UnprovenWebhook {
  const { receivedAt = new Date(), body = webhookBody({ item_id: "item-1" }) } = fields;
  return {
    arrival: "unproven_webhook",
    id: newUuid(receivedAt),
    integrationId: INTEGRATION,
    body,
    jwt: `header.claims.${randomBytes(32).toString("base64url")}`,
    tokenSha256: randomBytes(32),
    keyId: "kid-1",
    claimedAt: new Date(Math.floor(receivedAt.getTime() / 1000) * 1000),
    receivedAt,
    remoteAddress: "192.0.2.7",
    vouched: false,
    ...fields,
  };
}

/** A proof with a token that no other has; `signedAt` in whole seconds, as in a JWT. */
export function proof(signedAt = new Date(Math.floor(Date.now() / 1000) * 1000)): NonNullable<NewWebhook["proof"]> {
  return { jwt: "header.claims.signature", tokenSha256: randomBytes(32), keyId: "kid-1", signedAt };
}
