/** /v1/unproven-webhooks: webhooks that wait in quarantine for their verification keys, newest first. */
import { z } from "zod";
import { listUnproven, UnprovenFilter } from "../../journal/quarantine.ts";
import { INTEGRATION_ID, ITEM_ID, WEBHOOK_ID } from "../../model/examples.ts";
import { described, integrationId, noTimestamp, timestamp, webhookId } from "../../model/schema.ts";
import { about, refusals, type Api, type ApiDeps } from "../http/operation.ts";
import { list } from "../http/shapes.ts";

export function unprovenWebhookOperations(api: Api, { database }: ApiDeps): void {
  api.get("/v1/unproven-webhooks", { schema: LIST }, ({ query }) => listUnproven(database, query));
}

const example = {
  id: WEBHOOK_ID,
  integration_id: INTEGRATION_ID,
  received_at: "2026-11-20T17:03:29.051Z",
  waits_for: "the key could not be fetched from Plaid (INVALID_API_KEYS)",
  remote_address: "52.21.26.131",
  vouched: true,
  body_bytes: 214,
  body_sha256: "b7d9c5c9cf7a4b3f1f6f0d3f1f7d2f57a8a3a4a9d2c1e0b6a5948372615f4e3d",
  claims: {
    key_id: "bfbd5111-8e33-4643-8ced-b2e642a72f3c",
    signed_at: "2026-11-20T17:03:28.000Z",
    item_id: ITEM_ID,
    webhook_type: "TRANSACTIONS",
    webhook_code: "SYNC_UPDATES_AVAILABLE",
  },
};

const textOrNull = (description: string) => described(z.string().nullable(), description);

const UnprovenWebhook = z
  .object({
    id: webhookId,
    integration_id: integrationId,
    received_at: timestamp("When its last byte arrived."),
    waits_for: textOrNull("Why its key cannot be had; null where Tartan has not asked again yet."),
    remote_address: textOrNull("Who sent it."),
    vouched: described(z.boolean(), "Whether proven webhooks had come from this address in the day before."),
    body_bytes: described(z.number().int(), "How long its body is."),
    body_sha256: described(z.string(), "SHA-256 of its body, in hexadecimal."),
    claims: described(
      z.object({
        key_id: described(z.string(), "The key that is said to have signed it."),
        signed_at: timestamp("When it is said to have been signed."),
        item_id: textOrNull("The Item that its body names."),
        webhook_type: textOrNull("The webhook_type in its body."),
        webhook_code: textOrNull("The webhook_code in its body."),
      }),
      "What it says of itself. It may be forged.",
    ),
  })
  .meta({
    id: "UnprovenWebhook",
    description: "A webhook that waits for its verification key; nothing acts on it.",
    examples: [example],
  });

/** A part of the status. */
export const quarantineExample = {
  waiting: 3,
  bytes: 2_400,
  oldest_seconds: 41.2,
  integrations: [
    {
      integration_id: INTEGRATION_ID,
      name: "Plaid production",
      waiting: 3,
      bytes: 2_400,
      keys: 1,
      oldest_at: "2026-11-20T17:03:29.051Z",
      waits_for: "the key could not be fetched from Plaid (INVALID_API_KEYS)",
    },
  ],
};

const count = (description: string) => described(z.number().int(), description);

export const quarantineShape = described(
  z.object({
    waiting: count("How many wait."),
    bytes: count("Bytes of their bodies and JWTs."),
    oldest_seconds: described(z.number(), "How long the oldest has waited; 0 if none waits."),
    integrations: described(
      z.array(
        z.object({
          integration_id: described(z.string(), "Id of an integration."),
          name: described(z.string().nullable(), "Its name; null where it was deleted."),
          waiting: count("How many of its webhooks wait."),
          bytes: count("Bytes of their bodies and JWTs."),
          keys: count("How many keys they name."),
          oldest_at: noTimestamp("When the oldest came."),
          waits_for: described(
            z.string().nullable(),
            "Why their keys cannot be had; null where Tartan has not asked again yet.",
          ),
        }),
      ),
      "Where they wait; at most a hundred, the longest first.",
    ),
  }),
  "Webhooks that wait unproven for Plaid's verification keys.",
);

const LIST = {
  ...about("Journal", {
    operationId: "listUnprovenWebhooks",
    summary: "List unproven webhooks",
    description:
      "Webhooks that were answered 200 and wait in quarantine because Plaid's verification key could not be fetched, newest " +
      "first. Nothing acts on them. Once their key is there, they appear under `/v1/webhooks` with the same id, or under " +
      "`/v1/refusals`.",
  }),
  querystring: UnprovenFilter,
  response: { 200: list(UnprovenWebhook, example, "A page of unproven webhooks."), ...refusals() },
};
