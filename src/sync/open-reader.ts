/** Opens what the requests of one run need: the client, the item's token, and whose rate limits count. */
import type { Clock } from "../clock.ts";
import type { Database } from "../database/types.ts";
import type { Directory, KnownIntegration } from "../model/integration.ts";
import { findToken } from "../integrations/tokens.ts";
import type { Vault } from "../integrations/vault.ts";
import { mirroredReference } from "../mirror/apply.ts";
import type { Scope } from "../mirror/types.ts";
import type { PlaidClient } from "../plaid/client.ts";
import { resourcesOf, rootOf, rootTable, subjectKind } from "../resources/index.ts";
import { INSTITUTION } from "../resources/subjects.ts";
import type { Reader } from "./ask.ts";
import type { Limiter } from "./limiter.ts";
import { askerOf } from "./read.ts";
import type { Claim } from "./types.ts";

export interface ReaderDeps {
  database: Database;
  directory: Directory;
  vault: Vault;
  clientFor: (integration: KnownIntegration) => PlaidClient;
  clock: Clock;
  limiter: Limiter;
}

/** What requests to Plaid need, or null when the subject's integration or token is not known. */
export async function openReader(deps: ReaderDeps, claim: Claim, signal: AbortSignal): Promise<Reader | null> {
  const { database, directory, vault, clientFor, clock, limiter } = deps;
  const integration = await directory.find(claim.integrationId);
  if (integration === null) return null;
  const asksToken = subjectKind(claim.kind)?.access.by === "access_token";
  const [token, institutionId] = asksToken
    ? await Promise.all([findToken(database, vault, claim.integrationId, claim.id), institutionOf(database, claim)])
    : [null, null];
  if (asksToken && token === null) return null;
  return {
    database,
    clock,
    limiter,
    signal,
    client: clientFor(integration),
    scope: scopeOf(claim, token?.userId ?? null),
    environment: integration.environment,
    asker: askerOf(integration, claim.id),
    accessToken: token?.accessToken ?? null,
    unconfirmed: token && !token.confirmed ? token.sealed : null,
    institutionId,
  };
}

/** The subject's institution in the mirror, whose limits Plaid may name. */
export async function institutionOf(
  database: Database,
  { integrationId, kind, id }: Pick<Claim, "integrationId" | "kind" | "id">,
): Promise<string | null> {
  const root = rootOf(resourcesOf(kind));
  const references = root && rootTable(root)?.references;
  const reference = references?.find(({ subject }) => subject === INSTITUTION);
  return root && reference
    ? await mirroredReference(database, { integrationId, subjectId: id }, root, reference)
    : null;
}

export const scopeOf = ({ integrationId, kind, id, leaseToken }: Claim, userId: string | null): Scope => ({
  integrationId,
  kind,
  subjectId: id,
  leaseToken,
  facts: { user_id: userId },
});
