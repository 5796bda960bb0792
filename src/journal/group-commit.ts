/**
 * Makes webhooks durable, many at a time. Each caller's promise settles when the commit that holds its webhook is done.
 * Webhooks that come during a commit gather for the next.
 *
 *   accept → waiting → in a batch → committed → answered
 *                                 → refused by Postgres for its data → halved, until the refused webhook is alone
 *                                 → waited in vain for a lock → halved too: a JWT that another transaction holds delays no other
 *                                 → Postgres away → every webhook of the batch is rejected; the sender sends it again
 *
 * This is the hottest path of Tartan. The duration of a commit determines the size of the next batch: no webhook waits on purpose.
 * Batches and the queue are bounded in webhooks and in bytes.
 */
import { isRepeatable, sqlStateOf } from "../database/failures.ts";
import type { Queryable } from "../database/types.ts";
import { describeError, TartanError } from "../errors.ts";
import type { Hint } from "../events/hint.ts";
import type { Logger } from "../logger.ts";
import { metrics } from "../metrics.ts";
import { NO_PRESSURE, type Pressure } from "../model/pressure.ts";
import type { Accepted, NewWebhook } from "../model/webhook.ts";
import { appendQuietly } from "./append.ts";
import { isDataFault } from "./failures.ts";
import { IS_STORED } from "./restore-queries.ts";
import { repeatedOf, type Repeated } from "./settle-repeated.ts";

/** Larger batches are not faster (measured), and make the first webhook of a batch wait for the last. */
const BATCH_MAX = 200;
/** The bound of one statement, unless a single webhook is larger: it is in memory here, on the wire and in Postgres at once. */
const BATCH_BYTES_MAX = 8 * 1024 * 1024;
/** Bytes of bodies and JWTs that may wait for their commit; when more come, webhooks are refused. */
const QUEUE_BYTES_MAX = 64 * 1024 * 1024;
/**
 * Three, so that one is encoded, one is inserted and one waits for the disk. A fourth only makes batches smaller, and the reserved
 * connections also serve notifications and leases.
 */
const IN_FLIGHT_MAX = 3;
/**
 * With fewer webhooks another batch would only split the one under way, and a commit costs as much as ten webhooks. With 64 senders,
 * 64 never wait at once. Where the disk or the processors are busy, 8 and three flights accepted 1.24 times as much as 64 and two, and 24 and
 * two flights 1.23 times; 16 and three lie between and were not measured alone there. Where nothing is busy they accept 2 % less.
 */
const NEXT_FLIGHT_FROM = 16;
/** A retry at once would find the same queue. */
const RETRY_AFTER_SECONDS = 5;
const REPEATS = 3;
/** Plaid disconnects after 10 s. A webhook that has waited this long for a batch is rejected, so that the sender retries. */
const WAIT_MAX_MS = 5_000;
const LOOK_EVERY_MS = 500;
/** An older failure says nothing about now if nothing was tried since. */
const FAILURE_COUNTS_MS = 30_000;

interface GroupCommitOptions {
  database: Queryable;
  /** webhooks that may wait for their commit; when more come, they are refused */
  queueMax: number;
  logger: Logger;
  /** sent after each commit */
  hint: Hint;
  /** journals the first of a repeated webhook where it waits unproven */
  settleRepeated?: (repeated: readonly Repeated[]) => Promise<void>;
  /** learns of each batch, so that other work gives way */
  pressure?: Pressure;
}

interface Entry {
  webhook: NewWebhook;
  bytes: number;
  since: number;
  resolve: (accepted: Accepted) => void;
  reject: (error: unknown) => void;
}

/** Disposing it waits until every webhook is answered. */
export class GroupCommit implements AsyncDisposable {
  readonly #database: Queryable;
  readonly #queueMax: number;
  readonly #logger: Logger;
  readonly #hint: Hint;
  readonly #settleRepeated: (repeated: readonly Repeated[]) => Promise<void>;
  readonly #pressure: Pressure;
  readonly #impatience: NodeJS.Timeout;
  readonly #flights = new Set<readonly Entry[]>();
  #waiting: Entry[] = [];
  #waitingBytes = 0;
  #failure: { at: number; message: string } | null = null;
  #scheduled = false;
  #closed = false;
  #drained: (() => void) | null = null;

