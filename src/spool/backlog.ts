/** What waits in the spool: the segments of this process and those that dead processes have left, in the order in which they are drained. */
import { rename, rm } from "node:fs/promises";
import type { Logger } from "../logger.ts";
import { metrics } from "../metrics.ts";
import { Folder, keptForLater, setAside } from "./folder.ts";
import { mark, recordOf } from "./frames.ts";
import { factsOf, type Facts } from "./record.ts";
import { Segment, type CreateFile } from "./segment.ts";

const UNREADABLE =
  "a file of the spool cannot be read; it stays where it is, and the process that takes its folder next tries it again";

interface Held {
  segment: Segment;
  folder: Folder;
}

interface BacklogOptions {
  root: string;
  logger: Logger;
  /** is given what stands in each record that is found in a file */
  onFound: (facts: Facts) => void;
}

export class Backlog {
  readonly #options: BacklogOptions;
  readonly #held: Held[] = [];
  readonly #leftOver = new Set<Folder>();
  #own: Folder | null = null;
  #seq = 0;
  #damaged = 0;
  #ended = false;

  constructor(options: BacklogOptions) {
    this.#options = options;
  }

  get waiting(): number {
    return this.#held.reduce((sum, { segment }) => sum + segment.waiting, 0);
  }

  /** that the files take */
  get bytes(): number {
    return this.#held.reduce((sum, { segment }) => sum + segment.end, 0);
  }

