/**
 * Keeps unproven webhooks durably, many in one transaction: those that come during a transaction gather for the next. Most of them are
 * forged where somebody floods an integration, so a quarantine that was full is not asked again for a moment.
 */
import type { Database } from "../database/types.ts";
import { isRepeatable } from "../database/failures.ts";
import { TartanError } from "../errors.ts";
import { metrics } from "../metrics.ts";
import type { UnprovenWebhook } from "../model/intake.ts";
import type { Accepted } from "../model/webhook.ts";
import { isDataFault } from "./failures.ts";
import type { QuarantineBounds } from "./quarantine-bounds.ts";
import { bytesOf, keepUnproven } from "./unproven.ts";

const BATCH_MAX = 200;
const BATCH_BYTES_MAX = 4 * 1024 * 1024;
const QUEUE_MAX = 1000;
const QUEUE_BYTES_MAX = 16 * 1024 * 1024;
const FULL_MS = 2_000;
const FULL_KEPT = 10_000;
/** Room comes when Plaid's keys do, so a sender that tries again soon finds the same. */
const RETRY_AFTER_SECONDS = 30;
const BUSY_RETRY_AFTER_SECONDS = 5;

interface Waiting {
  webhook: UnprovenWebhook;
  resolve: (accepted: Accepted) => void;
  reject: (error: unknown) => void;
}

/** Disposing it waits until every webhook is answered. */
export class UnprovenCommit implements AsyncDisposable {
  readonly #database: Database;
  readonly #bounds: QuarantineBounds | null;
  /** which senders of a key were turned away → until when (performance.now) */
  readonly #full = new Map<string, number>();
  #waiting: Waiting[] = [];
  #bytes = 0;
  #working: Promise<void> | null = null;

  /** @param bounds null: nothing is kept */
  constructor(database: Database, bounds: QuarantineBounds | null) {
    this.#database = database;
    this.#bounds = bounds;
  }

  accept(webhook: UnprovenWebhook): Promise<Accepted> {
    if (this.#bounds === null) return Promise.reject(notKept());
    if ((this.#full.get(nameOf(webhook)) ?? 0) > performance.now()) return Promise.reject(FULL);
    const bytes = bytesOf(webhook);
    // Not `overloaded`: another engine would take that as a sign that Postgres is away, for all webhooks.
    if (this.#waiting.length >= QUEUE_MAX || this.#bytes + bytes > QUEUE_BYTES_MAX) return Promise.reject(FULL);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ webhook, resolve, reject });
      this.#bytes += bytes;
      this.#working ??= this.#work(this.#bounds as QuarantineBounds);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#working;
  }

  async #work(bounds: QuarantineBounds): Promise<void> {
    // Those of the same turn of the event loop share the first transaction.
    await new Promise((resolve) => setImmediate(resolve));
    while (this.#waiting.length > 0) await this.#commit(this.#shift(), bounds);
    this.#working = null;
  }

  /** The next batch: one at least. */
  #shift(): Waiting[] {
    let bytes = 0;
    const beyond = this.#waiting.findIndex(
      ({ webhook }, index) => index > 0 && (index === BATCH_MAX || (bytes += bytesOf(webhook)) > BATCH_BYTES_MAX),
    );
    const batch = this.#waiting.splice(0, beyond === -1 ? this.#waiting.length : beyond);
    this.#bytes -= batch.reduce((sum, { webhook }) => sum + bytesOf(webhook), 0);
    return batch;
  }

  /** Never throws. */
  async #commit(batch: readonly Waiting[], bounds: QuarantineBounds): Promise<void> {
    const webhooks = batch.map(({ webhook }) => webhook);
    try {
      const results = await this.#database.transaction((tx) => keepUnproven(tx, webhooks, bounds));
      for (const [index, each] of batch.entries()) this.#settle(each, results[index] ?? null);
    } catch (error) {
      if (isDataFault(error) && batch.length > 1) {
        for (const each of batch) await this.#commit([each], bounds);
        return;
      }
      for (const { reject } of batch) reject(translate(error));
    }
  }

  #settle({ webhook, resolve, reject }: Waiting, result: Accepted | null): void {
    if (result === null) {
      if (this.#full.size >= FULL_KEPT) this.#full.clear();
      this.#full.set(nameOf(webhook), performance.now() + FULL_MS);
      reject(FULL);
      return;
    }
    if (result.duplicate) metrics.webhooksDuplicate.inc();
    else metrics.unproven.inc({ outcome: "kept" });
    resolve(result);
  }
}

const nameOf = ({ integrationId, vouched, keyId }: UnprovenWebhook): string => `${integrationId} ${vouched} ${keyId}`;

/** One for all: a flood makes no error with its stack for each. */
const FULL = new TartanError("quarantine_full", "Too many unproven webhooks of this integration wait for their keys.", {
  retryAfterSeconds: RETRY_AFTER_SECONDS,
});

const notKept = (): TartanError => new TartanError("not_enabled", "Unproven webhooks are not kept.");

function translate(error: unknown): unknown {
  const details = { cause: error, retryAfterSeconds: BUSY_RETRY_AFTER_SECONDS };
  const message = "The webhook could not be stored just now. Send it again.";
  if (error instanceof TartanError && (error.code === "database_unavailable" || error.code === "overloaded"))
    return new TartanError(error.code, message, details);
  return isRepeatable(error) ? new TartanError("database_unavailable", message, details) : error;
}
