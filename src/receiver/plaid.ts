/**
 * The path of Plaid: requests with a `Plaid-Verification` header, which are accepted only with Plaid's signature.
 */
import { TartanError } from "../errors.ts";
import { metrics } from "../metrics.ts";
import { newUuid } from "../model/ids.ts";
import { provenWebhook } from "../plaid/proven-webhook.ts";
import type { SignatureCheck } from "../plaid/signatures.ts";
import { verifyWebhook, type Refused, type UnprovenClaims } from "../plaid/verify.ts";
import { readWebhook } from "../plaid/webhooks.ts";
import type { Accepted } from "../model/webhook.ts";
import type { ReceivedRequest, ReceiverDeps } from "./deps.ts";
import { IntakeRefusal } from "./refusal.ts";

const RETRY_AFTER_SECONDS = 10;

/** A refusal that a flood can cause is returned and not thrown: a throw through each `await` costs as much as the rest of it. */
export type PlaidPath = (request: ReceivedRequest, jwt: string) => Promise<Accepted | IntakeRefusal>;

export function openPlaidPath(deps: ReceiverDeps & { check: SignatureCheck }): PlaidPath {
  const { keys, intake, logger, check } = deps;
  const unproven = openUnprovenPath(deps);
  return async (request, jwt) => {
    const { integration, body, receivedAt, remoteAddress: from } = request;
    const receiver = integration.id;
    const proven = await verifyWebhook({ jwt, body, receivedAt, keys, integration, receiver, from, check });
    if (!proven.ok) {
      const isHopeless = proven.keyUnavailable === true && proven.unproven === undefined;
      return isHopeless ? notProvable(proven) : await unproven(request, proven);
    }
    const webhook = provenWebhook({ id: newUuid(receivedAt), integration, body, jwt, receivedAt }, proven, logger);
    return await intake.accept({ arrival: "webhook", ...webhook });
  };
}

/**
 * Refuses a webhook that is not proven. Two kinds need more. One is a genuine webhook that comes too late, or is dated ahead because one
 * of the two clocks is wrong. Either it was accepted before and is only sent again, or it never arrived. In the second case the
 * intake has its subject checked, which is safe: sync asks Plaid what is true. The other is a webhook whose key cannot be fetched now,
 * which the intake keeps unproven.
 */
function openUnprovenPath(deps: ReceiverDeps): (request: ReceivedRequest, refused: Refused) => Promise<Accepted> {
  const { intake } = deps;
  return async (request, refused) => {
    const { integration, body } = request;
    const { reason, detail, stale: token, unproven } = refused;
    if (unproven !== undefined) return await keep(deps, request, unproven, refused);
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

/** There are few reasons and details, each with one refusal: a flood of made-up kids makes no object. */
const notProvables = new Map<string, IntakeRefusal>();
const NOT_PROVABLES_KEPT = 100;

/** Plaid sends the webhook again for a day. */
function notProvable({ reason, detail }: Pick<Refused, "detail"> & { reason: string }): IntakeRefusal {
  const name = `${reason} ${detail}`;
  const known = notProvables.get(name);
  if (known !== undefined) return known;
  const message = `The webhook could not be proven just now: ${detail}. Send it again.`;
  const details = { reason, detail, retryAfterSeconds: RETRY_AFTER_SECONDS };
  const refusal = new IntakeRefusal("verification_key_unavailable", message, details);
  if (notProvables.size >= NOT_PROVABLES_KEPT) notProvables.clear();
  notProvables.set(name, refusal);
  return refusal;
}

/** Keeps the webhook unproven, or refuses it where the quarantine has no room. */
async function keep(
  { intake, keys }: ReceiverDeps,
  { integration, body, receivedAt, remoteAddress }: ReceivedRequest,
  claims: UnprovenClaims,
  refused: Refused,
): Promise<Accepted> {
  try {
    return await intake.accept({
      arrival: "unproven_webhook",
      id: newUuid(receivedAt),
      integrationId: integration.id,
      body,
      ...claims,
      receivedAt,
      remoteAddress,
      vouched: keys.isVouched?.(remoteAddress) ?? false,
    });
  } catch (error) {
    if (!(error instanceof TartanError)) throw error;
    if (error.code === "not_enabled") throw notProvable(refused);
    if (error.code !== "quarantine_full") throw error;
    metrics.unproven.inc({ outcome: "turned_away" });
    const detail = `${refused.detail}, and no more unproven webhooks are kept`;
    throw notProvable({ reason: "quarantine_full", detail });
  }
}
