/**
 * Moves what waits in the spool to the database, in its order: a batch of records is read from the file, restored in one go, and the
 * file's position is noted. Records are read when they are drained, so memory holds a batch.
 *
 *   batch → stored, or stored before → the position moves on
 *         → some refused for good → kept in the folder refused, recorded among the refusals, logged → the position moves on
 *         → a token that cannot be opened → kept in the folder sealed, and tried again at the next start
 *         → the database is away → nothing moves; a smaller batch is tried after a pause
 */
import { readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { describeError, TartanError } from "../errors.ts";
import type { Logger } from "../logger.ts";
import { metrics } from "../metrics.ts";
import { newUuid } from "../model/ids.ts";
import type { Arrival, Restoring, RestoreResult } from "../model/intake.ts";
import type { RefusalSink } from "../model/refusal.ts";
import type { Backlog } from "./backlog.ts";
import { keep } from "./folder.ts";
import { frameAt, HEADER_BYTES, mark, markerOf, newHeader, recordOf, type Frame } from "./frames.ts";
import { decode, encode, factsOf, type SpoolVault } from "./record.ts";

const ROWS_MAX = 500;
const BYTES_MAX = 4 * 1024 * 1024;
/** What a batch that Postgres could not take in time is cut down to, at least. */
const ROWS_MIN = 8;

const NONE = { stored: 0, passed_over: 0, refused: 0 };

export interface DrainOptions {
  backlog: Backlog;
  inner: Restoring;
  root: string;
  vault: SpoolVault;
  refusals: RefusalSink;
  logger: Logger;
  /** whether records are still appended to it */
  isCurrent: (segment: NonNullable<Backlog["first"]>) => boolean;
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
    const { backlog, isCurrent } = this.#options;
    const segment = backlog.first;
    if (!segment) return false;
    if (segment.drained >= segment.end) {
      if (isCurrent(segment)) return false;
      await backlog.dropFirst();
      return true;
    }
    const { frames, next, damaged } = await segment.read(segment.drained, this.#rows, BYTES_MAX);
    if (damaged && !segment.damaged) {
      segment.damaged = true;
      backlog.noteDamage(segment.path, 1);
    }
    await this.#restore(frames);
    const last = frames.at(-1);
    segment.advance(next, frames.length, last ? factsOf(last.payload).arrivedAt : null);
    await backlog.notePosition();
    return true;
  }

  async #restore(frames: readonly Frame[]): Promise<void> {
    const arrivals: Arrival[] = [];
    for (const { payload } of frames) {
      try {
        arrivals.push(decode(payload, this.#options.vault));
      } catch (error) {
        await this.#setAside(payload, error);
      }
    }
    if (arrivals.length === 0) return;
    const results = await this.#offer(arrivals);
    for (const [index, result] of results.entries()) await this.#settle(arrivals[index] as Arrival, result);
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

  async #settle(arrival: Arrival, result: RestoreResult): Promise<void> {
    this.#counts[result.outcome] += 1;
    metrics.spoolDrained.inc({ outcome: result.outcome });
    if (result.outcome !== "refused") return;
    const { vault, logger, refusals } = this.#options;
    const { code, message } = describeError(result.error);
    // What belongs to an integration that is deleted is not kept: it was to be erased.
    const isErased = result.error instanceof TartanError && result.error.code === "not_found";
    const facts = factsIn(arrival);
    const path = isErased
      ? null
      : await keep(this.#options.root, "refused", `${facts.id}.segment`, fileOf(encode(arrival, facts, vault)));
    logger.error(
      { integration_id: arrival.integrationId, webhook_id: facts.id, path, reason: code ?? message },
      "a webhook that was accepted into the spool cannot be stored",
    );
    refusals.record({
      integrationId: isErased ? null : arrival.integrationId,
      reason: isErased ? "integration_unknown" : "spool_refused",
      detail: isErased
        ? "its integration was deleted while it waited in the spool"
        : "Postgres refuses a value of it; it is kept in the folder spool/refused of the data directory",
      remoteAddress: null,
      bodyBytes: "body" in arrival ? (arrival.body?.length ?? null) : null,
    });
  }

  /** Its token cannot be opened, or its kind is one of a later version: another start may be able to. */
  async #setAside(payload: Buffer, error: unknown): Promise<void> {
    const { logger } = this.#options;
    const path = await this.#keep("sealed", factsOf(payload).id, () => recordOf(payload));
    this.#counts.refused += 1;
    metrics.spoolDrained.inc({ outcome: "sealed" });
    logger.error(
      { path, error: describeError(error) },
      "an arrival in the spool cannot be opened; it is kept, and tried again at the next start",
    );
  }

  /** Keeps a record in a file of its own. Where that fails, the whole segment is kept, like a damaged one. */
  async #keep(folder: "refused" | "sealed", id: string, record: () => Buffer): Promise<string | null> {
    const { root, backlog, logger } = this.#options;
    try {
      return await keep(root, folder, `${id}.segment`, fileOf(record()));
    } catch (error) {
      logger.error({ error, webhook_id: id }, "a record of the spool could not be kept in a file of its own");
      if (backlog.first) backlog.first.damaged = true;
      return null;
    }
  }

  /** Tries the arrivals again that could not be opened before. Those that still cannot be stay. */
  async takeInSealed(): Promise<void> {
    const { root, vault, logger } = this.#options;
    const folder = join(root, "sealed");
    for (const name of await readdir(folder).catch(() => [])) {
      const bytes = await readFile(join(folder, name)).catch(() => Buffer.alloc(0));
      const marker = markerOf(bytes);
      const frame = marker && frameAt(bytes, HEADER_BYTES, marker);
      if (!frame) continue;
      let arrival: Arrival;
      try {
        arrival = decode(frame.payload, vault);
      } catch (error) {
        logger.error(
          { path: join(folder, name), error: describeError(error) },
          "an arrival in the spool still cannot be opened",
        );
        continue;
      }
      const [result] = await this.#offer([arrival]);
      if (result) await this.#settle(arrival, result);
      await rm(join(folder, name), { force: true });
    }
  }
}

const factsIn = (arrival: Arrival) => ({
  id: ("id" in arrival ? arrival.id : undefined) ?? newUuid(),
  arrivedAt: ("receivedAt" in arrival ? arrival.receivedAt?.getTime() : undefined) ?? Date.now(),
  token: null,
  isNotice: arrival.arrival === "stale_notice",
});

/** A segment of one record. */
function fileOf(record: Buffer): Buffer {
  const { header, marker } = newHeader(Date.now());
  return Buffer.concat([header, mark([record], marker)]);
}
