/**
 * What the relay still needs of others: the webhooks and events that a delivery may send, or that an unfinished job will look at.
 * Retention asks this before it deletes any, under the lock `retention`, which those share who schedule deliveries of old events.
 */
import type { Queryable } from "../database/types.ts";
import type { NeedsWebhooks } from "../journal/retention.ts";
import { NEEDED, NEEDS_WEBHOOKS } from "./retention-queries.ts";

/** @returns those of the webhooks or events that the relay needs */
export async function neededOf(q: Queryable, ids: readonly string[]): Promise<string[]> {
  if (ids.length === 0) return [];
  return (await q.query<{ id: string }>(NEEDED, [ids])).rows.map(({ id }) => id);
}

export const relayNeeds: NeedsWebhooks = {
  neededFor: "undelivered",
  between: async (q, first, behind) =>
    (await q.query<{ needed: boolean }>(NEEDS_WEBHOOKS, [first, behind])).rows[0]?.needed ?? true,
  among: neededOf,
};
