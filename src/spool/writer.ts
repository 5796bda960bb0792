/**
 * Writes records to the spool's file, many at a time: what comes while one write is being synced goes with the next.
 *
 *   put → waiting → written and synced → acknowledged
 *                 → the write failed → the file is cut back; nobody of the batch is acknowledged
 *                 → the sync failed → the same, and the file takes nothing any more: the next is begun after a pause
 *
 * The spool is bounded: what its files take and what waits for them, together.
 */
import { describeError, TartanError } from "../errors.ts";
import type { Logger } from "../logger.ts";
import type { Pressure } from "../model/pressure.ts";
import type { Backlog } from "./backlog.ts";
import { mark } from "./frames.ts";
import type { Facts } from "./record.ts";
import { SegmentFailure, type CreateFile, type Segment } from "./segment.ts";

const BATCH_MAX = 1000;
const BATCH_BYTES_MAX = 4 * 1024 * 1024;
const SEGMENT_BYTES = 16 * 1024 * 1024;
/** Of a spool that is smaller than some segments, so that what is drained makes room before all is. */
const SEGMENTS_AT_LEAST = 8;
/** Records that wait for the disk are in memory. */
const QUEUE_BYTES_MAX = 64 * 1024 * 1024;
/** A write takes milliseconds. Plaid waits for ten seconds. */
const STUCK_MS = 5_000;
/** A disk that has just failed is not asked again for each webhook. */
const PAUSE_MS = 1_000;
const RETRY_AFTER_SECONDS = 5;

export interface Put {
  facts: Facts;
  record: Buffer;
  /** it is on the disk */
  resolve: () => void;
  reject: (error: TartanError) => void;
}

interface WriterOptions {
  backlog: Backlog;
  maxBytes: number;
  /** records that may wait for the disk */
  queueMax: number;
  create: CreateFile;
  logger: Logger;
  /** learns of each write, so that other work gives way */
  pressure: Pressure;
  now: () => number;
  /** ms after which a write counts as stuck */
  stuckMs?: number | undefined;
}

export class Writer {
  readonly #options: WriterOptions;
  #waiting: Put[] = [];
  #waitingBytes = 0;
  #current: Segment | null = null;
  #running: Promise<void> | null = null;
  #failure: { until: number; message: string } | null = null;
  #full = false;
  /** a write does not end */
  #stuck = false;

  constructor(options: WriterOptions) {
    this.#options = options;
  }

  /** records that wait for the disk */
  get queued(): number {
    return this.#waiting.length;
  }

  get isIdle(): boolean {
    return this.#running === null;
  }

  /** Why it takes nothing just now; null if it does. */
  get problem(): string | null {
    if (this.#stuck) return "the spool's file cannot be written: the disk does not answer";
    if (this.#failure && performance.now() < this.#failure.until)
      return `the spool's file cannot be written: ${this.#failure.message}`;
    return this.#full && this.#options.backlog.bytes > 0 ? "the spool is full; see TARTAN_SPOOL_MAX_MB" : null;
  }

  /** Whether the segment may still be written to. */
  isCurrent(segment: Segment): boolean {
    return segment === this.#current;
  }

  put(entry: Put): void {
    const bytes = entry.record.length;
    const { backlog, maxBytes, queueMax } = this.#options;
    const isFull = backlog.bytes + this.#waitingBytes + bytes > maxBytes;
    if (isFull !== this.#full) this.#noteFull(isFull);
    if (isFull) return entry.reject(later("The spool is full."));
    if (this.#waiting.length >= queueMax || this.#waitingBytes + bytes > QUEUE_BYTES_MAX)
      return entry.reject(later("Too many webhooks wait to be stored."));
    if (this.problem !== null) return entry.reject(later("The webhook could not be stored just now."));
    this.#waiting.push(entry);
    this.#waitingBytes += bytes;
    this.#running ??= this.#run();
  }

  #noteFull(isFull: boolean): void {
    this.#full = isFull;
    const { logger, maxBytes } = this.#options;
    if (isFull)
      logger.error({ max_bytes: maxBytes }, "the spool is full; webhooks are answered 503 until some are drained");
  }

  /** Resolves when nothing waits for the disk. */
  async idle(): Promise<void> {
    while (this.#running) await this.#running;
  }

  /** Nothing is written to the present file any more. */
  seal(): void {
    this.#current = null;
  }

  async #run(): Promise<void> {
    // The arrivals of one turn of the event loop share the first write.
    await new Promise((resolve) => setImmediate(resolve));
    while (this.#waiting.length > 0) await this.#write(this.#shift());
    this.#running = null;
  }

  #shift(): Put[] {
    let bytes = 0;
    const beyond = this.#waiting.findIndex((each, index) => {
      bytes += each.record.length;
      return index > 0 && (index === BATCH_MAX || bytes > BATCH_BYTES_MAX);
    });
    const batch = this.#waiting.splice(0, beyond === -1 ? this.#waiting.length : beyond);
    for (const { record } of batch) this.#waitingBytes -= record.length;
    return batch;
  }

  /** Never throws: every outcome settles the batch. */
  async #write(batch: readonly Put[]): Promise<void> {
    this.#options.pressure.batch(batch.length + this.#waiting.length);
    const watch = setTimeout(() => this.#noteStuck(batch.length), this.#options.stuckMs ?? STUCK_MS).unref();
    try {
      const segment = await this.#segment();
      const bytes = mark(
        batch.map(({ record }) => record),
        segment.marker,
      );
      await segment.append(
        bytes,
        batch.map(({ facts }) => facts),
      );
      this.#failure = null;
      for (const { resolve } of batch) resolve();
    } catch (error) {
      this.#fail(error, batch);
    } finally {
      clearTimeout(watch);
      this.#stuck = false;
    }
  }

  #noteStuck(webhooks: number): void {
    this.#stuck = true;
    this.#options.logger.error(
      { webhooks: webhooks + this.#waiting.length },
      "a write to the spool's file does not end; webhooks are answered 503",
    );
  }

  async #segment(): Promise<Segment> {
    const { backlog, maxBytes, create, now } = this.#options;
    const size = Math.min(SEGMENT_BYTES, maxBytes / SEGMENTS_AT_LEAST);
    // What is written to a deleted file is gone with the process.
    if (this.#current && this.#current.end < size && (await this.#current.isThere())) return this.#current;
    this.#current = null;
    this.#current = await backlog.create(now(), create);
    return this.#current;
  }

  #fail(error: unknown, batch: readonly Put[]): void {
    const isUsable = error instanceof SegmentFailure && error.isUsable;
    if (!isUsable) this.#current = null;
    const cause = error instanceof SegmentFailure ? error.cause : error;
    this.#failure = { until: performance.now() + PAUSE_MS, message: describeError(cause).message };
    const rest = this.#waiting.splice(0);
    this.#waitingBytes = 0;
    this.#options.logger.error(
      { error: cause, webhooks: batch.length + rest.length },
      "the spool's file cannot be written; webhooks are answered 503",
    );
    for (const { reject } of [...batch, ...rest]) reject(later("The webhook could not be stored just now."));
  }
}

const later = (what: string): TartanError =>
  new TartanError("overloaded", `${what} Send it again.`, { retryAfterSeconds: RETRY_AFTER_SECONDS });
