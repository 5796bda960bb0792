/** A webhook of Plaid's as it is journaled, from what its proof and its body say. */
import type { Logger } from "../logger.ts";
import type { KnownIntegration } from "../model/integration.ts";
import type { NewWebhook } from "../model/webhook.ts";
import type { Proven } from "./verify.ts";
import { readWebhook } from "./webhooks.ts";

export interface ReceivedWebhook {
  /** UUIDv7 */
  id: string;
  integration: KnownIntegration;
  body: Buffer;
  jwt: string;
  receivedAt: Date;
}

/** Says in the log when the webhook names another environment than its integration: it is journaled all the same. */
export function provenWebhook(
  { id, integration, body, jwt, receivedAt }: ReceivedWebhook,
  { tokenSha256, keyId, signedAt }: Proven,
  logger: Logger,
): NewWebhook {
  const { type, code, itemId, environment, subject } = readWebhook(body);
  if (environment !== null && environment !== integration.environment)
    logger.warn(
      { integration: integration.id, environment },
      "a webhook names another environment than its integration",
    );
  return {
    id,
    integrationId: integration.id,
    source: "PLAID",
    subject,
    itemId,
    webhookType: type,
    webhookCode: code,
    environment,
    receivedAt,
    body,
    proof: { jwt, tokenSha256, keyId, signedAt },
  };
}