  /** ms; null when nothing waits */
  get oldestAt(): number | null {
    const oldest = this.#held.reduce(
      (least, { segment }) => (segment.waiting > 0 ? Math.min(least, segment.oldestAt) : least),
      Number.POSITIVE_INFINITY,
    );
    return Number.isFinite(oldest) ? oldest : null;
  }

  /** places that were stepped over since the start */
  get damaged(): number {
    return this.#damaged;
  }

  /** The segment that is drained next. */
  get first(): Segment | undefined {
    return this.#held[0]?.segment;
  }

  /**
   * Makes the folder of this process, and takes what was kept for another try into it.
   * @returns how many arrivals that are
   * @throws the file system's own errors, and those of the lock
   */
  async begin(): Promise<number> {
    this.#own = await Folder.create(this.#options.root);
    for (const path of await keptForLater(this.#options.root)) {
      this.#seq += 1;
      // Another process may have been faster.
      await rename(path, this.#own.segmentPath(this.#seq)).catch(() => undefined);
    }
    await this.#own.sync();
    const folder = this.#own;
    for (const segment of await this.#load(folder)) this.#held.push({ segment, folder });
    return this.waiting;
  }

  /**
   * Takes what processes that are gone have left: behind what waits from earlier, before what this process accepts from now on.
   * @returns how many arrivals that are
   */
  async takeLeftOver(): Promise<number> {
    const before = this.waiting;
    const found: { folder: Folder; segments: Segment[] }[] = [];
    for (const folder of await Folder.takeLeftOver(this.#options.root)) {
      found.push({ folder, segments: await this.#load(folder) });
    }
    const startOf = ({ segments }: { segments: Segment[] }): number => segments[0]?.oldestAt ?? 0;
    found.sort((one, other) => startOf(one) - startOf(other));
    for (const { folder, segments } of found) {
      this.#leftOver.add(folder);
      for (const segment of segments) this.#insert({ segment, folder });
      await this.#leaveIfDone(folder);
    }
    return this.waiting - before;
  }

  #insert(held: Held): void {
    const own = this.#held.findIndex(({ folder }) => folder === this.#own);
    this.#held.splice(own === -1 ? this.#held.length : own, 0, held);
  }

  async #load(folder: Folder): Promise<Segment[]> {
    const { logger, onFound, root } = this.#options;
    const position = await folder.position();
    const segments: Segment[] = [];
    for (const { path, seq } of await folder.segments()) {
      try {
        const loaded =
          seq < position.seq
            ? null
            : await Segment.load(path, seq, seq === position.seq ? position.offset : 0, onFound);
        if (loaded === null) {
          await this.#dismiss(path, seq < position.seq);
          continue;
        }
        const { segment, found } = loaded;
        if (found.torn > 0)
          logger.warn({ path, bytes: found.torn }, "the spool's last record was torn; it was not acknowledged");
        if (found.damaged > 0) this.noteDamage(path, found.damaged);
        if (segment.waiting > 0) segments.push(segment);
        else await this.#discard(segment);
      } catch (error) {
        folder.skip(seq);
        logger.error({ error, path, root }, UNREADABLE);
      }
    }
    return segments;
  }

  /** A file that is drained is deleted. One that is no segment is kept aside, unless it holds nothing. */
  async #dismiss(path: string, isDrained: boolean): Promise<void> {
    if (isDrained) return await rm(path, { force: true });
    const kept = await setAside(this.#options.root, "damaged", path);
    this.noteDamage(kept, 1);
  }

  noteDamage(path: string, places: number): void {
    this.#damaged += places;
    metrics.spoolDamaged.inc(places);
    this.#options.logger.error(
      { path, places },
      "a file of the spool is damaged; the records behind the damage are drained, and the file is kept in the folder damaged",
    );
  }

  /** Makes the next segment of this process; its folder too, where somebody has deleted that. */
  async create(now: number, create: CreateFile): Promise<Segment> {
    const own = this.#own;
    if (own === null) throw new Error("the spool has no folder");
    try {
      return await this.#createIn(own, now, create);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
      const { root, logger } = this.#options;
      logger.error({ path: own.path }, "the folder of the spool was deleted while it was in use; it is made again");
      this.#own = await Folder.create(root);
      // What waits in deleted files is still read, since they are open.
      this.#leftOver.add(own);
      return await this.#createIn(this.#own, now, create);
    }
  }

  async #createIn(own: Folder, now: number, create: CreateFile): Promise<Segment> {
    // A name is used once: a file that could not be made may be there.
    this.#seq += 1;
    const path = own.segmentPath(this.#seq);
    try {
      const segment = await Segment.create(path, this.#seq, { now, create });
      await own.sync();
      this.#held.push({ segment, folder: own });
      return segment;
    } catch (error) {
      await rm(path, { force: true }).catch(() => undefined);
      throw error;
    }
  }

  /** Notes how far the first segment is drained. That the note fails costs only that records are offered again. */
  async notePosition(): Promise<void> {
    const first = this.#held[0];
    if (!first || this.#ended) return;
    const { segment, folder } = first;
    await folder.notePosition({ seq: segment.seq, offset: segment.drained }).catch(() => undefined);
  }

  /** Writes records behind all others, to be drained again. They are on the disk when it returns. @throws SegmentFailure, the file system's own errors */
  async putBack(payloads: readonly Buffer[], now: number, create: CreateFile): Promise<void> {
    const segment = await this.create(now, create);
    try {
      segment.isPutBack = true;
      await segment.append(mark(payloads.map(recordOf), segment.marker), payloads.map(factsOf));
    } catch (error) {
      // They are tried again soon, and a disk may be full for hours.
      this.#held.splice(
        this.#held.findIndex((held) => held.segment === segment),
        1,
      );
      await this.#discard(segment);
      throw error;
    }
  }

  /** Goes on without a segment that cannot be read. Nothing is written to it any more. */
  async skip(segment: Segment, error: unknown): Promise<void> {
    const at = this.#held.findIndex((held) => held.segment === segment);
    const [held] = at === -1 ? [] : this.#held.splice(at, 1);
    if (!held) return;
    this.#damaged += 1;
    metrics.spoolDamaged.inc();
    this.#options.logger.error({ error, path: segment.path, webhooks: segment.waiting }, UNREADABLE);
    held.folder.skip(segment.seq);
    await segment.close();
    await this.#leaveIfDone(held.folder);
  }

  /** Whether records that were put back wait. */
  get hasPutBack(): boolean {
    return this.#held.some(({ segment }) => segment.isPutBack);
  }

  /** Deletes the first segment, which is drained; a damaged one is kept aside. */
  async dropFirst(): Promise<void> {
    const first = this.#ended ? undefined : this.#held.shift();
    if (!first) return;
    const { segment, folder } = first;
    await folder.notePosition({ seq: segment.seq + 1, offset: 0 }).catch(() => undefined);
    await this.#discard(segment);
    await this.#leaveIfDone(folder);
  }

  async #discard(segment: Segment): Promise<void> {
    const { root, logger } = this.#options;
    await segment.close();
    try {
      if (segment.damaged) await setAside(root, "damaged", segment.path);
      else await rm(segment.path, { force: true });
    } catch (error) {
      logger.warn({ error, path: segment.path }, "a drained file of the spool could not be deleted");
    }
  }

  async #leaveIfDone(folder: Folder): Promise<void> {
    if (!this.#leftOver.has(folder) || this.#held.some((held) => held.folder === folder)) return;
    this.#leftOver.delete(folder);
    await folder.leave();
  }

  /** Closes every file and gives the folders back; what waits stays in them. */
  async end(): Promise<void> {
    this.#ended = true;
    for (const { segment } of this.#held.splice(0)) await segment.close();
    for (const folder of [...this.#leftOver, ...(this.#own ? [this.#own] : [])]) await folder.leave();
    this.#leftOver.clear();
    this.#own = null;
  }
}
