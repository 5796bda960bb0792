/**
 * The worker of linking: it looks into the webhooks about sessions of Link, exchanges the public tokens that are adopted, each once, and asks
 * Plaid about sessions whose end no webhook announces.
 * Any number of processes may do so. A public token is claimed with a lease; its text stays in the webhook that brought it.
 *
 * The backend may post ITEM/CREATED for the same item at the same instant. Both transactions write the item's one row, and both access
 * tokens are Plaid's for this item, so whichever is written last works.
 */
import { startWorkerLoop, type WorkerLoop } from "../database/worker-loop.ts";
import { describeError, TartanError } from "../errors.ts";
import { wholeWebhook } from "../journal/served.ts";
import { metrics } from "../metrics.ts";
import { toPublicTokenId, toWebhookId } from "../model/ids.ts";
import type { PublicTokenReason } from "../model/statuses.ts";
import { exchangeClaimed, settleFailure } from "./exchange.ts";
import { tokenSha256 } from "./link-tokens.ts";
import { recordFailed, type Claim } from "./outcomes.ts";
import { CHANNEL, CLAIM_DUE, EXPIRE, WORK } from "./queries.ts";
import { lookInto, publicTokensIn } from "./sessions.ts";
import { askAboutSessions, claimWatched, type WatchDeps, type WatchedToken } from "./watched-tokens.ts";

export interface LinkingOptions extends WatchDeps {
  pollMs: number;
}

/** Exchanges at the same time in this process, and questions about Link tokens, which must not delay them. */
const ADOPTED_AT_ONCE = 8;
const ASKED_AT_ONCE = 4;
/** Arrivals that one round looks into, and tokens that it ends, before it claims. */
const ARRIVALS_A_ROUND = 50;
const EXPIRED_A_ROUND = 100;

/** Starts the worker. Disposing it waits for the exchanges under way, since an answer that is not waited for is an access token lost. */
export async function startLinking(options: LinkingOptions): Promise<AsyncDisposable> {
  const { database, clock, logger, pollMs } = options;
  const [adopting, asking] = [new Set<Promise<void>>(), new Set<Promise<void>>()];
  let loop: WorkerLoop | undefined = undefined;
  const begin = (among: Set<Promise<void>>, work: Promise<void>): void => {
    const begun = work.finally(() => {
      among.delete(begun);
      loop?.wake();
    });
    among.add(begun);
  };
  loop = await startWorkerLoop({
    database,
    clock,
    logger,
    channels: [CHANNEL],
    pollMs,
    trouble: "cannot look into sessions of Link; trying again",
    work: async () => {
      const { rows } = await database.query<{ any: boolean }>(WORK);
      if (rows[0]?.any !== true) return false;
      const more = await lookIntoSome(options);
      const ended = await expire(options);
      const claims = await claimDue(options, ADOPTED_AT_ONCE - adopting.size);
      for (const claim of claims) begin(adopting, adopt(options, claim));
      const watched = await claimWatched(database, ASKED_AT_ONCE - asking.size);
      for (const token of watched) begin(asking, askAbout(options, token));
      return more || ended || (claims.length > 0 && adopting.size < ADOPTED_AT_ONCE);
    },
  });
  return {
    [Symbol.asyncDispose]: async () => {
      await loop[Symbol.asyncDispose]();
      await Promise.allSettled([...adopting, ...asking]);
    },
  };
}

/** @returns whether there may be more */
async function lookIntoSome(options: LinkingOptions): Promise<boolean> {
  let last: string | undefined = undefined;
  for (let done = 0; done < ARRIVALS_A_ROUND; done += 1) {
    const next: string | null = await lookInto(options, last);
    if (next === null) return false;
    last = next;
  }
  return true;
}

/** Asks about one Link token; never rejects. A failure is no news: it is asked about again. */
async function askAbout(options: LinkingOptions, token: WatchedToken): Promise<void> {
  const { integrationId: integration_id } = token;
  try {
    for (const webhook_id of await askAboutSessions(options, token))
      options.logger.warn({ integration_id, webhook_id }, "a session of Link ended, and no webhook announced it");
  } catch (error) {
    options.logger.debug({ integration_id, error: describeError(error) }, "cannot ask Plaid about a Link token");
  }
}

interface DueClaim extends Claim {
  tokenSha256: Buffer;
}

async function claimDue({ database }: LinkingOptions, free: number): Promise<DueClaim[]> {
  return free <= 0 ? [] : (await database.query<DueClaim>(CLAIM_DUE, [free])).rows;
}

/** Adopts one item; never rejects. */
async function adopt(options: LinkingOptions, claim: DueClaim): Promise<void> {
  const { logger } = options;
  const { integrationId, webhookId } = claim;
  const about = { integration_id: integrationId, public_token: toPublicTokenId(claim.id) };
  try {
    const publicToken = await findToken(options, claim);
    if (publicToken === null) return await settleFailure(options, claim, erased());
    const { item_id } = await exchangeClaimed(options, claim, publicToken);
    metrics.adoptions.inc({ outcome: "linked" });
    logger.info({ ...about, item_id, webhook_id: webhookId && toWebhookId(webhookId) }, "an item was adopted");
  } catch (error) {
    metrics.adoptions.inc({ outcome: "failed" });
    logger.warn({ ...about, error: describeError(error) }, "a public token was not exchanged");
  }
}

const erased = (): TartanError => new TartanError("not_found", "The webhook that brought the public token was erased.");

/** The token, from the webhook that brought it. */
async function findToken({ database }: LinkingOptions, claim: DueClaim): Promise<string | null> {
  const webhook = claim.webhookId === null ? null : await wholeWebhook(database, claim.webhookId);
  const tokens = publicTokensIn(webhook?.fields ?? {});
  return tokens.find((token) => tokenSha256(token).equals(claim.tokenSha256)) ?? null;
}

/** Ends tokens whose 30 minutes are over. @returns whether there may be more */
async function expire({ database, logger }: LinkingOptions): Promise<boolean> {
  type Row = Claim & { reason: PublicTokenReason; lastError: string | null };
  const over = await database.transaction(async (tx) => {
    const { rows } = await tx.query<Row>(EXPIRE, [EXPIRED_A_ROUND]);
    for (const { reason, lastError, ...claim } of rows) await recordFailed(tx, claim, reason, lastError);
    return rows;
  });
  for (const { id, reason } of over) {
    metrics.adoptions.inc({ outcome: "failed" });
    logger.warn({ public_token: toPublicTokenId(id), reason }, "a public token was not exchanged in time");
  }
  return over.length === EXPIRED_A_ROUND;
}
