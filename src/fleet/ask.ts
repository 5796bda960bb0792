/** Requests to Plaid about a member of a job, under the limits that sync uses. */
import { getItemSecret } from "../integrations/items.ts";
import type { KnownIntegration } from "../model/integration.ts";
import { limitOf } from "../plaid/limits.ts";
import { Limited } from "../sync/ask.ts";
import { askWithin } from "../sync/limiter.ts";
import { institutionOf } from "../sync/open-reader.ts";
import type { Context, Member } from "./kind.ts";

/** An item that can be asked about. It holds a token: it is never stored or logged. */
export interface OpenItem {
  integration: KnownIntegration;
  itemId: string;
  accessToken: string;
  institutionId: string | null;
}

const PATIENCE_MS = 2000;

/** @returns null where the item is no longer linked. @throws TartanError `vault_unsealable` */
export async function openItem(context: Context, { integrationId, itemId }: Member): Promise<OpenItem | null> {
  const { database, directory, vault } = context;
  const integration = await directory.find(integrationId);
  const secret = await getItemSecret(database, vault, integrationId, itemId);
  if (!integration || !secret) return null;
  const institutionId = await institutionOf(database, { integrationId, kind: "item", id: itemId });
  return { integration, itemId, accessToken: secret.access_token, institutionId };
}

/**
 * Asks Plaid about the item; `fields` join its token.
 * @throws PlaidError; `Limited` where the limits admit it only later
 */
export async function askPlaid<T>(
  { limiter, share, clientFor, signal }: Context,
  { integration, itemId, accessToken, institutionId }: OpenItem,
  endpoint: string,
  fields: Readonly<Record<string, unknown>> = {},
): Promise<T> {
  const { id: integrationId, environment } = integration;
  const asking = { integrationId, environment, endpoint, itemId, institutionId };
  // The share of jobs has a key of its own.
  const ofJobs = { ...asking, integrationId: `jobs of ${integrationId}`, itemId: null, institutionId: null };
  const isShared = limitOf(endpoint, environment).perClient !== undefined;
  const waitMs =
    (isShared ? await share.acquire(ofJobs, PATIENCE_MS, signal) : 0) ||
    (await limiter.acquire(asking, PATIENCE_MS, signal));
  if (waitMs > 0) throw new Limited(waitMs);
  const body = { access_token: accessToken, ...fields };
  return await askWithin(limiter, asking, () => clientFor(integration).postJson<T>(endpoint, body, signal));
}