  constructor({ database, queueMax, logger, hint, settleRepeated, pressure = NO_PRESSURE }: GroupCommitOptions) {
    this.#settleRepeated = settleRepeated ?? (() => Promise.resolve());
    this.#database = database;
    this.#queueMax = queueMax;
    this.#logger = logger;
    this.#hint = hint;
    this.#pressure = pressure;
    this.#impatience = setInterval(() => this.#sendAway(), LOOK_EVERY_MS).unref();
  }

  accept(webhook: NewWebhook): Promise<Accepted> {
    if (this.#closed) return Promise.reject(overloaded("This process is stopping. Send the webhook again."));
    const bytes = webhook.body.length + (webhook.proof?.jwt.length ?? 0);
    if (this.#waiting.length >= this.#queueMax || this.#waitingBytes + bytes > QUEUE_BYTES_MAX)
      return Promise.reject(overloaded("Too many webhooks wait to be stored. Send it again a little later."));
    return new Promise((resolve, reject) => {
      this.#waiting.push({ webhook, bytes, since: performance.now(), resolve, reject });
      this.#waitingBytes += bytes;
      if (this.#scheduled) return;
      // Signatures are checked in batches, so webhooks come in batches: the first must wait for the others of its batch.
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
    if (now - oldest > WAIT_MAX_MS) return "a commit of webhooks does not end";
    const failure = this.#failure;
    return failure && now - failure.at < FAILURE_COUNTS_MS ? failure.message : null;
  }

  /** Rejects webhooks that have waited too long, since a commit may not end. */
  #sendAway(): void {
    const since = performance.now() - WAIT_MAX_MS;
    const end = this.#waiting.findIndex((each) => each.since > since);
    const late = this.#shift(end === -1 ? this.#waiting.length : end);
    for (const { reject } of late) reject(overloaded("Webhooks are not stored fast enough. Send it again."));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    if (this.#flights.size > 0 || this.#waiting.length > 0)
      await new Promise<void>((resolve) => {
        this.#drained = resolve;
      });
    clearInterval(this.#impatience);
  }

  #pump(): void {
    while (this.#waiting.length > 0 && this.#mayFly()) {
      const batch = this.#shift(this.#batchSize());
      this.#flights.add(batch);
      void this.#fly(batch);
    }
    if (this.#flights.size === 0) this.#drained?.();
  }

  /** Removes the first `count` from the queue. */
  #shift(count: number): Entry[] {
    const first = this.#waiting.splice(0, count);
    for (const { bytes } of first) this.#waitingBytes -= bytes;
    return first;
  }

  /** How many webhooks the next batch carries: one at least. */
  #batchSize(): number {
    const most = Math.min(this.#waiting.length, BATCH_MAX);
    if (this.#waitingBytes <= BATCH_BYTES_MAX) return most;
    let bytes = 0;
    const beyond = this.#waiting.findIndex((each, index) => (bytes += each.bytes) > BATCH_BYTES_MAX && index > 0);
    return beyond === -1 ? most : Math.min(most, beyond);
  }

  #mayFly(): boolean {
    if (this.#flights.size === 0) return true;
    return this.#flights.size < IN_FLIGHT_MAX && this.#waiting.length >= NEXT_FLIGHT_FROM;
  }

  #unanswered(): number {
    let webhooks = this.#waiting.length;
    for (const flight of this.#flights) webhooks += flight.length;
    return webhooks;
  }

  async #fly(batch: readonly Entry[]): Promise<void> {
    metrics.acceptWaiting.set(this.#waiting.length);
    metrics.acceptBatchSize.observe(batch.length);
    this.#pressure.batch(this.#unanswered());
    await this.#commit(batch);
    this.#flights.delete(batch);
    this.#pump();
  }

  /** Never throws: every outcome settles the promises of the batch. */
  async #commit(batch: readonly Entry[]): Promise<void> {
    try {
      const accepted = await this.#append(batch);
      this.#failure = null;
      countAccepted(batch, accepted);
      for (const [index, { resolve }] of batch.entries()) {
        const answer = accepted[index] as Accepted;
        if (!answer.duplicate) resolve(answer);
      }
      this.#hint.give();
      if (accepted.some(({ duplicate }) => duplicate)) await this.#answerRepeated(batch, accepted);
    } catch (error) {
      const isLocked = sqlStateOf(error) === "55P03";
      if ((isLocked || isDataFault(error)) && batch.length > 1) {
        const middle = batch.length >> 1;
        await this.#commit(batch.slice(0, middle));
        await this.#commit(batch.slice(middle));
        return;
      }
      if (await this.#isStored(batch, error)) {
        for (const { webhook, resolve } of batch) resolve({ id: webhook.id, duplicate: false });
        return;
      }
      const answer = translate(error);
      if (answer !== error) this.#failure = { at: performance.now(), message: describeError(error).message };
      this.#logger.error({ error, webhooks: batch.length }, "webhooks could not be journaled");
      for (const { reject } of batch) reject(answer);
    }
  }

  /** Answers those of the batch that repeat others, once their firsts are journaled. Never throws. */
  async #answerRepeated(batch: readonly Entry[], accepted: readonly Accepted[]): Promise<void> {
    try {
      await this.#settleRepeated(repeatedOf(webhooksOf(batch), accepted));
      for (const [index, { resolve }] of batch.entries()) resolve(accepted[index] as Accepted);
    } catch (error) {
      this.#logger.error({ error }, "unproven webhooks that came again could not be journaled");
      for (const { reject } of batch) reject(translate(error));
    }
  }

  /**
   * Whether the one webhook of the batch is stored under its id: it waited in a frozen connection, so another engine acknowledged it and
   * had it restored meanwhile. One with a JWT is found by that.
   */
  async #isStored([entry, ...others]: readonly Entry[], error: unknown): Promise<boolean> {
    if (!entry || others.length > 0 || sqlStateOf(error) !== "23505") return false;
    const found = await this.#database.query(IS_STORED, [entry.webhook.id]).catch(() => null);
    return found !== null && found.rows.length > 0;
  }

  /** Deadlocks and serialization failures left nothing behind, so the same batch may be sent again. */
  async #append(batch: readonly Entry[]): Promise<Accepted[]> {
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

const webhooksOf = (batch: readonly Entry[]): NewWebhook[] => batch.map(({ webhook }) => webhook);

function countAccepted(batch: readonly Entry[], accepted: readonly Accepted[]): void {
  const bySource = new Map<string, number>();
  let duplicates = 0;
  for (const [index, { webhook }] of batch.entries()) {
    if (accepted[index]?.duplicate) duplicates += 1;
    else bySource.set(webhook.source, (bySource.get(webhook.source) ?? 0) + 1);
  }
  if (duplicates > 0) metrics.webhooksDuplicate.inc(duplicates);
  for (const [source, count] of bySource) metrics.webhooksAccepted.inc({ source }, count);
}

const overloaded = (message: string): TartanError =>
  new TartanError("overloaded", message, { retryAfterSeconds: RETRY_AFTER_SECONDS });

/** The error for the sender: out of space, out of memory, shutting down, read-only and busy all mean to try later. */
function translate(error: unknown): unknown {
  const message = "The webhook could not be stored just now. Send it again.";
  const details = { cause: error, retryAfterSeconds: RETRY_AFTER_SECONDS };
  if (error instanceof TartanError && (error.code === "database_unavailable" || error.code === "overloaded"))
    return new TartanError(error.code, message, details);
  if (isRepeatable(error)) return new TartanError("database_unavailable", message, details);
  return error;
}
