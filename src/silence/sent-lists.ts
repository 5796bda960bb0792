/** Claims the lists of sent webhooks that are due, one after the other, reads each, and decides about what it read. */
import { randomInt } from "node:crypto";
import type { Clock } from "../clock.ts";
import type { Database } from "../database/types.ts";
import type { Logger } from "../logger.ts";
import { metrics } from "../metrics.ts";
import type { Directory, KnownIntegration } from "../model/integration.ts";
import type { PlaidClient } from "../plaid/client.ts";
import { PlaidError } from "../plaid/errors.ts";
import { createLimiter, type Limiter } from "../sync/limiter.ts";
import { ClaimLost, readSent, type SentClaim } from "./read-sent.ts";
import { CLAIM_LIST, END_CLAIM, PLAN_LISTS } from "./sent-queries.ts";
import { settleSent, type SettleOptions } from "./settle-sent.ts";

export interface SentListsOptions {
  database: Database;
  directory: Directory;
  clientFor: (integration: KnownIntegration) => PlaidClient;
  clock: Clock;
  logger: Logger;
  /** between two readings of an integration's list */
  everySeconds: number;
  limitFactor: number;
  journalRetentionDays: number;
  /** see SettleOptions; 5 minutes */
  graceMs?: number;
}

const LEASE_SECONDS = 300;
/** A list that has more is read on after this, so that one that is long leaves room for the others. */
const MORE_SECONDS = 5;
/** A client to which Plaid has not opened the list is asked again after this. */
const UNAVAILABLE_SECONDS = 86_400;
const GRACE_MS = 5 * 60_000;

/** Our keys are wrong: that says nothing of the list. */
const KEYS_REFUSED = new Set(["INVALID_API_KEYS", "UNAUTHORIZED_ENVIRONMENT"]);

/** Whether Plaid's refusal says that the list is not open to this client. */
const isUnavailable = ({ httpStatus, retryClass, errorCode }: PlaidError): boolean =>
  httpStatus === 404 ||
  ((retryClass === "configuration" || retryClass === "product_unavailable") && !KEYS_REFUSED.has(errorCode));

export class SentLists {
  readonly #options: SentListsOptions;
  readonly #limiter: Limiter;

  constructor(options: SentListsOptions) {
    this.#options = options;
    this.#limiter = createLimiter(options.database, options.clock, options.limitFactor);
  }

  /** Reads the list that has been due longest. @returns whether another may be due */
  async work(signal: AbortSignal): Promise<boolean> {
    const { database, everySeconds } = this.#options;
    await database.query(PLAN_LISTS, [Math.min(everySeconds, 60)]);
    const [claim] = (await database.query<SentClaim>(CLAIM_LIST, [LEASE_SECONDS])).rows;
    if (claim === undefined) return false;
    await this.#read(claim, signal);
    return true;
  }

  async #read(claim: SentClaim, signal: AbortSignal): Promise<void> {
    const { database, directory, clientFor, everySeconds } = this.#options;
    try {
      const integration = await directory.find(claim.integration_id);
      if (integration === null) return await this.#end(claim, everySeconds, {});
      const client = clientFor(integration);
      const more = await readSent({ database, integration, client, limiter: this.#limiter, signal }, claim);
      await this.#settle(claim.integration_id);
      await this.#end(claim, more ? MORE_SECONDS : spread(everySeconds), { answered: true });
    } catch (error) {
      if (error instanceof ClaimLost) return;
      signal.throwIfAborted();
      if (!(error instanceof PlaidError)) throw error;
      // What was read before is decided all the same.
      await this.#settle(claim.integration_id);
      await this.#refused(claim, error);
    }
  }

  async #refused(claim: SentClaim, error: PlaidError): Promise<void> {
    const { everySeconds, logger } = this.#options;
    const { errorType: error_type, errorCode: error_code, retryAfterSeconds = 0 } = error;
    const shown = { error_type, error_code, at: new Date().toISOString() };
    const about = { integration_id: claim.integration_id, error_type, error_code };
    if (isUnavailable(error)) {
      logger.debug(about, "Plaid does not list its sent webhooks to this client; asking again in a day");
      await this.#end(claim, spread(UNAVAILABLE_SECONDS), { state: "unavailable", error: shown, answered: true });
      return;
    }
    logger.warn(about, "Plaid's list of sent webhooks could not be read; trying again");
    await this.#end(claim, spread(Math.max(everySeconds, retryAfterSeconds)), { error: shown });
  }

  async #settle(integrationId: string): Promise<void> {
    const { database, logger, journalRetentionDays, graceMs = GRACE_MS } = this.#options;
    const options: SettleOptions = { journalRetentionDays, graceMs };
    const recovered = await settleSent(database, integrationId, options);
    if (recovered === 0) return;
    metrics.gaps.inc({ found: "sent" }, recovered);
    logger.info(
      { integration_id: integrationId, webhooks: recovered },
      "Plaid sent webhooks that never arrived; they are journaled from its list and synced",
    );
  }

  async #end(
    { integration_id, lease }: SentClaim,
    nextInSeconds: number,
    {
      state = null,
      error = null,
      answered = false,
    }: { state?: string | null; error?: object | null; answered?: boolean },
  ): Promise<void> {
    const values = [integration_id, lease, nextInSeconds, state, error && JSON.stringify(error), answered];
    await this.#options.database.query(END_CLAIM, values);
  }
}

/** Up to a tenth more, so that lists that failed together are not read together. */
const spread = (seconds: number): number => seconds * (1 + randomInt(100) / 1000);
