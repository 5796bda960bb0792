/**
 * Exchanges a public token for an item's access token, once, and links the item.
 *
 *   claimed ─▶ Plaid is asked ─▶ its answer is in a file, sealed ─▶ item, ITEM/CREATED and outcome are stored, in one transaction ─▶ linked
 *                        ├─▶ Plaid does not know the token (any more) ─▶ failed: expired, exchanged elsewhere, or lost
 *                        └─▶ Plaid did not answer, or refuses for a while ─▶ pending again
 *
 * Plaid gives an access token once. So the request is never cut off by a stop of the process, a commit that fails is repeated, and the file is
 * taken in later if the process ends before the commit (rescued-exchanges.ts). If the answer never arrives, or the process ends before
 * it is in the file, the access token is gone: the next attempt finds that Plaid no longer knows the public token and that an attempt
 * before it had no outcome, and says `lost`.
 */
import { isPassing } from "../database/failures.ts";
import { TartanError } from "../errors.ts";
import { getItemSecret } from "../integrations/items.ts";
import type { RescueFile } from "../integrations/rescue-files.ts";
import { linkItem } from "../journal/link.ts";
import { BY_TARTAN, type Change } from "../model/change.ts";
import { noIntegration } from "../model/integration.ts";
import { newUuid, toWebhookId } from "../model/ids.ts";
import type { PublicTokenReason } from "../model/statuses.ts";
import { checked } from "../model/validation.ts";
import { PlaidError, UNREADABLE_ANSWER } from "../plaid/errors.ts";
import { growing } from "../sync/retry.ts";
import { ask } from "./ask.ts";
import type { LinkingDeps } from "./deps.ts";
import { Exchange } from "./link.schema.ts";
import { tokenSha256 } from "./link-tokens.ts";
import { recordFailed, type Claim } from "./outcomes.ts";
import {
  CLAIM_BY_TOKEN,
  FIND_PUBLIC_TOKEN,
  LEASE_SECONDS,
  NOTE_FAILURE,
  NOTE_PUBLIC_TOKEN,
  NOTE_REFUSED,
  RENEW_CLAIM,
} from "./queries.ts";
import {
  contentOf,
  linkExchanged,
  openExchange,
  takeInExchanges,
  type Exchanged,
  type LinkedByToken,
} from "./rescued-exchanges.ts";

const ENDPOINT = "/item/public_token/exchange";
/** Plaid's code where a public token is unknown, expired or exchanged. */
const UNKNOWN_TOKEN = "INVALID_PUBLIC_TOKEN";

/** The waits between attempts. */
const RETRY_MS = 1000;
const RETRY_MAX_MS = 60_000;
/** How long a commit is repeated while Postgres is away. */
const COMMIT_PATIENCE_MS = 60_000;
const COMMIT_PAUSE_MS = 250;

/**
 * Exchanges a claimed token and links its item.
 * @throws PlaidError, and the claim is settled or given back; TartanError of Postgres, and the access token stays in a file
 */
export async function exchangeClaimed(
  deps: LinkingDeps,
  claim: Claim,
  publicToken: string,
  by: Change | null = null,
): Promise<LinkedByToken> {
  const beating = keepClaim(deps, claim);
  try {
    const [rescued] = await takeInExchanges(deps, claim.id);
    if (rescued) return rescued;
    const rescue = await openExchange(deps.dataDir, claim).catch((error: unknown) => {
      deps.logger.warn({ err: error }, "no file can keep an access token while it is not in the database yet");
      return null;
    });
    const exchanged = await exchange(deps, claim, publicToken).catch(async (error: unknown) => {
      await rescue?.discard();
      await settleFailure(deps, claim, error);
      throw error;
    });
    const isKept = rescue !== null && (await keep(deps, claim, exchanged, rescue));
    const linked = await patiently(deps, () =>
      deps.database.transaction((tx) => linkExchanged(tx, deps.vault, claim, exchanged, by)),
    ).catch((error: unknown) => {
      throw isKept ? notStored(rescue.file, error) : error;
    });
    await rescue?.discard();
    return linked;
  } finally {
    beating.abort();
  }
}

/** @returns whether the access token is in the file */
async function keep(deps: LinkingDeps, claim: Claim, exchanged: Exchanged, rescue: RescueFile): Promise<boolean> {
  try {
    await rescue.keep(contentOf(deps.vault, claim, exchanged));
    return true;
  } catch (error) {
    deps.logger.warn({ err: error, item_id: exchanged.itemId }, "an access token is in no file yet");
    return false;
  }
}

const notStored = (file: string, cause: unknown): TartanError =>
  new TartanError(
    "database_unavailable",
    `Plaid has exchanged the public token, and Postgres does not store the access token. It is sealed in ${file}: once Postgres works, ` +
      "a server with this data directory takes it in within a minute. Keep the file until then.",
    { cause },
  );

async function exchange(deps: LinkingDeps, { integrationId }: Claim, public_token: string): Promise<Exchanged> {
  const about = { integrationId, itemId: null, endpoint: ENDPOINT };
  type Answer = { access_token?: unknown; item_id?: unknown };
  const { access_token: accessToken, item_id: itemId } = await ask<Answer>(deps, about, { public_token });
  if (typeof accessToken === "string" && typeof itemId === "string") return { accessToken, itemId };
  throw new PlaidError({ errorType: "NETWORK", errorCode: UNREADABLE_ANSWER, httpStatus: 200 });
}

