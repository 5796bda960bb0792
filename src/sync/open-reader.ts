/** Opens what the requests of one run need: the client, the token of the item or of another subject, and whose rate limits count. */
import type { Clock } from "../clock.ts";
import type { Database, Queryable } from "../database/types.ts";
import type { Directory, KnownIntegration } from "../model/integration.ts";
import { findSubject } from "../integrations/subjects.ts";
import { findToken } from "../integrations/tokens.ts";
import type { Vault } from "../integrations/vault.ts";
import { newestField } from "../journal/served.ts";
import { mirroredReference } from "../mirror/apply.ts";
import type { Scope } from "../mirror/types.ts";
import type { PlaidClient } from "../plaid/client.ts";
import { resourcesOf, rootOf, rootTable, subjectKind } from "../resources/index.ts";
import { INSTITUTION } from "../resources/subjects.ts";
import type { Access } from "../resources/types.ts";
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

/** What Postgres has that requests about a subject need; null credentials: its token is not known. */
export interface Known {
  credentials: Credentials | null;
  institutionId: string | null;
}

/**
 * Reads what the requests of a run need. All of the usual statements are sent before it returns.
 * @throws TartanError `vault_unsealable`
 */
export async function readKnown(q: Queryable, vault: Vault, claim: Claim): Promise<Known> {
  if (!isItem(claim)) return { credentials: await ofOther(q, vault, claim), institutionId: null };
  const [credentials, institutionId] = await Promise.all([ofItem(q, vault, claim), institutionOf(q, claim)]);
  return { credentials, institutionId };
}

const isItem = ({ kind }: Claim): boolean => subjectKind(kind)?.access.by === "access_token";

/**
 * What requests to Plaid need, or null when the subject's integration or token is not known.
 * @param permissiblePurpose as read with what the integration enables, since the directory may be older
 */
export async function openReader(
  deps: ReaderDeps,
  claim: Claim,
  { credentials, institutionId, permissiblePurpose }: Known & { permissiblePurpose: string | null },
  signal: AbortSignal,
): Promise<Reader | null> {
  const { database, directory, clientFor, clock, limiter } = deps;
  const integration = await directory.find(claim.integrationId);
  if (integration === null || credentials === null) return null;
  return {
    database,
    clock,
    limiter,
    signal,
    client: clientFor(integration),
    scope: scopeOf(claim, credentials.userId),
    environment: integration.environment,
    asker: askerOf(integration, claim.id, permissiblePurpose),
    credentials: credentials.fields,
    itemId: isItem(claim) ? claim.id : null,
    namedAt: namedAtOf(subjectKind(claim.kind)?.access),
    unconfirmed: credentials.unconfirmed,
    institutionId,
  };
}

/** Where answers have the id of the subject of a token. */
function namedAtOf(access: Access | undefined): string | null {
  if (access?.by === "access_token") return "item.item_id";
  return access?.by === "token" ? (access.namedAt ?? null) : null;
}

/** What the requests about a subject carry, and what is known of it. */
interface Credentials {
  fields: Readonly<Record<string, string>>;
  userId: string | null;
  unconfirmed: Buffer | null;
}

/** Null when its token is not known. */
async function ofItem(q: Queryable, vault: Vault, { integrationId, id }: Claim): Promise<Credentials | null> {
  const token = await findToken(q, vault, integrationId, id);
  if (token === null) return null;
  const { accessToken, userId, confirmed, sealed } = token;
  return { fields: { access_token: accessToken }, userId, unconfirmed: confirmed ? null : sealed };
}

/** The same for a subject that belongs to no item. */
async function ofOther(q: Queryable, vault: Vault, claim: Claim): Promise<Credentials | null> {
  const access = subjectKind(claim.kind)?.access ?? { by: "nothing" };
  if (access.by === "nothing" || access.by === "access_token") return { fields: {}, userId: null, unconfirmed: null };
  const known = await findSubject(q, vault, claim);
  const token = known?.token ?? null;
  const fields = access.by === "id" ? byId(claim.id, access, token) : await byToken(q, claim, access, token);
  return fields && { fields, userId: known?.userId ?? null, unconfirmed: null };
}

const byId = (id: string, { as, orToken }: Extract<Access, { by: "id" }>, token: string | null) =>
  token !== null && orToken !== undefined ? { [orToken]: token } : { [as]: id };

async function byToken(
  q: Queryable,
  claim: Claim,
  { as, inWebhook }: Extract<Access, { by: "token" }>,
  stored: string | null,
): Promise<Record<string, string> | null> {
  const token = stored ?? (inWebhook === undefined ? null : await newestField(q, claim, inWebhook));
  return token === null ? null : { [as]: token };
}

/** The subject's institution in the mirror, whose limits Plaid may name. */
export async function institutionOf(
  q: Queryable,
  { integrationId, kind, id }: Pick<Claim, "integrationId" | "kind" | "id">,
): Promise<string | null> {
  const root = rootOf(resourcesOf(kind));
  const references = root && rootTable(root)?.references;
  const reference = references?.find(({ subject }) => subject === INSTITUTION);
  return root && reference ? await mirroredReference(q, { integrationId, subjectId: id }, root, reference) : null;
}

export const scopeOf = ({ integrationId, kind, id, leaseToken }: Claim, userId: string | null): Scope => ({
  integrationId,
  kind,
  subjectId: id,
  leaseToken,
  facts: { user_id: userId },
});
