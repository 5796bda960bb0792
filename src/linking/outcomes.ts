/** What is written beside the end of a public token: the events of its adoption, and the update_info of the webhooks that brought it. */
import type { Queryable } from "../database/types.ts";
import { recordEvents } from "../events/events.ts";
import { toPublicTokenId, toWebhookId } from "../model/ids.ts";
import type { PublicTokenReason } from "../model/statuses.ts";
import { LINK_SESSION } from "../resources/subjects.ts";
import { explainOutcome } from "./reasons.ts";
import { showOutcome } from "./sessions.ts";

/** A public token that somebody has claimed. */
export interface Claim {
  /** UUID of the public token's row */
  id: string;
  integrationId: string;
  userId: string | null;
  /** UUID of the first webhook that brought the token */
  webhookId: string | null;
  linkSessionId: string | null;
  /** Tartan exchanges it by itself */
  adopt: boolean;
  attempts: number;
  fence: string;
}

/** In the transaction in which the item is linked. */
export async function recordLinked(tx: Queryable, claim: Claim, itemId: string, created: boolean): Promise<void> {
  const { integrationId, userId, adopt } = claim;
  const data = { ...sourceOf(claim), created };
  if (adopt) await recordEvents(tx, [{ type: "link.adopted", integrationId, itemId, userId, environment: null, data }]);
  await showOutcome(tx, claim.id);
}

/** In the transaction in which the public token fails. @param errorCode Plaid's or Tartan's; null where Plaid was not asked */
export async function recordFailed(
  tx: Queryable,
  claim: Claim,
  reason: PublicTokenReason,
  errorCode: string | null,
): Promise<void> {
  const { integrationId, userId, linkSessionId, adopt } = claim;
  const data = { ...sourceOf(claim), reason, error_code: errorCode, ...explainOutcome(reason, errorCode) };
  const subject = linkSessionId === null ? undefined : { kind: LINK_SESSION.kind, id: linkSessionId };
  const about = { integrationId, itemId: null, userId, environment: null, subject };
  if (adopt) await recordEvents(tx, [{ type: "link.adoption_failed", ...about, data }]);
  await showOutcome(tx, claim.id);
}

const sourceOf = ({ id, webhookId, linkSessionId }: Claim) => ({
  public_token_id: toPublicTokenId(id),
  webhook_id: webhookId && toWebhookId(webhookId),
  link_session_id: linkSessionId,
});

/** ITEM/CREATED of an adopted item names what it was adopted from. */
export const createdBody = (itemId: string, { userId, webhookId, linkSessionId }: Claim): Buffer =>
  Buffer.from(
    JSON.stringify({
      webhook_type: "ITEM",
      webhook_code: "CREATED",
      item_id: itemId,
      ...(userId !== null && { user_id: userId }),
      adopted_from: { webhook_id: webhookId && toWebhookId(webhookId), link_session_id: linkSessionId },
    }),
  );
