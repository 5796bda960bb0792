/**
 * Makes webhooks durable, many at a time. Each caller's promise settles when the commit that holds its webhook is done;
 * while one commit is under way, those who come meanwhile gather for the next.
 *
 *   accept → waiting → in a batch → committed → answered
 *                                 → refused by Postgres for its data → halved, until the one at fault stands alone
 *                                 → Postgres away → every one of the batch is told so; the sender sends it again
 *
 * It is the hottest path of Tartan. The batch's size is what the commit's duration makes it: none waits on purpose.
 */
import { urgent } from "../database/pool.ts";
import type { Database, Queryable } from "../database/types.ts";
import { describeError, TartanError } from "../errors.ts";
import type { Logger } from "../logger.ts";
import { metrics } from "../metrics.ts";
import { appendQuietly } from "./append.ts";
import { isDataFault, sqlState } from "./failures.ts";
import { openHint, type Hint } from "./hint.ts";
import type { Appended, NewWebhook } from "./types.ts";

/** Larger batches gain nothing more (measured), and make the first of a batch wait for the last. */
const BATCH_MAX = 200;
/** Two, so that one encodes and inserts while the other waits for the disk. */
const IN_FLIGHT_MAX = 2;
/** Below this a second batch would only split what the first could have carried. */
const SECOND_FLIGHT_FROM = 64;
/** Retrying at once would meet the same queue. */
const RETRY_AFTER_SECONDS = 5;
const REPEATS = 3;
/** Plaid hangs up after 10 s, so whoever has waited this long for a batch is better told to come again. */
const WAIT_MAX_MS = 5_000;
const LOOK_EVERY_MS = 500;
/** A failure says nothing of now once it is this old and nothing was tried since. */
const FAILURE_COUNTS_MS = 30_000;

export interface AcceptOptions {
  database: Database;
  /** webhooks that may wait for their commit; beyond it they are refused */
  queueMax: number;
  logger: Logger;
}

export interface Accept extends AsyncDisposable {
  /**
   * Journals the webhook, marks its subject due, and says so once both are committed.
   * @throws TartanError `overloaded` or `database_unavailable`, both with `retryAfterSeconds`: nothing is known to be
   * stored, and the sender must send it again
   */
  accept(webhook: NewWebhook): Promise<Appended>;
  /** Why webhooks cannot be stored just now, in one sentence; null while they can. */
  problem(): string | null;
}

interface Waiting {
  webhook: NewWebhook;
  since: number;
  resolve: (appended: Appended) => void;
  reject: (error: unknown) => void;
}

/** Opens the group commit; disposing it waits until everything accepted is answered. */
export function openAccept(options: AcceptOptions): Accept {
  return new GroupCommit(options);
}

class GroupCommit implements Accept {
  readonly #database: Queryable;
  readonly #queueMax: number;
  readonly #logger: Logger;
  readonly #hint: Hint;
  readonly #impatience: NodeJS.Timeout;
  readonly #flights = new Set<readonly Waiting[]>();
  #waiting: Waiting[] = [];
  #failure: { at: number; message: string } | null = null;
  #scheduled = false;
  #closed = false;
  #drained: (() => void) | null = null;

  constructor({ database, queueMax, logger }: AcceptOptions) {
    // Whatever else keeps the pool busy does not keep webhooks waiting.
    this.#database = urgent(database);
    this.#queueMax = queueMax;
    this.#logger = logger;
    this.#hint = openHint(this.#database);
    this.#impatience = setInterval(() => this.#sendAway(), LOOK_EVERY_MS).unref();
  }

