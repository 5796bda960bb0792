/**
 * Makes webhooks durable, many at a time. Each caller's promise settles when the commit that holds its webhook is done;
 * while one commit is under way, those who come meanwhile gather for the next.
 *
 *   accept → waiting → in a batch → committed → answered
 *                                 → refused by Postgres for its data → halved, until the one at fault stands alone
 *                                 → waited in vain for a subject that others hold → those about it are sent away, alone
 *                                 → Postgres away → every one of the batch is told so; the sender sends it again
 *
 * It is the hottest path of Tartan. The batch's size is what the commit's duration makes it: none waits on purpose. Batches
 * and what waits for one are bounded in webhooks and in bytes.
 */
import { isRepeatable, sqlStateOf } from "../database/failures.ts";
import { urgent } from "../database/pool.ts";
import type { Database, Queryable } from "../database/types.ts";
import { describeError, TartanError } from "../errors.ts";
import type { Logger } from "../logger.ts";
import { metrics } from "../metrics.ts";
import { appendQuietly } from "./append.ts";
import { isDataFault } from "./failures.ts";
import { HeldSubjects } from "./held-subjects.ts";
import { openHint, type Hint } from "../events/hint.ts";
import type { Appended, NewWebhook } from "./types.ts";

/** Larger batches gain nothing more (measured), and make the first of a batch wait for the last. */
const BATCH_MAX = 200;
/** One statement carries no more, unless a single webhook is larger: it is held here, on the wire and in Postgres at once. */
const BATCH_BYTES_MAX = 8 * 1024 * 1024;
/** Bodies and JWTs that wait for their commit; beyond it webhooks are refused. */
const QUEUE_BYTES_MAX = 64 * 1024 * 1024;
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
  bytes: number;
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
  readonly #held: HeldSubjects;
  readonly #impatience: NodeJS.Timeout;
  readonly #flights = new Set<readonly Waiting[]>();
  #waiting: Waiting[] = [];
  #waitingBytes = 0;
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
    this.#held = new HeldSubjects(this.#database);
    this.#impatience = setInterval(() => this.#sendAway(), LOOK_EVERY_MS).unref();
  }

  accept(webhook: NewWebhook): Promise<Appended> {
    if (this.#closed) return Promise.reject(overloaded("This process is stopping; send the webhook again."));
    const bytes = webhook.body.length + (webhook.proof?.jwt.length ?? 0);
    if (this.#waiting.length >= this.#queueMax || this.#waitingBytes + bytes > QUEUE_BYTES_MAX)
      return Promise.reject(overloaded("Too many webhooks wait to be stored; send it again a little later."));
    return new Promise((resolve, reject) => {
      this.#waiting.push({ webhook, bytes, since: performance.now(), resolve, reject });
      this.#waitingBytes += bytes;
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
    // One that waits for a subject which others hold ends sooner.
    if (now - oldest > WAIT_MAX_MS) return "a commit of webhooks does not end";
    const failure = this.#failure;
    return failure && now - failure.at < FAILURE_COUNTS_MS ? failure.message : null;
  }

  /** A commit that does not end must not make those wait without end who are not even part of it. */
  #sendAway(): void {
    const since = performance.now() - WAIT_MAX_MS;
    const end = this.#waiting.findIndex((each) => each.since > since);
    const late = this.#take(end === -1 ? this.#waiting.length : end);
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
      const batch = this.#take(this.#batchSize());
      this.#flights.add(batch);
      void this.#fly(batch);
    }
    if (this.#flights.size === 0) this.#drained?.();
  }

  /** The first `count` of those who wait. */
  #take(count: number): Waiting[] {
    const taken = this.#waiting.splice(0, count);
    for (const { bytes } of taken) this.#waitingBytes -= bytes;
    return taken;
  }

  /** How many of those who wait the next batch carries: one at least. */
  #batchSize(): number {
    const most = Math.min(this.#waiting.length, BATCH_MAX);
    if (this.#waitingBytes <= BATCH_BYTES_MAX) return most;
    let bytes = 0;
    const beyond = this.#waiting.findIndex((each, index) => (bytes += each.bytes) > BATCH_BYTES_MAX && index > 0);
    return beyond === -1 ? most : Math.min(most, beyond);
  }

  #mayFly(): boolean {
    if (this.#flights.size === 0) return true;
    return this.#flights.size < IN_FLIGHT_MAX && this.#waiting.length >= SECOND_FLIGHT_FROM;
  }

  async #fly(batch: readonly Waiting[]): Promise<void> {
    metrics.acceptWaiting.set(this.#waiting.length);
    metrics.acceptBatchSize.observe(batch.length);
    await this.#commit(
      this.#held.isEmpty ? batch : this.#without(batch, await this.#held.stillHeld(webhooksOf(batch))),
    );
    this.#flights.delete(batch);
    this.#pump();
  }

  /** Sends those away whose subject others hold; returns the rest. */
  #without(batch: readonly Waiting[], held: ReadonlySet<NewWebhook>): readonly Waiting[] {
    if (held.size === 0) return batch;
    for (const { webhook, reject } of batch)
      if (held.has(webhook)) reject(overloaded("What the webhook is about is just being changed; send it again."));
    this.#logger.warn({ webhooks: held.size }, "webhooks are refused for now: other work holds what they are about");
    return batch.filter(({ webhook }) => !held.has(webhook));
  }

  /** Never throws: every outcome is told to those who wait. */
  async #commit(batch: readonly Waiting[]): Promise<void> {
    if (batch.length === 0) return;
    try {
      const appended = await this.#append(batch);
      this.#failure = null;
      countAccepted(batch, appended);
      for (const [index, { resolve }] of batch.entries()) resolve(appended[index] as Appended);
      this.#hint.give();
    } catch (error) {
      const isLocked = sqlStateOf(error) === "55P03";
      if (isLocked) {
        const free = this.#without(batch, await this.#held.find(webhooksOf(batch)));
        if (free.length < batch.length) return await this.#commit(free);
      }
      if ((isLocked || isDataFault(error)) && batch.length > 1) {
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
    const webhooks = webhooksOf(batch);
    for (let repeat = 0; ; repeat += 1) {
      try {
        return await appendQuietly(this.#database, webhooks);
      } catch (error) {
        if (repeat === REPEATS || !isRepeatable(error)) throw error;
      }
    }
  }
}

const webhooksOf = (batch: readonly Waiting[]): NewWebhook[] => batch.map(({ webhook }) => webhook);

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

/** What the sender is told: out of space, out of memory, shutting down, read-only and busy all mean later. */
function translate(error: unknown): unknown {
  const message = "The webhook could not be stored just now; send it again.";
  const details = { cause: error, retryAfterSeconds: RETRY_AFTER_SECONDS };
  if (error instanceof TartanError && (error.code === "database_unavailable" || error.code === "overloaded"))
    return new TartanError(error.code, message, details);
  if (isRepeatable(error)) return new TartanError("database_unavailable", message, details);
  return error;
}
