/**
 * One file of the spool: it is appended to until it is large, read from its beginning by the drain, and deleted when everything in it is
 * in the database.
 *
 *   created ──▶ appended to ──large enough, or a failure──▶ closed to writes ──drained──▶ deleted, or kept aside if it is damaged
 *
 * What lies before `end` was synced to the disk and acknowledged. After a failed write the file is cut back to `end`. After a failed sync
 * nobody knows what is on the disk, so nothing is written to the file any more; a later sync would succeed without having written.
 */
import { access, open, type FileHandle } from "node:fs/promises";
import { frameAt, HEADER_BYTES, isWhole, markerOf, newHeader, nextFrame, type Frame } from "./frames.ts";
import { factsOf, type Facts } from "./record.ts";

/** What a segment does with its file; a test puts failures in between. */
export type SegmentFile = Pick<FileHandle, "write" | "datasync" | "truncate" | "read" | "close">;
export type CreateFile = (path: string) => Promise<SegmentFile>;

export const createFile: CreateFile = (path) => open(path, "wx+", 0o600);

/** A file that is larger than any segment was not written by a spool. */
const SEGMENT_BYTES_MAX = 64 * 1024 * 1024;

export interface Read {
  /** whole records that stand one behind the other */
  frames: Frame[];
  /** where to read on */
  next: number;
  /** the place that was stepped over is damaged */
  damaged: boolean;
}

/** What a look through a segment found. */
export interface Found {
  /** bytes behind the last whole record, which were never acknowledged */
  torn: number;
  /** damaged places, also that of a last record which has its whole length */
  damaged: number;
}

export class Segment {
  readonly path: string;
  readonly seq: number;
  readonly #file: SegmentFile;
  readonly #marker: Buffer;
  /** up to here its records are on the disk */
  end: number;
  /** up to here they are in the database */
  drained: number;
  /** records that are not drained */
  waiting = 0;
  /** when the first that is not drained arrived, at the latest (ms) */
  oldestAt = Number.POSITIVE_INFINITY;
  damaged = false;
  /** how often it could not be read, since it could */
  failedReads = 0;
  /** its records were drained before, in vain */
  isPutBack = false;

  private constructor(
    path: string,
    seq: number,
    file: SegmentFile,
    marker: Buffer,
    at: { end: number; drained: number },
  ) {
    this.path = path;
    this.seq = seq;
    this.#file = file;
    this.#marker = marker;
    this.end = at.end;
    this.drained = at.drained;
  }

  get marker(): Buffer {
    return this.#marker;
  }

  /** Makes the file. It is on the disk once its first records are, and its folder was synced. */
  static async create(
    path: string,
    seq: number,
    { now, create }: { now: number; create: CreateFile },
  ): Promise<Segment> {
    const { header, marker } = newHeader(now);
    const file = await create(path);
    try {
      await writeAll(file, header, 0);
    } catch (error) {
      await file.close().catch(() => undefined);
      throw error;
    }
    return new Segment(path, seq, file, marker, { end: HEADER_BYTES, drained: HEADER_BYTES });
  }

  /**
   * Opens a segment that another process, or an earlier start, has left.
   * @param each is given what stands in each record behind `drained`
   * @returns null for a file that is no segment
   * @throws the file system's own errors
   */
  static async load(
    path: string,
    seq: number,
    drained: number,
    each: (facts: Facts) => void,
  ): Promise<{ segment: Segment; found: Found } | null> {
    const file = await open(path, "r+").catch(() => open(path, "r"));
    try {
      const loaded = await Segment.#loadFrom(file, { path, seq, drained }, each);
      if (loaded === null) await file.close();
      return loaded;
    } catch (error) {
      await file.close().catch(() => undefined);
      throw error;
    }
  }

