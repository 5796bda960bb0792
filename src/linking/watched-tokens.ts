/**
 * Sessions of Link whose end no webhook announces: it was lost, or Plaid sends this account none. So Plaid is asked (/link/token/get) about each
 * Link token that Tartan made and whose sessions repair an item or add items that are adopted.
 *
 *   made ─▶ due after 5 minutes ─claimed▶ Plaid is asked ─▶ due again: every 5 minutes in the first hour, 20 on the first day, then 60
 *                                             ├▶ a session ended well, and no webhook says so: it is journaled as one that was missed
 *                                             └▶ an hour after the token's end, or Plaid does not know it: over
 *   SESSION_FINISHED with SUCCESS was looked into, from Plaid or from here ─▶ over
 *
 * The webhook that is journaled has what Plaid's has. So it goes the same way: its public tokens are adopted, or its item is due.
 */
import { hash } from "node:crypto";
import type { Queryable } from "../database/types.ts";
import { linkToken as placeOf } from "./sealed.ts";
import { beginSealing } from "../integrations/sealing.ts";
import type { Vault } from "../integrations/vault.ts";
import { append } from "../journal/append.ts";
import { metrics } from "../metrics.ts";
import { newUuid, toWebhookId } from "../model/ids.ts";
import type { NewWebhook } from "../model/webhook.ts";
import { PlaidError } from "../plaid/errors.ts";
import { storableText } from "../plaid/webhooks.ts";
import { LINK_SESSION } from "../resources/subjects.ts";
import { ask } from "./ask.ts";
import type { LinkingDeps } from "./deps.ts";
import { ASK_SOON, CLAIM_WATCHED, HOLD_WATCHED, ANNOUNCED, UNWATCH, WATCH } from "./queries.ts";
import { sessionsIn, type Session } from "./token-sessions.ts";

const ENDPOINT = "/link/token/get";
/** Plaid's code where a Link token is unknown, or ended long ago. */
const UNKNOWN_TOKEN = "INVALID_LINK_TOKEN";
/** Plaid's webhook about the end of a session may be on its way for so long. */
const GRACE_MS = 2 * 60_000;

/** `found_by` in what is journaled here, in the list of gaps, and in the metric. */
export const FOUND_BY = "link_token";

/** Of a Link token: the key of its row. */
export const watchedId = (linkToken: string): string => hash("sha256", linkToken, "hex");

/** Watches a Link token that was stored in the same transaction. */
export async function watch(
  tx: Queryable,
  vault: Vault,
  { integrationId, linkToken }: { integrationId: string; linkToken: string },
): Promise<void> {
  await beginSealing(tx, vault);
  const id = watchedId(linkToken);
  await tx.query(WATCH, [id, integrationId, vault.seal(linkToken, placeOf(id))]);
}

/** A Link token that this process may ask about. */
export interface WatchedToken {
  id: string;
  integrationId: string;
  sealed: Buffer;
  /** how often Plaid was asked, with this time */
  asked: number;
  /** of update mode */
  itemId: string | null;
  environment: string;
  /** its sessions still matter */
  isWanted: boolean;
  isLast: boolean;
}

export const claimWatched = async (q: Queryable, count: number): Promise<WatchedToken[]> =>
  count <= 0 ? [] : (await q.query<WatchedToken>(CLAIM_WATCHED, [count])).rows;

export interface WatchDeps extends LinkingDeps {
  /** how long Plaid's own webhook may be on its way; 2 minutes when absent */
  graceMs?: number;
}

/**
 * Asks Plaid about a Link token, and journals the ends of its sessions that no webhook announced.
 * @returns `whk_…` of what it journaled
 * @throws PlaidError; TartanError of Postgres, `overloaded`, `vault_unsealable`. The token is asked about again later
 */
