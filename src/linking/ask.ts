/** A request of Link to Plaid, within Plaid's limits. */
import type { Clock } from "../clock.ts";
import type { Database } from "../database/types.ts";
import { TartanError } from "../errors.ts";
import type { Directory, KnownIntegration } from "../model/integration.ts";
import type { PlaidClient } from "../plaid/client.ts";
import { askWithin, createLimiter } from "../sync/limiter.ts";

interface AskDeps {
  database: Database;
  directory: Directory;
  clientFor: (integration: KnownIntegration) => PlaidClient;
  clock: Clock;
  limitFactor?: number;
}

interface About {
  integrationId: string;
  itemId: string | null;
  endpoint: string;
}

/** How long a request waits for Plaid's rate limits; then it is refused with the time to wait. */
const PATIENCE_MS = 2000;

/**
 * Asks Plaid. The request is never cut off: its answer may hold a token that Plaid gives once.
 * @throws TartanError `not_found` (integration), `overloaded` (a rate limit, with the seconds to wait); PlaidError
 */
export async function ask<T>(deps: AskDeps, { integrationId, itemId, endpoint }: About, body: object): Promise<T> {
  const { database, directory, clientFor, clock, limitFactor = 1 } = deps;
  const integration = await directory.find(integrationId);
  if (integration === null) throw new TartanError("not_found", `There is no integration ${integrationId}.`);
  const limiter = createLimiter(database, clock, limitFactor);
  const { environment } = integration;
  const asking = { integrationId, environment, endpoint, itemId, institutionId: null };
  const waitMs = await limiter.acquire(asking, PATIENCE_MS, AbortSignal.timeout(2 * PATIENCE_MS));
  if (waitMs > 0) {
    const message = `Plaid's limit for ${endpoint} is reached; try again later.`;
    throw new TartanError("overloaded", message, { retryAfterSeconds: Math.ceil(waitMs / 1000) });
  }
  return await askWithin(limiter, asking, () => clientFor(integration).postJson<T>(endpoint, body));
}
