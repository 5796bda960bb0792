/**
 * Takes over unproven webhooks that another engine acknowledged while Postgres was away. That engine has bounds of its own, so the
 * bounds of the quarantine do not count for them.
 */
import type { Database } from "../database/types.ts";
import { holdIntegrations } from "../integrations/items.ts";
import type { RestoreResult, UnprovenWebhook } from "../model/intake.ts";
import { noIntegration } from "../model/integration.ts";
import { isDataFault } from "./failures.ts";
import { keepUnproven } from "./unproven.ts";

/** Restores them in their order; one that was stored before, proven or not, is passed over. */
export async function restoreUnproven(
  database: Database,
  webhooks: readonly UnprovenWebhook[],
): Promise<RestoreResult[]> {
  try {
    return await database.transaction(async (tx): Promise<RestoreResult[]> => {
      const there = await holdIntegrations(
        tx,
        webhooks.map(({ integrationId }) => integrationId),
      );
      const known = webhooks.filter(({ integrationId }) => there.has(integrationId));
      const kept = await keepUnproven(tx, known, null);
      const results = new Map(known.map((webhook, index) => [webhook, kept[index]]));
      return webhooks.map((webhook): RestoreResult => {
        const result = results.get(webhook);
        if (!result) return { outcome: "refused", error: noIntegration(webhook.integrationId) };
        return { outcome: result.stored ? "stored" : "passed_over", id: result.id };
      });
    });
  } catch (error) {
    if (!isDataFault(error)) throw error;
    if (webhooks.length === 1) return [{ outcome: "refused", error }];
    const middle = webhooks.length >> 1;
    const first = await restoreUnproven(database, webhooks.slice(0, middle));
    return [...first, ...(await restoreUnproven(database, webhooks.slice(middle)))];
  }
}
