/**
 * Moves what waits in the spool to the database, in its order: a batch of records is read from the file, restored in one go, and the
 * file's position is noted. Records are read when they are drained, so memory holds a batch.
 *
 *   batch → stored, or stored before → the position moves on
 *         → some refused for good → kept in the folder refused, recorded among the refusals, logged → the position moves on
 *         → their integration is not there, or a token cannot be opened → the same in the folder later, tried again at each start
 *         → another transaction is storing the same JWT → behind all others, tried again
 *         → the database is away → nothing moves; a smaller batch is tried after a pause
 *   a file that cannot be read → tried again after pauses → left where it is, so that it holds the others up for half a minute at most
 */
import type { Clock } from "../clock.ts";
import { describeError, TartanError } from "../errors.ts";
import type { Logger } from "../logger.ts";
import { metrics } from "../metrics.ts";
import type { Arrival, Restoring, RestoreResult } from "../model/intake.ts";
import type { RefusalSink } from "../model/refusal.ts";
import type { Backlog } from "./backlog.ts";
import { keep, type Kept } from "./folder.ts";
import type { Frame } from "./frames.ts";
import { decode, factsOf, type Facts, type SpoolVault } from "./record.ts";
import type { CreateFile, Read, Segment } from "./segment.ts";
import type { Writer } from "./writer.ts";

const ROWS_MAX = 500;
const BYTES_MAX = 4 * 1024 * 1024;
/** What a batch that Postgres could not take in time is cut down to, at least. */
const ROWS_MIN = 8;
/** The pauses between them grow to two seconds. */
const READS_MAX = 15;

/** The data directory may have served another database. */
const UNKNOWN_KEPT_MS = 7 * 24 * 60 * 60_000;

const MESSAGES: Record<Kept, string> = {
  refused: "Postgres refuses webhooks of the spool; they are kept in a file",
  later:
    "webhooks of the spool cannot be stored: their integration is not there, or they cannot be opened; the next start tries again",
};

const NONE = { stored: 0, passed_over: 0, refused: 0 };

export interface DrainOptions {
  backlog: Backlog;
  inner: Restoring;
  root: string;
  vault: SpoolVault;
  refusals: RefusalSink;
  clock: Clock;
  logger: Logger;
  create: CreateFile;
  writer: Pick<Writer, "isCurrent" | "seal">;
}

export class Drain {
  readonly #options: DrainOptions;
  #rows = ROWS_MAX;
  #counts = { ...NONE };

  constructor(options: DrainOptions) {
    this.#options = options;
  }

  /** What became of the records since this was last asked. */
  takeCounts(): typeof NONE {
    const counts = this.#counts;
    this.#counts = { ...NONE };
    return counts;
  }

  /**
   * Drains one batch.
   * @returns whether there was anything to do
   * @throws TartanError of the inner engine; nothing moved then
   */
  async step(): Promise<boolean> {
    const { backlog, writer } = this.#options;
    const segment = backlog.first;
    if (!segment) return false;
    if (segment.drained >= segment.end) {
      if (writer.isCurrent(segment)) return false;
      await backlog.dropFirst();
      return true;
    }
    const read = await this.#read(segment);
    if (read === null) return true;
    const { frames, next, damaged } = read;
    if (damaged && !segment.damaged) {
      segment.damaged = true;
      backlog.noteDamage(segment.path, 1);
    }
    await this.#restore(segment, frames);
    const last = frames.at(-1);
    segment.advance(next, frames.length, last ? factsOf(last.payload).arrivedAt : null);
    await backlog.notePosition();
    return true;
  }

  /** @returns null where it cannot be read, and the others go on */
  async #read(segment: Segment): Promise<Read | null> {
    const { backlog, writer } = this.#options;
    try {
      const read = await segment.read(segment.drained, this.#rows, BYTES_MAX);
      segment.failedReads = 0;
      return read;
    } catch (error) {
      segment.failedReads += 1;
      if (segment.failedReads < READS_MAX) throw error;
      // A write to it may be under way until the next try.
      if (writer.isCurrent(segment)) {
        writer.seal();
        throw error;
      }
      await backlog.skip(segment, error);
      return null;
    }
  }

