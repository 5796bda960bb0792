/**
 * The folders of the spool: `<data directory>/spool/<process>/` with a lock, segments, and how far they are drained. A folder belongs to
 * the process that holds its lock. When a process dies the kernel releases the lock, and the next process that takes arrivals drains the folder.
 *
 *   spool/
 *     p-<uuid>/lock, 00000001.segment, 00000002.segment, drained
 *     damaged/    segments with damaged places, when the rest of them is drained
 *     refused/    arrivals that the database refuses for good
 *     later/      arrivals whose integration is not in the database, or that cannot be opened; they are tried again at each start
 */
import { randomUUID } from "node:crypto";
import { mkdir, open, readdir, readFile, rename, rm, writeFile, type FileHandle } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { crc32 } from "node:zlib";
import { FileLock } from "../embedded/file-lock.ts";
import { mark, newHeader, recordOf } from "./frames.ts";

const OWN = /^p-[0-9a-f-]{36}$/;
const SEGMENT = /^(\d{8})[.]segment$/;
const POSITION_BYTES = 20;

export const isFolderOfProcess = (name: string): boolean => OWN.test(name);
export const isSegmentName = (name: string): boolean => SEGMENT.test(name);

/** How far a folder is drained: segments before `seq` wholly, that one up to `offset`. */
export interface Position {
  seq: number;
  offset: number;
}

export class Folder {
  readonly path: string;
  readonly #lock: FileLock;
  #positions: FileHandle | null = null;
  /** of the segments that could not be read, the first */
  #unreadable = Number.POSITIVE_INFINITY;

  private constructor(path: string, lock: FileLock) {
    this.path = path;
    this.#lock = lock;
  }

  /**
   * Makes the folder of this process. Its lock is held before it has its name, so no other process takes it for one that is left over.
   * @throws the file system's own errors, and those of the lock
   */
  static async create(root: string): Promise<Folder> {
    await mkdir(root, { recursive: true, mode: 0o700 });
    const name = randomUUID();
    const [unnamed, path] = [join(root, `new-${name}`), join(root, `p-${name}`)];
    await mkdir(unnamed, { mode: 0o700 });
    const lock = new FileLock(join(unnamed, "lock"));
    try {
      if (!lock.tryTake()) throw new Error("the lock of a new folder is held");
      await rename(unnamed, path);
      await syncFolder(root);
      await syncFolder(dirname(root));
    } catch (error) {
      lock.release();
      await rm(unnamed, { recursive: true, force: true }).catch(() => undefined);
      throw error;
    }
    return new Folder(path, lock);
  }

  /** Takes the folders whose processes are gone. */
  static async takeLeftOver(root: string): Promise<Folder[]> {
    const names = await readdir(root).catch(() => []);
    const taken: Folder[] = [];
    for (const name of names.filter(isFolderOfProcess)) {
      const path = join(root, name);
      const lock = new FileLock(join(path, "lock"));
      try {
        if (lock.tryTake()) taken.push(new Folder(path, lock));
      } catch {
        // Another process has deleted it meanwhile.
      }
    }
    return taken;
  }

  /** The segments, the oldest first. */
  async segments(): Promise<{ path: string; seq: number }[]> {
    const names = await readdir(this.path).catch(() => []);
    const found = names.flatMap((name) => {
      const seq = SEGMENT.exec(name)?.[1];
      return seq === undefined ? [] : [{ path: join(this.path, name), seq: Number(seq) }];
    });
    return found.toSorted((one, other) => one.seq - other.seq);
  }

  segmentPath(seq: number): string {
    return join(this.path, `${String(seq).padStart(8, "0")}.segment`);
  }

  async position(): Promise<Position> {
    const bytes = await readFile(join(this.path, "drained")).catch(() => Buffer.alloc(0));
    if (bytes.length !== POSITION_BYTES || crc32(bytes.subarray(0, 16)) !== bytes.readUInt32BE(16))
      return { seq: 0, offset: 0 };
    return { seq: bytes.readDoubleBE(0), offset: bytes.readDoubleBE(8) };
  }

  /**
   * Notes how far it is drained. The note is not synced: after a loss of power some records are offered to the database again, which passes
   * them over.
   */
  async notePosition(position: Position): Promise<void> {
    const isBehind = position.seq > this.#unreadable;
    const { seq, offset } = isBehind ? { seq: this.#unreadable, offset: 0 } : position;
    const bytes = Buffer.alloc(POSITION_BYTES);
    bytes.writeDoubleBE(seq, 0);
    bytes.writeDoubleBE(offset, 8);
    bytes.writeUInt32BE(crc32(bytes.subarray(0, 16)), 16);
    this.#positions ??= await open(join(this.path, "drained"), "w", 0o600);
    await this.#positions.write(bytes, 0, POSITION_BYTES, 0);
  }

  /** A segment cannot be read just now. It stays for another look, so no position goes beyond it: it would count as drained. */
  skip(seq: number): void {
    this.#unreadable = Math.min(this.#unreadable, seq);
  }

  async sync(): Promise<void> {
    await syncFolder(this.path);
  }

  /** Gives the folder back; it is deleted if nothing is left in it. */
  async leave(): Promise<void> {
    await this.#positions?.sync().catch(() => undefined);
    await this.#positions?.close().catch(() => undefined);
    this.#positions = null;
    const left = await readdir(this.path).catch(() => []);
    // Under the lock: a process that opened the lock meanwhile finds an empty folder, and then none.
    if (left.every((name) => name === "lock" || name === "drained"))
      await rm(this.path, { recursive: true, force: true }).catch(() => undefined);
    this.#lock.release();
  }
}

/** A new name survives the loss of power only once its folder is on the disk. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Moves a file into a folder beside those of the processes. @returns where it is now */
export async function setAside(root: string, folder: "damaged", path: string): Promise<string> {
  await mkdir(join(root, folder), { recursive: true, mode: 0o700 });
  const kept = join(root, folder, `${randomUUID()}.segment`);
  await rename(path, kept);
  return kept;
}

/** Writes records into a segment of their own, in a folder beside those of the processes. @returns where it is, once it is on the disk */
export async function keep(root: string, folder: Kept, payloads: readonly Buffer[]): Promise<string> {
  await mkdir(join(root, folder), { recursive: true, mode: 0o700 });
  const path = join(root, folder, `${randomUUID()}.segment`);
  const { header, marker } = newHeader(Date.now());
  await writeFile(path, Buffer.concat([header, mark(payloads.map(recordOf), marker)]), { mode: 0o600, flush: true });
  await syncFolder(join(root, folder));
  return path;
}

export type Kept = "refused" | "later";

/** The segments of all processes. */
export async function segmentsOf(root: string): Promise<string[]> {
  const folders = (await readdir(root).catch(() => [])).filter(isFolderOfProcess).map((name) => join(root, name));
  const names = await Promise.all(
    folders.map(async (folder) => (await readdir(folder).catch(() => [])).map((name) => join(folder, name))),
  );
  return names.flat().filter((path) => isSegmentName(basename(path)));
}

/** The segments that were kept for another try. */
export async function keptForLater(root: string): Promise<string[]> {
  const names = await readdir(join(root, "later")).catch(() => []);
  return names.filter((name) => name.endsWith(".segment")).map((name) => join(root, "later", name));
}