/** Settles the claim, or gives it back for another attempt. */
export async function settleFailure(deps: LinkingDeps, claim: Claim, error: unknown): Promise<void> {
  const code = codeOf(error);
  const isUnknown = code === UNKNOWN_TOKEN;
  if (!isUnknown && !isFinal(error)) {
    const inMs = growing(RETRY_MS, RETRY_MAX_MS, claim.attempts);
    await deps.database.query(NOTE_FAILURE, [claim.id, claim.fence, code, inMs, isInDoubt(error)]);
    return;
  }
  await deps.database.transaction(async (tx) => {
    type Row = { reason: PublicTokenReason };
    const { rows } = await tx.query<Row>(NOTE_REFUSED, [claim.id, claim.fence, code, isUnknown]);
    if (rows[0]) await recordFailed(tx, claim, rows[0].reason, code);
  });
}

const codeOf = (error: unknown): string =>
  error instanceof PlaidError ? error.errorCode : error instanceof TartanError ? error.code : "internal";

/** Nothing will change the answer. Wrong credentials may be set right while the token lives. */
const isFinal = (error: unknown): boolean =>
  error instanceof PlaidError
    ? error.retryClass === "item_ended"
    : error instanceof TartanError && error.code === "not_found";

/** Plaid may have exchanged the token: its answer did not come, or it failed at the exchange. */
const isInDoubt = (error: unknown): boolean =>
  error instanceof PlaidError && (error.errorType === "NETWORK" || error.errorType === "API_ERROR");

/** Repeats a commit, on another connection, for as long as Postgres is away. */
async function patiently<T>({ clock }: LinkingDeps, commit: () => Promise<T>): Promise<T> {
  const until = clock.now() + COMMIT_PATIENCE_MS;
  for (;;) {
    try {
      return await commit();
    } catch (error) {
      if (!isPassing(error) || clock.now() >= until) throw error;
      await clock.sleep(COMMIT_PAUSE_MS);
    }
  }
}

/** Renews the claim until the result is aborted. A claim that another process took over is not renewed. */
function keepClaim({ database, clock }: LinkingDeps, { id, fence }: Claim): AbortController {
  const stop = new AbortController();
  void (async () => {
    for (;;) {
      await clock.sleep((LEASE_SECONDS * 1000) / 3, stop.signal);
      if (stop.signal.aborted) return;
      // A renewal that fails is followed by another.
      await database.query(RENEW_CLAIM, [id, fence]).catch(() => undefined);
    }
  })();
  return stop;
}

/** How long a request waits for another that exchanges the same token. */
const WAIT_MS = 10_000;
const LOOK_EVERY_MS = 100;

/**
 * Exchanges a public token for a request and links its item. A repeated request gets the same item: Plaid is asked once. The user that it names
 * becomes the item's, also where adoption was faster and knew none.
 * @throws TartanError `invalid_request` naming each field, `not_found` (integration), `public_token_refused`, `overloaded`; PlaidError
 */
export async function exchangePublicToken(
  deps: LinkingDeps,
  given: Exchange,
  by: Change = BY_TARTAN,
): Promise<LinkedByToken> {
  const { integration_id, public_token, user_id } = checked(Exchange, given, "exchange");
  if ((await deps.directory.find(integration_id)) === null) throw noIntegration(integration_id);
  const sha256 = tokenSha256(public_token);
  const { database, clock } = deps;
  await database.query(NOTE_PUBLIC_TOKEN, [newUuid(), integration_id, sha256, user_id ?? null]);
  const until = clock.now() + WAIT_MS;
  for (;;) {
    const { rows } = await database.query<Claim>(CLAIM_BY_TOKEN, [integration_id, sha256]);
    if (rows[0]) return await exchangeFor(deps, { ...rows[0], userId: user_id ?? rows[0].userId }, public_token, by);
    type Found = { status: string; item_id: string | null };
    const [found] = (await database.query<Found>(FIND_PUBLIC_TOKEN, [integration_id, sha256])).rows;
    if (found?.status === "linked" && found.item_id !== null)
      return await linkedBefore(deps, { integrationId: integration_id, itemId: found.item_id, userId: user_id });
    if (clock.now() >= until) throw beingExchanged();
    await clock.sleep(LOOK_EVERY_MS);
  }
}

/** The token was exchanged before. A user who is named only now is given to the item, as ITEM/CREATED with the same access token does. */
async function linkedBefore(
  { database, vault }: LinkingDeps,
  { integrationId, itemId, userId }: { integrationId: string; itemId: string; userId: string | undefined },
): Promise<LinkedByToken> {
  const known = userId === undefined ? null : await getItemSecret(database, vault, integrationId, itemId);
  if (known === null || known.user_id === userId) return { item_id: itemId, webhook_id: null, created: false };
  const item = { integrationId, itemId, accessToken: known.access_token, userId };
  const { id } = await linkItem({ database, vault }, item);
  return { item_id: itemId, webhook_id: toWebhookId(id), created: false };
}

const beingExchanged = (): TartanError =>
  new TartanError("overloaded", "The public token is being exchanged just now. Send the request again.", {
    retryAfterSeconds: LEASE_SECONDS,
  });

async function exchangeFor(deps: LinkingDeps, claim: Claim, publicToken: string, by: Change): Promise<LinkedByToken> {
  try {
    return await exchangeClaimed(deps, claim, publicToken, by);
  } catch (error) {
    if (!(error instanceof PlaidError) || error.errorCode !== UNKNOWN_TOKEN) throw error;
    const message =
      "Plaid does not exchange this public token: it is older than 30 minutes, was exchanged before, or belongs to another Plaid client.";
    const fields = { public_token: "is not one that Plaid exchanges; have the user link again" };
    throw new TartanError("public_token_refused", message, { cause: error, fields });
  }
}