  static async #loadFrom(
    file: FileHandle,
    { path, seq, drained }: { path: string; seq: number; drained: number },
    each: (facts: Facts) => void,
  ): Promise<{ segment: Segment; found: Found } | null> {
    const { size } = await file.stat();
    const bytes = size > SEGMENT_BYTES_MAX ? Buffer.alloc(0) : await readAll(file, 0, size);
    const known = markerOf(bytes);
    // A process that dies while it makes a segment leaves less than a header.
    if (known === null) return null;
    const from = Math.max(HEADER_BYTES, drained);
    const segment = new Segment(path, seq, file, Buffer.from(known.marker), { end: from, drained: from });
    const found = segment.#look(bytes, each);
    // The marker may be damaged too, and then what seems torn is not.
    if (!known.isSure || isWhole(bytes.subarray(segment.end))) {
      segment.damaged = true;
      return { segment, found: { torn: 0, damaged: found.damaged + 1 } };
    }
    if (found.torn > 0) await file.truncate(segment.end).catch(() => undefined);
    return { segment, found };
  }

  #look(bytes: Buffer, each: (facts: Facts) => void): Found {
    let damaged = 0;
    while (this.end < bytes.length) {
      const here = frameAt(bytes, this.end, this.#marker);
      const frame = here ?? nextFrame(bytes, this.end + 1, this.#marker);
      if (frame === null) break;
      if (here === null) damaged += 1;
      const facts = factsOf(frame.payload);
      this.note([facts], frame.end);
      each(facts);
    }
    this.damaged = damaged > 0;
    return { torn: bytes.length - this.end, damaged };
  }

  /** Whether the file still has its name. */
  async isThere(): Promise<boolean> {
    return await access(this.path).then(
      () => true,
      () => false,
    );
  }

  /** Notes records that are on the disk now. */
  note(records: readonly Pick<Facts, "arrivedAt">[], end: number): void {
    this.end = end;
    this.waiting += records.length;
    for (const { arrivedAt } of records) this.oldestAt = Math.min(this.oldestAt, arrivedAt);
  }

  /**
   * Appends records and waits until they are on the disk.
   * @throws SegmentFailure
   */
  async append(bytes: Buffer, records: readonly Pick<Facts, "arrivedAt">[]): Promise<void> {
    let isWritten = false;
    try {
      await writeAll(this.#file, bytes, this.end);
      isWritten = true;
      await this.#file.datasync();
    } catch (cause) {
      const isCut = await this.#file.truncate(this.end).then(
        () => true,
        () => false,
      );
      throw new SegmentFailure(cause, !isWritten && isCut);
    }
    this.note(records, this.end + bytes.length);
  }

  /** Reads records from `from`, so many and of so many bytes at most, but one at least unless there is none. */
  async read(from: number, rowsMax: number, bytesMax: number): Promise<Read> {
    const end = this.end;
    const bytes = await readAll(this.#file, from, Math.min(end - from, bytesMax));
    const frames: Frame[] = [];
    for (let at = 0; frames.length < rowsMax;) {
      const frame = frameAt(bytes, at, this.#marker);
      if (frame === null) break;
      frames.push(frame);
      at = frame.end;
    }
    const last = frames.at(-1);
    if (last) return { frames, next: from + last.end, damaged: false };
    // The first record is longer than what was read, or damaged.
    const rest = await readAll(this.#file, from, end - from);
    const frame = nextFrame(rest, 0, this.#marker);
    if (frame?.at === 0) return { frames: [frame], next: from + frame.end, damaged: false };
    return { frames: [], next: frame ? from + frame.at : end, damaged: from < end };
  }

  /** Notes that records are in the database, or were stepped over. */
  advance(to: number, records: number, oldestAt: number | null): void {
    this.drained = to;
    this.waiting = to >= this.end ? 0 : Math.max(0, this.waiting - records);
    if (oldestAt !== null) this.oldestAt = oldestAt;
  }

  async close(): Promise<void> {
    await this.#file.close().catch(() => undefined);
  }
}

/** Records could not be written; none of them is acknowledged. */
export class SegmentFailure extends Error {
  override readonly name = "SegmentFailure";
  /** the file ends where it ended before, and may be written to again */
  readonly isUsable: boolean;

  constructor(cause: unknown, isUsable: boolean) {
    super("the spool's file could not be written", { cause });
    this.isUsable = isUsable;
  }
}

async function writeAll(file: SegmentFile, bytes: Buffer, position: number): Promise<void> {
  for (let at = 0; at < bytes.length;) {
    const { bytesWritten } = await file.write(bytes, at, bytes.length - at, position + at);
    if (bytesWritten === 0) throw new Error("nothing was written");
    at += bytesWritten;
  }
}

/** Reads up to `length` bytes, fewer where the file ends. */
async function readAll(file: SegmentFile, position: number, length: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafe(length);
  let at = 0;
  while (at < length) {
    const { bytesRead } = await file.read(bytes, at, length - at, position + at);
    if (bytesRead === 0) break;
    at += bytesRead;
  }
  return bytes.subarray(0, at);
}
