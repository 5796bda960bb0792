/** Judges a kept webhook once its key is there: the whole verification, at the time at which it was received. */
import type { Judgement, KeptWebhook } from "../journal/settle.ts";
import type { Logger } from "../logger.ts";
import type { KnownIntegration } from "../model/integration.ts";
import { provenWebhook } from "../plaid/proven-webhook.ts";
import { verifyWebhook, type FoundKey, type KeyRefusal, type KeySource } from "../plaid/verify.ts";

interface Deps {
  keys: KeySource;
  integration: KnownIntegration;
  found: FoundKey | KeyRefusal;
  logger: Logger;
}

const EXPIRED: KeyRefusal = { reason: "key_expired", detail: "the key it names had expired when it was received" };

export function judgeWith({ keys, integration, found, logger }: Deps): (kept: KeptWebhook) => Promise<Judgement> {
  const source: KeySource = {
    find: (_scope, _keyId, at) => ("reason" in found ? found : at.getTime() < found.expiresAt ? found.key : EXPIRED),
    findWaiting: async () => found,
    proven: (from) => keys.proven?.(from),
  };
  return async ({ id, body, jwt, receivedAt, remoteAddress }) => {
    const from = remoteAddress === null ? {} : { from: remoteAddress };
    const given = { jwt, body, receivedAt, keys: source, integration, receiver: integration.id, ...from };
    const proven = await verifyWebhook(given);
    if (!proven.ok) return { refused: proven.reason, detail: `${proven.detail}.` };
    return { proven: provenWebhook({ id, integration, body, jwt, receivedAt }, proven, logger) };
  };
}
