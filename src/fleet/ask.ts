/** Requests to Plaid about a member of a job, under the limits that sync uses. */
import type { Many } from "../database/together.ts";
import { itemToken } from "../integrations/sealed.ts";
import type { KnownIntegration } from "../model/integration.ts";
import { Limited } from "../sync/ask.ts";
import { askWithin, type Asking } from "../sync/limiter.ts";
import type { Context, Member } from "./kind.ts";
import { SEALED_TOKENS } from "./queries.ts";

/** An item that can be asked about. It holds a token: it is never stored or logged. */
export interface OpenItem {
  integration: KnownIntegration;
  itemId: string;
  accessToken: string;
  institutionId: string | null;
}

const PATIENCE_MS = 2000;
/** The part of a client's limits that jobs may use, so that what webhooks made due is read in time. */
const SHARE = { of: "jobs", part: 1 / 2 };

interface Sealed {
  number: number;
  sealed: Buffer;
  institutionId: string | null;
}

const sealedTokens: Many<Member, Sealed | undefined> = async (q, members) => {
  const values = [members.map(({ integrationId }) => integrationId), members.map(({ itemId }) => itemId)];
  const { rows } = await q.query<Sealed>(SEALED_TOKENS, values);
  const known = new Map(rows.map((row) => [row.number, row]));
  return members.map((_, index) => known.get(index + 1));
};

/** @returns null where the item is no longer linked. @throws TartanError `vault_unsealable` */
export async function openItem(context: Context, member: Member): Promise<OpenItem | null> {
  const { directory, vault, together } = context;
  const { integrationId, itemId } = member;
  const integration = await directory.find(integrationId);
  const found = await together(sealedTokens, member);
  if (!integration || !found) return null;
  const accessToken = vault.open(found.sealed, itemToken(integrationId, itemId));
  return { integration, itemId, accessToken, institutionId: found.institutionId };
}

/**
 * Asks Plaid about the item; `fields` join its token.
 * @throws PlaidError; `Limited` where the limits admit it only later
 */
export async function askPlaid<T>(
  { limiter, clientFor, signal }: Context,
  { integration, itemId, accessToken, institutionId }: OpenItem,
  endpoint: string,
  fields: Readonly<Record<string, unknown>> = {},
): Promise<T> {
  const { id: integrationId, environment } = integration;
  const asking: Asking = { integrationId, environment, endpoint, itemId, institutionId, share: SHARE };
  const waitMs = await limiter.acquire(asking, PATIENCE_MS, signal);
  if (waitMs > 0) throw new Limited(waitMs);
  const body = { access_token: accessToken, ...fields };
  return await askWithin(limiter, asking, () => clientFor(integration).postJson<T>(endpoint, body, signal));
}