  accept(webhook: NewWebhook): Promise<Appended> {
    if (this.#closed) return Promise.reject(overloaded("This process is stopping; send the webhook again."));
    if (this.#waiting.length >= this.#queueMax)
      return Promise.reject(overloaded("Too many webhooks wait to be stored; send it again a little later."));
    return new Promise((resolve, reject) => {
      this.#waiting.push({ webhook, since: performance.now(), resolve, reject });
      if (this.#scheduled) return;
      // Signatures are proven in batches, so webhooks come in batches: the first must not leave the others behind.
      this.#scheduled = true;
      setImmediate(() => {
        this.#scheduled = false;
        this.#pump();
      });
    });
  }

  problem(): string | null {
    const now = performance.now();
    const oldest = Math.min(now, ...[...this.#flights].map(([first]) => first?.since ?? now));
    if (now - oldest > WAIT_MAX_MS / 2) return "a commit of webhooks does not end";
    const failure = this.#failure;
    return failure && now - failure.at < FAILURE_COUNTS_MS ? failure.message : null;
  }

  /** A commit that does not end must not make those wait without end who are not even part of it. */
  #sendAway(): void {
    const since = performance.now() - WAIT_MAX_MS;
    const end = this.#waiting.findIndex((each) => each.since > since);
    const late = this.#waiting.splice(0, end === -1 ? this.#waiting.length : end);
    for (const { reject } of late) reject(overloaded("Webhooks are not stored fast enough; send it again."));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    if (this.#flights.size > 0 || this.#waiting.length > 0)
      await new Promise<void>((resolve) => {
        this.#drained = resolve;
      });
    clearInterval(this.#impatience);
    await this.#hint[Symbol.asyncDispose]();
  }

  #pump(): void {
    while (this.#waiting.length > 0 && this.#mayFly()) {
      const batch = this.#waiting.length <= BATCH_MAX ? this.#waiting.splice(0) : this.#waiting.splice(0, BATCH_MAX);
      this.#flights.add(batch);
      void this.#fly(batch);
    }
    if (this.#flights.size === 0) this.#drained?.();
  }

  #mayFly(): boolean {
    if (this.#flights.size === 0) return true;
    return this.#flights.size < IN_FLIGHT_MAX && this.#waiting.length >= SECOND_FLIGHT_FROM;
  }

  async #fly(batch: readonly Waiting[]): Promise<void> {
    metrics.acceptWaiting.set(this.#waiting.length);
    metrics.acceptBatchSize.observe(batch.length);
    await this.#commit(batch);
    this.#flights.delete(batch);
    this.#pump();
  }

  /** Never throws: every outcome is told to those who wait. */
  async #commit(batch: readonly Waiting[]): Promise<void> {
    try {
      const appended = await this.#append(batch);
      this.#failure = null;
      countAccepted(batch, appended);
      for (const [index, { resolve }] of batch.entries()) resolve(appended[index] as Appended);
      this.#hint.give();
    } catch (error) {
      if (isDataFault(error) && batch.length > 1) {
        const middle = batch.length >> 1;
        await this.#commit(batch.slice(0, middle));
        await this.#commit(batch.slice(middle));
        return;
      }
      const told = translate(error);
      if (told !== error) this.#failure = { at: performance.now(), message: describeError(error).message };
      this.#logger.error({ error, webhooks: batch.length }, "webhooks could not be journaled");
      for (const { reject } of batch) reject(told);
    }
  }

  /** Deadlocks and serialization failures left nothing behind, so the same batch may be sent again. */
  async #append(batch: readonly Waiting[]): Promise<Appended[]> {
    const webhooks = batch.map(({ webhook }) => webhook);
    for (let repeat = 0; ; repeat += 1) {
      try {
        return await appendQuietly(this.#database, webhooks);
      } catch (error) {
        if (repeat === REPEATS || !sqlState(error).startsWith("40")) throw error;
      }
    }
  }
}

function countAccepted(batch: readonly Waiting[], appended: readonly Appended[]): void {
  const bySource = new Map<string, number>();
  let duplicates = 0;
  for (const [index, { webhook }] of batch.entries()) {
    if (appended[index]?.duplicate) duplicates += 1;
    else bySource.set(webhook.source, (bySource.get(webhook.source) ?? 0) + 1);
  }
  if (duplicates > 0) metrics.webhooksDuplicate.inc(duplicates);
  for (const [source, count] of bySource) metrics.webhooksAccepted.inc({ source }, count);
}

const overloaded = (message: string): TartanError =>
  new TartanError("overloaded", message, { retryAfterSeconds: RETRY_AFTER_SECONDS });

/** What the sender is told: out of space, out of memory, shutting down and read-only all mean later. */
function translate(error: unknown): unknown {
  const message = "The webhook could not be stored just now; send it again.";
  const details = { cause: error, retryAfterSeconds: RETRY_AFTER_SECONDS };
  if (error instanceof TartanError && (error.code === "database_unavailable" || error.code === "overloaded"))
    return new TartanError(error.code, message, details);
  if (/^(25006|40|53|55|57|58)/.test(sqlState(error))) return new TartanError("database_unavailable", message, details);
  return error;
}