export async function askAboutSessions(deps: WatchDeps, watched: WatchedToken): Promise<string[]> {
  const { id, integrationId, sealed, isWanted, isLast } = watched;
  const unwatch = () => deps.database.query(UNWATCH, [id]);
  const linkToken = isWanted ? deps.vault.open(sealed, placeOf(id)) : null;
  const answer = linkToken === null ? null : await askPlaid(deps, integrationId, linkToken);
  if (linkToken === null || answer === null) {
    await unwatch();
    return [];
  }
  const ended = sessionsIn(answer).filter((session) => matters(session, watched));
  const { webhooks, isFresh } = await journalUntold(deps, watched, linkToken, ended);
  if (isLast && !isFresh) await unwatch();
  return webhooks;
}

/** Null where Plaid does not know the Link token (any more). */
async function askPlaid(
  deps: WatchDeps,
  integrationId: string,
  link_token: string,
): Promise<Readonly<Record<string, unknown>> | null> {
  try {
    return await ask(deps, { integrationId, itemId: null, endpoint: ENDPOINT }, { link_token });
  } catch (error) {
    if (error instanceof PlaidError && error.errorCode === UNKNOWN_TOKEN) return null;
    throw error;
  }
}

/** In update mode a session adds no item, and must have ended well. Where items are added, their public tokens count. */
const matters = ({ isSuccess, publicTokens }: Session, { itemId }: WatchedToken): boolean =>
  itemId === null ? publicTokens.length > 0 : isSuccess;

/** @returns `whk_…` of what it journaled, and whether a session ended so lately that Plaid is to be asked again soon */
async function journalUntold(
  { database, graceMs = GRACE_MS }: WatchDeps,
  watched: WatchedToken,
  linkToken: string,
  ended: readonly Session[],
): Promise<{ webhooks: string[]; isFresh: boolean }> {
  const { id, integrationId, asked } = watched;
  if (ended.length === 0) return { webhooks: [], isFresh: false };
  const found = await database.transaction(async (tx) => {
    if ((await tx.query(HOLD_WATCHED, [id, asked])).rowCount === 0) return { journaled: [], isFresh: false };
    const unannounced: (Session & { isFresh: boolean })[] = [];
    for (const session of ended) {
      type Row = { isFresh: boolean; isAnnounced: boolean };
      const [row] = (await tx.query<Row>(ANNOUNCED, [integrationId, session.id, session.finishedAt, graceMs])).rows;
      if (row && !row.isAnnounced) unannounced.push({ ...session, isFresh: row.isFresh });
    }
    const missed = unannounced.filter(({ isFresh }) => !isFresh);
    const webhooks = missed.map((session) => webhookOf(watched, linkToken, session));
    const isFresh = missed.length < unannounced.length;
    if (isFresh) await tx.query(ASK_SOON, [id]);
    return { journaled: await append(tx, webhooks), isFresh };
  });
  if (found.journaled.length > 0) metrics.gaps.inc({ found: FOUND_BY }, found.journaled.length);
  return { webhooks: found.journaled.map((webhook) => toWebhookId(webhook.id)), isFresh: found.isFresh };
}

/** Plaid's SESSION_FINISHED, with two more fields: how Tartan knows of the session, and when that ended. */
function webhookOf({ integrationId, environment }: WatchedToken, linkToken: string, session: Session): NewWebhook {
  const receivedAt = new Date();
  const body = {
    webhook_type: "LINK",
    webhook_code: "SESSION_FINISHED",
    status: "SUCCESS",
    link_session_id: session.id,
    link_token: linkToken,
    public_tokens: session.publicTokens,
    environment,
    found_by: FOUND_BY,
    finished_at: session.finishedAt.toISOString(),
  };
  return {
    id: newUuid(receivedAt),
    integrationId,
    source: "RECONCILER",
    subject: { kind: LINK_SESSION.kind, id: session.id },
    itemId: null,
    webhookType: body.webhook_type,
    webhookCode: body.webhook_code,
    environment: storableText(environment),
    receivedAt,
    body: Buffer.from(JSON.stringify(body)),
    proof: null,
  };
}
