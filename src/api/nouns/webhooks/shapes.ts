/** The shapes of the audit trail: webhooks as they were accepted, and requests that were refused. */
import { z } from "zod";
import { EXAMPLES } from "../examples.ts";
import {
  anyObject,
  asked,
  askedIntegration,
  askedItem,
  askedUser,
  integrationId,
  itemId,
  noTimestamp,
  orNull,
  page,
  timestamp,
  told,
  userId,
  webhookId,
} from "../../http/shapes.ts";

const source = told(
  z.enum(["PLAID", "BACKEND", "FROM_LISTENER", "RECONCILER"]),
  "Who sent it: Plaid, your backend, your login listener, or Tartan itself on noticing a gap.",
);
const webhookType = told(z.string(), "Plaid's webhook_type, such as TRANSACTIONS.");
const webhookCode = told(z.string(), "Plaid's webhook_code, such as SYNC_UPDATES_AVAILABLE.");

export const Webhook = z
  .object({
    id: webhookId,
    integration_id: integrationId,
    source,
    item_id: orNull(itemId),
    user_id: orNull(userId),
    webhook_type: orNull(webhookType),
    webhook_code: orNull(webhookCode),
    environment: told(z.string().nullable(), "The environment it names."),
    received_at: timestamp("When its last byte arrived."),
    webhook: anyObject("The body without tokens: access, public and link tokens are replaced by the text [cut]."),
    tokens_cut: told(z.boolean(), "Whether tokens were cut out of the body."),
    verification: told(
      z
        .object({
          key_id: told(z.string(), "Plaid's key that signed it."),
          signed_at: timestamp("When Plaid signed it."),
          body_sha256: told(z.string(), "SHA-256 of the body as it came, in hexadecimal."),
        })
        .nullable(),
      "The proof that it is Plaid's; null for a backend's.",
    ),
    processed_at: noTimestamp(
      "When a sync run had served it, or when it was stored if it needs none; null while it waits.",
    ),
    update_info: told(
      z.record(z.string(), z.unknown()).nullable(),
      "What that run found; its outcome says whether one was needed.",
    ),
  })
  .meta({ id: "Webhook", description: "One accepted webhook.", examples: [EXAMPLES.webhook] });

export const Refusal = z
  .object({
    refused_at: timestamp("When, or since when."),
    integration_id: orNull(integrationId),
    reason: told(z.string(), "Stable code, such as signature_invalid."),
    detail: told(z.string().nullable(), "One sentence."),
    remote_address: told(z.string().nullable(), "Who sent it."),
    body_bytes: told(z.number().int().nullable(), "How long its body was."),
    count: told(z.number().int(), "Alike refusals that were folded into this row."),
  })
  .meta({ id: "Refusal", description: "Requests that the intake refused.", examples: [EXAMPLES.refusal] });

export const WebhookParams = z.object({ id: asked(100, "Id of a webhook.") });
export const WebhooksQuery = z.strictObject({
  item_id: askedItem.exactOptional(),
  user_id: askedUser.exactOptional(),
  type: asked(100, "Plaid's webhook_type, such as TRANSACTIONS.").exactOptional(),
  code: asked(100, "Plaid's webhook_code, such as SYNC_UPDATES_AVAILABLE.").exactOptional(),
  source: source.exactOptional(),
  integration_id: askedIntegration.exactOptional(),
  ...page,
});
export const RefusalsQuery = z.strictObject({ integration_id: askedIntegration.exactOptional(), ...page });
