/**
 * One value in a file below the data directory, sealed as a whole, so that nobody who can write there can change a URL or a key in
 * it: what a receiver must know while Postgres is away, kept over its restarts.
 *
 *   tartan cache <version> <name>\n      what follows, for a reader of another version
 *   then one seal of the vault           over JSON, bound to the name and the version
 *
 * It is replaced whole: written beside, synced, renamed, and the folder is synced. A file that is damaged, of another version or
 * sealed under a key that is not given is ignored with a warning: Postgres has everything that is in it.
 */
import { createHash, randomBytes } from "node:crypto";
import { mkdir, open, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { z } from "zod";
import { describeError } from "../errors.ts";
import type { Logger } from "../logger.ts";
import type { Kept } from "../model/kept.ts";
import type { Vault } from "./vault.ts";

const VERSION = 1;
/** Changes come together, such as those of a rotation of the master key. */
const GATHER_MS = 200;
/** A full disk may take long to be emptied, and the log needs no line for each try. */
const RETRY_MS = 30_000;
/** How often a file is compared with the key that seals now: a rotation in another process announces itself to none. */
const CHECK_KEY_MS = 60_000;

/** Another process that has this folder may be writing; a write takes less. */
const LEFT_OVER_MS = 10 * 60_000;

export interface SealedFileOptions<T> {
  /** the folder of all caches; made with the first file */
  folder: string;
  /** names the file, and what it holds */
  name: string;
  shape: z.ZodType<T>;
  vault: Vault;
  logger: Logger;
  /** makes sure that the vault seals under the key that all processes have; fails while Postgres is away, which changes nothing */
  agreeOnKey?: () => Promise<void>;
}

/** Disposing it writes what is not written yet. */
export type SealedFile<T> = Kept<T> & AsyncDisposable;

/** Opens the file; nothing is read or written yet. */
export const openSealedFile = <T>(options: SealedFileOptions<T>): SealedFile<T> => new CacheFile(options);

const headerOf = (name: string): string => `tartan cache ${VERSION} ${name}\n`;
const placeOf = (name: string): string => `cache ${VERSION} ${name}`;

class CacheFile<T> implements SealedFile<T> {
  readonly #options: SealedFileOptions<T>;
  readonly #file: string;
  readonly #checking: NodeJS.Timeout;
  readonly #closed = new AbortController();
  /** what is to be in the file */
  #text: string | undefined;
  /** what is in the file, and under which key */
  #written = { digest: "", keyId: "" };
  #writing: Promise<void> | undefined;
  #failing = false;

  constructor(options: SealedFileOptions<T>) {
    this.#options = options;
    this.#file = join(options.folder, `${options.name}.sealed`);
    this.#checking = setInterval(() => void this.#checkKey(), CHECK_KEY_MS).unref();
  }

  async read(): Promise<T | null> {
    const { name, vault, shape, logger } = this.#options;
    const header = Buffer.from(headerOf(name));
    try {
      const content = await readFile(this.#file);
      if (!content.subarray(0, header.length).equals(header)) throw new Error("it is of another version, or damaged");
      const sealed = content.subarray(header.length);
      const text = vault.open(sealed, placeOf(name));
      const value = shape.parse(JSON.parse(text));
      this.#written = { digest: digestOf(text), keyId: vault.keyIdOf(sealed) ?? "" };
      this.#text ??= text;
      return value;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
      const { message } = describeError(error);
      logger.warn({ file: this.#file, reason: message }, "a cache on disk cannot be used and is ignored");
      return null;
    }
  }

  keep(value: T): void {
    this.#text = JSON.stringify(value);
    if (this.#isWritten()) return;
    this.#writing ??= this.#write().finally(() => (this.#writing = undefined));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#checking);
    this.#closed.abort();
    await this.#writing;
  }

  #isWritten(): boolean {
    const { digest, keyId } = this.#written;
    return this.#text === undefined || (digest === digestOf(this.#text) && keyId === this.#options.vault.activeKeyId);
  }

  async #checkKey(): Promise<void> {
    await this.#options.agreeOnKey?.().catch(() => undefined);
    if (this.#isWritten() || this.#closed.signal.aborted) return;
    this.#writing ??= this.#write().finally(() => (this.#writing = undefined));
  }

  /** Writes until the file holds the newest value. Never throws. */
  async #write(): Promise<void> {
    const { signal } = this.#closed;
    do {
      await delay(this.#failing ? RETRY_MS : GATHER_MS, undefined, { signal, ref: false }).catch(() => undefined);
      await this.#options.agreeOnKey?.().catch(() => undefined);
      await this.#replace().catch((error: unknown) => this.#failed(error));
    } while (!this.#isWritten() && !signal.aborted);
  }

  #failed(error: unknown): void {
    const { logger } = this.#options;
    const { message: reason } = describeError(error);
    if (!this.#failing) {
      const sentence = "a cache on disk cannot be written; a restart while Postgres is away would know the older state";
      logger.warn({ file: this.#file, reason }, sentence);
    }
    this.#failing = true;
  }

  async #replace(): Promise<void> {
    const { folder, name, vault } = this.#options;
    const text = this.#text;
    if (text === undefined) return;
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const sealed = vault.seal(text, placeOf(name));
    const aside = join(folder, `${name}.${randomBytes(6).toString("hex")}.new`);
    try {
      await writeSynced(aside, Buffer.concat([Buffer.from(headerOf(name)), sealed]));
      await rename(aside, this.#file);
    } catch (error) {
      await rm(aside, { force: true }).catch(() => undefined);
      throw error;
    }
    await syncFolder(folder);
    await removeLeftOver(folder, name);
    this.#written = { digest: digestOf(text), keyId: vault.keyIdOf(sealed) ?? "" };
    this.#failing = false;
  }
}

const digestOf = (text: string): string => createHash("sha256").update(text).digest("base64");

async function writeSynced(file: string, content: Buffer): Promise<void> {
  const handle = await open(file, "wx", 0o600);
  try {
    await handle.writeFile(content);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** A process that was killed leaves the file that it was writing. */
async function removeLeftOver(folder: string, name: string): Promise<void> {
  const files = (await readdir(folder)).filter((file) => file.startsWith(`${name}.`) && file.endsWith(".new"));
  for (const file of files.map((each) => join(folder, each))) {
    const age = Date.now() - (await stat(file).catch(() => ({ mtimeMs: Date.now() }))).mtimeMs;
    if (age > LEFT_OVER_MS) await rm(file, { force: true });
  }
}

/** A new name survives the loss of power only once its folder is on the disk. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
