/**
 * The port through which stored webhooks are read: the journal. An engine finds the webhooks of an item or a user, by type, by type
 * and code, or by source; of an integration; or all; newest first.
 */
import { z } from "zod";
import { INTEGRATION_ID, ITEM_ID, UPDATE_INFO, USER_ID, WEBHOOK_ID } from "./examples.ts";
import { page, type FilterOf } from "./listing.ts";
import {
  anyObject,
  integrationId,
  itemId,
  namedIntegration,
  namedItem,
  namedUser,
  noTimestamp,
  orNull,
  text,
  timestamp,
  described,
  userId,
  webhookId,
} from "./schema.ts";
import { SOURCES } from "./webhook.ts";

const source = described(
  z.enum(SOURCES),
  "Who sent it: Plaid, your backend, your login listener, or Tartan itself when it found a gap.",
);
const webhookType = described(z.string(), "Plaid's webhook_type, such as TRANSACTIONS.");
const webhookCode = described(z.string(), "Plaid's webhook_code, such as SYNC_UPDATES_AVAILABLE.");

export const WebhookFilter = z.strictObject({
  item_id: namedItem.optional(),
  user_id: namedUser.optional(),
  type: text(100, webhookType.description ?? "").optional(),
  code: text(100, webhookCode.description ?? "").optional(),
  source: source.optional(),
  integration_id: namedIntegration.optional(),
  ...page,
});
export type WebhookFilter = FilterOf<typeof WebhookFilter>;

const proof = z.object({
  key_id: described(z.string(), "Plaid's key that signed it."),
  signed_at: timestamp("When Plaid signed it."),
  body_sha256: described(z.string(), "SHA-256 of the body as it came, in hexadecimal."),
});

/** What the reference shows. */
export const WEBHOOK_EXAMPLE = {
  id: WEBHOOK_ID,
  integration_id: INTEGRATION_ID,
  source: "PLAID" as const,
  item_id: ITEM_ID,
  user_id: USER_ID,
  webhook_type: "TRANSACTIONS",
  webhook_code: "SYNC_UPDATES_AVAILABLE",
  subject: { kind: "item", id: ITEM_ID },
  environment: "production",
  received_at: "2026-11-20T17:03:29.051Z",
  webhook: {
    environment: "production",
    historical_update_complete: true,
    initial_update_complete: true,
    item_id: ITEM_ID,
    webhook_code: "SYNC_UPDATES_AVAILABLE",
    webhook_type: "TRANSACTIONS",
  },
  tokens_cut: false,
  body_pruned: false,
  body_sha256: "b7d9c5c9cf7a4b3f1f6f0d3f1f7d2f57a8a3a4a9d2c1e0b6a5948372615f4e3d",
  verification: {
    key_id: "bfbd5111-8e33-4643-8ced-b2e642a72f3c",
    signed_at: "2026-11-20T17:03:28.000Z",
    body_sha256: "b7d9c5c9cf7a4b3f1f6f0d3f1f7d2f57a8a3a4a9d2c1e0b6a5948372615f4e3d",
  },
  processed_at: "2026-11-20T17:03:29.500Z",
  update_info: UPDATE_INFO,
};

/** A webhook as it may be shown; instants are ISO 8601. */
export const WebhookRecord = z
  .object({
    id: webhookId,
    integration_id: integrationId,
    source,
    item_id: orNull(itemId),
    user_id: orNull(userId),
    webhook_type: orNull(webhookType),
    webhook_code: orNull(webhookCode),
    subject: described(
      z.object({ kind: z.string(), id: z.string() }).nullable(),
      "What it is about: an item, a user, an asset report …; null where its body does not say.",
    ),
    environment: described(z.string().nullable(), "The environment it names."),
    received_at: timestamp("When its last byte arrived."),
    webhook: anyObject(
      "The body without tokens: access, public and link tokens are replaced by the text [cut]. {} if it is no JSON object, has more than 200 " +
        "levels, or was pruned.",
    ),
    tokens_cut: described(z.boolean(), "Whether tokens were cut out of the body."),
    body_pruned: described(
      z.boolean(),
      "Whether the body is older than TARTAN_JOURNAL_BODY_RETENTION_DAYS and no longer kept.",
    ),
    body_sha256: described(z.string(), "SHA-256 of the stored body, in hexadecimal; kept when the body is pruned."),
    verification: described(proof.nullable(), "The proof that it is Plaid's; null for a backend's."),
    processed_at: noTimestamp("When a sync run served it, or when sync settled it without one; null while it waits."),
    update_info: described(
      z.record(z.string(), z.unknown()).nullable(),
      "The summary of that run; its outcome says whether one was needed.",
    ),
  })
  .meta({ id: "Webhook", description: "One accepted webhook.", examples: [WEBHOOK_EXAMPLE] });
export type WebhookRecord = z.output<typeof WebhookRecord>;

export interface WebhookPage {
  data: WebhookRecord[];
  next_cursor: string | null;
}

export interface Records {
  /**
   * One page, newest first. It may hold fewer webhooks than `limit`, or none, and still name a next page.
   * @throws TartanError `invalid_request` for a limit, cursor or filter that is not usable
   */
  list(filter: WebhookFilter): Promise<WebhookPage>;
  /** The webhook `whk_…`, or null where there is none. */
  get(id: string): Promise<WebhookRecord | null>;
}