  async #restore(segment: Segment, frames: readonly Frame[]): Promise<void> {
    const locked: Buffer[] = [];
    const readable: { payload: Buffer; arrival: Arrival }[] = [];
    const later: Buffer[] = [];
    const refused: Buffer[] = [];
    let reason: unknown = null;
    for (const { payload } of frames) {
      try {
        readable.push({ payload, arrival: decode(payload, this.#options.vault) });
      } catch (error) {
        // Its token cannot be opened, or its kind is one of a later version: another start may be able to.
        later.push(payload);
        reason = error;
      }
    }
    const results = readable.length === 0 ? [] : await this.#offer(readable.map(({ arrival }) => arrival));
    this.#count("later", later.length);
    for (const [index, result] of results.entries()) {
      const { payload, arrival } = readable[index] as (typeof readable)[number];
      if (result.outcome === "locked") {
        locked.push(payload);
        continue;
      }
      this.#count(result.outcome, 1);
      if (result.outcome !== "refused") continue;
      reason = result.error;
      const kept = this.#refuse(arrival, factsOf(payload), result.error);
      if (kept !== null) (kept === "later" ? later : refused).push(payload);
    }
    if (locked.length > 0) await this.#putBack(locked);
    await this.#keep(segment, "later", later, reason);
    await this.#keep(segment, "refused", refused, reason);
  }

  /** Records the refusal. @returns where the arrival is kept; null: nowhere */
  #refuse(arrival: Arrival, { arrivedAt }: Facts, error: unknown): Kept | null {
    const isUnknown = error instanceof TartanError && error.code === "not_found";
    this.#options.refusals.record({
      integrationId: isUnknown ? null : arrival.integrationId,
      reason: isUnknown ? "integration_unknown" : "spool_refused",
      detail: isUnknown
        ? "its integration was deleted while it waited in the spool"
        : "Postgres refuses a value of it; it is kept in the folder spool/refused of the data directory",
      remoteAddress: null,
      bodyBytes: "body" in arrival ? (arrival.body?.length ?? null) : null,
    });
    if (!isUnknown) return "refused";
    return this.#options.clock.now() - arrivedAt < UNKNOWN_KEPT_MS ? "later" : null;
  }

  /** The transaction that stores the same JWT decides about its order. */
  async #putBack(payloads: readonly Buffer[]): Promise<void> {
    const { backlog, logger, clock, create } = this.#options;
    await backlog.putBack(payloads, clock.now(), create);
    logger.warn(
      { webhooks: payloads.length },
      "other transactions keep the JWTs of webhooks in the spool; they are tried again behind the others",
    );
  }

  #count(outcome: Exclude<RestoreResult["outcome"], "locked"> | "later", count: number): void {
    if (count === 0) return;
    this.#counts[outcome === "later" ? "refused" : outcome] += count;
    metrics.spoolDrained.inc({ outcome }, count);
  }

  /** Keeps records in a file of their own. Where that fails, the whole segment is kept, like a damaged one. */
  async #keep(segment: Segment, folder: Kept, payloads: readonly Buffer[], reason: unknown): Promise<void> {
    if (payloads.length === 0) return;
    const { root, logger } = this.#options;
    const facts = { webhooks: payloads.length, reason: describeError(reason) };
    try {
      const path = await keep(root, folder, payloads);
      logger.error({ ...facts, path }, MESSAGES[folder]);
    } catch (error) {
      // What another process has left may be the first by now.
      segment.damaged = true;
      logger.error(
        { ...facts, error },
        "webhooks of the spool cannot be stored; their segment is kept in the folder damaged",
      );
    }
  }

  async #offer(arrivals: readonly Arrival[]): Promise<RestoreResult[]> {
    try {
      const results = await this.#options.inner.restore(arrivals);
      this.#rows = Math.min(ROWS_MAX, this.#rows * 2);
      return results;
    } catch (error) {
      this.#rows = Math.max(ROWS_MIN, this.#rows >> 1);
      throw error;
    }
  }
}
