/**
 * Looks into Plaid's webhooks about sessions of Link, after they were accepted. Sync's marker notes their ids in its transaction, so none is
 * missed; each is then looked into in a transaction of its own.
 *
 *   its Link token is known ─▶ the session, and its webhooks, get their user
 *   ITEM_ADD_RESULT, SESSION_FINISHED ─▶ their public tokens are noted, where they are adopted
 *   SESSION_FINISHED in update mode ─▶ the item was repaired by its user, and is due
 */
import { isPassing } from "../database/failures.ts";
import type { Database, Queryable } from "../database/types.ts";
import { describeError } from "../errors.ts";
import { storeSubject } from "../integrations/subjects.ts";
import type { Vault } from "../integrations/vault.ts";
import {
  addInfo,
  backfillUser,
  holdWebhook,
  wholeWebhook,
  type Arrived,
  type WholeWebhook,
} from "../journal/served.ts";
import type { Logger } from "../logger.ts";
import { newUuid, toPublicTokenId, toWebhookId } from "../model/ids.ts";
import type { PublicTokenReason, PublicTokenStatus } from "../model/statuses.ts";
import { storableText } from "../plaid/webhooks.ts";
import { LINK_SESSION } from "../resources/subjects.ts";
import { repaired } from "../sync/notices.ts";
import { tokenSha256 } from "./link-tokens.ts";
import {
  BROUGHT_BY,
  DROP_ARRIVAL,
  FIND_LINK_TOKEN,
  NOTE_ADOPTED,
  NOTE_ARRIVALS,
  NOTE_BROUGHT,
  NOTIFY,
  OUTCOMES,
  SHORT_LOCK_WAIT,
  TAKE_ARRIVAL,
  UNWATCH,
} from "./queries.ts";
import { FOUND_BY, watchedId } from "./watched-tokens.ts";

/** Only what Plaid says itself: it signed the webhook, or its API says it. */
const SOURCES: ReadonlySet<string> = new Set(["PLAID", "RECONCILER"]);

/** Notes the webhooks about sessions of Link, in the transaction of sync's marker. */
export async function noteArrivals(tx: Queryable, webhooks: readonly Arrived[]): Promise<void> {
  const ids = webhooks.flatMap(({ id, type, source }) => (type === "LINK" && SOURCES.has(source) ? [id] : []));
  if (ids.length === 0) return;
  await tx.query(NOTE_ARRIVALS, [ids]);
  await tx.query(NOTIFY);
}

interface SessionDeps {
  database: Database;
  vault: Vault;
  logger: Logger;
}

const LEAST_UUID = "00000000-0000-0000-0000-000000000000";

/**
 * Looks into the oldest noted webhook behind the UUID `behind`. None holds up another: one that cannot be looked into is dropped, and one
 * whose item a run or an erasure has locked stays noted.
 * @returns its UUID; null where none is left
 */
export async function lookInto({ database, vault, logger }: SessionDeps, behind = LEAST_UUID): Promise<string | null> {
  let id: string | null = null;
  try {
    return await database.transaction(async (tx) => {
      id = (await tx.query<{ id: string }>(TAKE_ARRIVAL, [behind])).rows[0]?.id ?? null;
      const webhook = id === null ? null : await wholeWebhook(tx, id);
      if (id !== null && webhook) await settle(tx, vault, id, webhook);
      return id;
    });
  } catch (error) {
    if (id === null) throw error;
    const about = { error: describeError(error), webhook_id: toWebhookId(id) };
    if (isPassing(error)) {
      logger.warn(about, "a webhook of Link waits for others that work on its item");
      return id;
    }
    logger.error(about, "a webhook of Link could not be looked into");
    await database.query(DROP_ARRIVAL, [id]);
    return id;
  }
}

interface KnownLink {
  userId: string | null;
  /** of update mode */
  itemId: string | null;
  adopt: boolean;
}

