/**
 * The path of Plaid: a `Plaid-Verification` header was sent, so the webhook is Plaid's by signature or it is nothing.
 */
import { newUuid } from "../model/ids.ts";
import { findAccepted } from "../journal/append.ts";
import { markDue } from "../journal/subjects.ts";
import type { SignatureCheck } from "../plaid/signatures.ts";
import { verifyWebhook, type Refused } from "../plaid/verify.ts";
import { readWebhook } from "../plaid/webhooks.ts";
import type { Arrival, ReceiverDeps, Taken } from "./intake.ts";
import { IntakeRefusal } from "./refusal.ts";
import { outcomeAtOnce } from "./settle.ts";

const RETRY_AFTER_SECONDS = 10;
const STALE_KEPT = 1000;

export type PlaidPath = (arrival: Arrival, jwt: string) => Promise<Taken>;

export function openPlaidPath(deps: ReceiverDeps & { check: SignatureCheck }): PlaidPath {
  const { keys, accept, logger, check } = deps;
  const stale = openStalePath(deps);
  return async (arrival, jwt) => {
    const { integration, body, receivedAt, remoteAddress: from } = arrival;
    const receiver = integration.id;
    const verdict = await verifyWebhook({ jwt, body, receivedAt, keys, integration, receiver, from, check });
    if (!verdict.ok) return await stale(arrival, verdict);
    const reading = readWebhook(body);
    const { type, code, itemId, environment, subject } = reading;
    if (environment !== null && environment !== integration.environment)
      logger.warn(
        { integration: integration.id, environment },
        "a webhook names another environment than its integration",
      );
    const { tokenSha256, keyId, signedAt } = verdict;
    return await accept.accept({
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
      settledAs: outcomeAtOnce(deps, reading),
      proof: { jwt, tokenSha256, keyId, signedAt },
    });
  };
}

/**
 * What was not proven is refused. One kind needs more: a genuine webhook that comes too late, or is dated ahead because one of
 * the two clocks is wrong. Either it had been accepted and is merely sent again, or we never had it; then what it is about
 * is looked at, once, since Plaid is asked what is true anyway.
 */
function openStalePath({ database, touches }: ReceiverDeps): (arrival: Arrival, verdict: Refused) => Promise<Taken> {
  const marked = new Set<string>();
  return async ({ integration, body }, { reason, detail, stale, keyUnavailable }) => {
    if (keyUnavailable) {
      const message = `The webhook could not be proven just now: ${detail}. Send it again.`;
      const details = { reason, detail, retryAfterSeconds: RETRY_AFTER_SECONDS };
      throw new IntakeRefusal("verification_key_unavailable", message, details);
    }
    if (stale !== undefined) {
      const accepted = await findAccepted(database, stale);
      if (accepted !== null) return { id: accepted, duplicate: true };
      const reading = readWebhook(body);
      const { subject } = reading;
      const token = stale.tokenSha256.toString("latin1");
      if (subject !== null && outcomeAtOnce({ touches }, reading) === undefined && !marked.has(token)) {
        await markDue(database, [{ integrationId: integration.id, ...subject, wanted: ["*"] }]);
        if (marked.size >= STALE_KEPT) marked.clear();
        marked.add(token);
      }
    }
    const message = `The Plaid-Verification header does not prove this webhook: ${detail}.`;
    throw new IntakeRefusal("webhook_unverified", message, {
      reason,
      detail,
      fields: { "Plaid-Verification": `${reason}: ${detail}` },
    });
  };
}
