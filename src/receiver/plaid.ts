/**
 * The path of Plaid: requests with a `Plaid-Verification` header, which are accepted only with Plaid's signature.
 */
import { newUuid } from "../model/ids.ts";
import type { SignatureCheck } from "../plaid/signatures.ts";
import { verifyWebhook, type Refused } from "../plaid/verify.ts";
import { readWebhook } from "../plaid/webhooks.ts";
import type { Accepted } from "../model/webhook.ts";
import type { ReceivedRequest, ReceiverDeps } from "./deps.ts";
import { IntakeRefusal } from "./refusal.ts";

const RETRY_AFTER_SECONDS = 10;

export type PlaidPath = (request: ReceivedRequest, jwt: string) => Promise<Accepted>;

export function openPlaidPath(deps: ReceiverDeps & { check: SignatureCheck }): PlaidPath {
  const { keys, intake, logger, check } = deps;
  const stale = openStalePath(deps);
  return async (request, jwt) => {
    const { integration, body, receivedAt, remoteAddress: from } = request;
    const receiver = integration.id;
    const proven = await verifyWebhook({ jwt, body, receivedAt, keys, integration, receiver, from, check });
    if (!proven.ok) return await stale(request, proven);
    const { type, code, itemId, environment, subject } = readWebhook(body);
    if (environment !== null && environment !== integration.environment)
      logger.warn(
        { integration: integration.id, environment },
        "a webhook names another environment than its integration",
      );
    const { tokenSha256, keyId, signedAt } = proven;
    return await intake.accept({
      arrival: "webhook",
      id: newUuid(receivedAt),
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
    });
  };
}

/**
 * Refuses a webhook that is not proven. One kind needs more: a genuine webhook that comes too late, or is dated ahead because one
 * of the two clocks is wrong. Either it was accepted before and is only sent again, or it never arrived. In the second case the
 * intake has its subject checked, which is safe: sync asks Plaid what is true.
 */
function openStalePath({ intake }: ReceiverDeps): (request: ReceivedRequest, refused: Refused) => Promise<Accepted> {
  return async ({ integration, body }, { reason, detail, stale: token, keyUnavailable }) => {
    if (keyUnavailable) {
      const message = `The webhook could not be proven just now: ${detail}. Send it again.`;
      const details = { reason, detail, retryAfterSeconds: RETRY_AFTER_SECONDS };
      throw new IntakeRefusal("verification_key_unavailable", message, details);
    }
    if (token !== undefined) {
      const { type: webhookType, code: webhookCode, subject } = readWebhook(body);
      const integrationId = integration.id;
      const notice = { arrival: "stale_notice", integrationId, token, subject, webhookType, webhookCode } as const;
      const accepted = await intake.accept(notice);
      if (accepted !== null) return accepted;
    }
    const message = `The Plaid-Verification header does not prove this webhook: ${detail}.`;
    throw new IntakeRefusal("webhook_unverified", message, {
      reason,
      detail,
      fields: { "Plaid-Verification": `${reason}: ${detail}` },
    });
  };
}