async function settle(tx: Queryable, vault: Vault, id: string, webhook: WholeWebhook): Promise<void> {
  const { integrationId, code, fields } = webhook;
  const linkToken = fields["link_token"];
  const sha256 = typeof linkToken === "string" ? tokenSha256(linkToken) : null;
  const [link] = (await tx.query<KnownLink>(FIND_LINK_TOKEN, [sha256, integrationId])).rows;
  // The integration was deleted.
  if (!link) return;
  const { itemId, userId } = link;
  const isSuccess = code === "SESSION_FINISHED" && fields["status"] === "SUCCESS";
  if (itemId !== null) {
    if (isSuccess) {
      await tx.query(SHORT_LOCK_WAIT);
      await repaired(tx, { integrationId, itemId, at: endOf(webhook) });
    }
  } else if (link.adopt && (code === "SESSION_FINISHED" || code === "ITEM_ADD_RESULT"))
    await noteTokens(tx, id, webhook, userId);
  if (userId !== null) await giveUser(tx, vault, webhook, userId);
  if (isSuccess && typeof linkToken === "string") await tx.query(UNWATCH, [watchedId(linkToken)]);
}

/** When the session ended: Plaid sends its webhook then; where none came, Plaid was asked later. */
function endOf({ fields, sentAt }: WholeWebhook): Date {
  const { found_by, finished_at } = fields;
  const at = new Date(found_by === FOUND_BY && typeof finished_at === "string" ? finished_at : Number.NaN);
  return at < sentAt ? at : sentAt;
}

/** The session is registered with its user, so that what its runs record has it too. */
async function giveUser(
  tx: Queryable,
  vault: Vault,
  { integrationId, subject, userId: known }: WholeWebhook,
  userId: string,
): Promise<void> {
  if (subject?.kind !== LINK_SESSION.kind || known !== null) return;
  const key = { integrationId, ...subject };
  await storeSubject(tx, vault, { ...key, userId });
  await backfillUser(tx, key, userId);
}

/** A session adds a few items; more tokens than these are no session of Plaid's. */
const TOKENS_MAX = 50;

async function noteTokens(
  tx: Queryable,
  webhookId: string,
  webhook: WholeWebhook,
  userId: string | null,
): Promise<void> {
  const { integrationId, fields } = webhook;
  const session = storableText(fields["link_session_id"]);
  let isSettled = false;
  for (const token of publicTokensIn(fields)) {
    const about = [newUuid(), integrationId, tokenSha256(token), userId, session, webhookId, endOf(webhook)];
    type Row = { id: string; status: PublicTokenStatus };
    const [noted] = (await tx.query<Row>(NOTE_ADOPTED, about)).rows;
    await tx.query(NOTE_BROUGHT, [webhookId, noted?.id]);
    isSettled ||= noted?.status === "linked" || noted?.status === "failed";
  }
  if (isSettled) await showOutcomes(tx, webhookId);
}

/** `public_tokens`, and `public_token` in older webhooks; each once, in one order for all transactions. */
export function publicTokensIn(fields: Readonly<Record<string, unknown>>): string[] {
  const { public_token: one, public_tokens: several } = fields;
  const all = [one, ...(Array.isArray(several) ? (several as unknown[]) : [])];
  const tokens = all.filter((token): token is string => typeof token === "string" && token.startsWith("public-"));
  return [...new Set(tokens)].toSorted().slice(0, TOKENS_MAX);
}

interface Outcome {
  id: string;
  status: PublicTokenStatus;
  item_id: string | null;
  reason: PublicTokenReason | null;
  last_error: string | null;
}

/**
 * Writes what became of a webhook's public tokens to its `update_info`. Several may end at once: each reads the others' outcomes only when
 * it holds the webhook.
 */
async function showOutcomes(tx: Queryable, webhookId: string): Promise<void> {
  await holdWebhook(tx, webhookId);
  const { rows } = await tx.query<Outcome>(OUTCOMES, [webhookId]);
  const adoptions = rows.map(({ id, ...outcome }) => ({ id: toPublicTokenId(id), ...outcome }));
  if (adoptions.length > 0) await addInfo(tx, webhookId, { adoptions });
}

/** The same for every webhook that brought the public token. */
export async function showOutcome(tx: Queryable, publicTokenId: string): Promise<void> {
  const { rows } = await tx.query<{ id: string }>(BROUGHT_BY, [publicTokenId]);
  for (const { id } of rows.toSorted((a, b) => (a.id < b.id ? -1 : 1))) await showOutcomes(tx, id);
}
