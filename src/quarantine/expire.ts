/**
 * Drops webhooks whose key nobody could fetch for days, and reports it: a refusal, an event, an error in the log, a metric. Plaid itself
 * stops sending a webhook again after one day. The janitor calls it in rounds in which the clocks agree.
 */
import type { Database, Queryable } from "../database/types.ts";
import { recordEvents, type NewEvent } from "../events/events.ts";
import { expiredQuarantines, expireSome, type ExpiredOfKey } from "../journal/expire-unproven.ts";
import type { Logger } from "../logger.ts";
import { metrics } from "../metrics.ts";

interface ExpiryOptions {
  database: Database;
  logger: Logger;
  /** the age at which unproven webhooks are dropped */
  days: number;
}

const NEXT_STEP =
  "Check the client id and secret of the integration and that Tartan reaches Plaid. Reconciliation reads the Items again whose webhooks were lost; " +
  "`npx tartan items sync` does so at once.";

/** Drops what is too old, in batches, each with its event in one transaction. */
export async function expireUnproven({ database, logger, days }: ExpiryOptions, signal?: AbortSignal): Promise<void> {
  for (const integrationId of await expiredQuarantines(database, days)) {
    for (;;) {
      signal?.throwIfAborted();
      const gone = await database.transaction((tx) => expireIn(tx, integrationId, days));
      const webhooks = gone.reduce((sum, each) => sum + each.webhooks, 0);
      if (webhooks === 0) break;
      metrics.unproven.inc({ outcome: "expired" }, webhooks);
      metrics.webhooksRefused.inc({ reason: "quarantine_expired" }, webhooks);
      logger.error(
        { integration: integrationId, webhooks, waited_for: gone[0]?.failure },
        "webhooks are lost: their verification keys could not be fetched from Plaid for days",
      );
    }
  }
}

async function expireIn(tx: Queryable, integrationId: string, days: number): Promise<ExpiredOfKey[]> {
  const gone = await expireSome(tx, integrationId, days);
  if (gone.length > 0) await recordEvents(tx, [expiredEvent(integrationId, gone)]);
  return gone;
}

const instants = (gone: readonly ExpiredOfKey[], which: "firstAt" | "lastAt"): number[] =>
  gone.map((each) => each[which].getTime());

/** The event for operators about the webhooks that were dropped. */
export const expiredEvent = (integrationId: string, gone: readonly ExpiredOfKey[]): NewEvent => ({
  integrationId,
  itemId: null,
  userId: null,
  environment: null,
  type: "integration.webhooks_expired",
  data: {
    webhooks: gone.reduce((sum, { webhooks }) => sum + webhooks, 0),
    first_received_at: new Date(Math.min(...instants(gone, "firstAt"))).toISOString(),
    last_received_at: new Date(Math.max(...instants(gone, "lastAt"))).toISOString(),
    cause: gone.find(({ failure }) => failure !== null)?.failure ?? null,
    next_step: NEXT_STEP,
  },
});
