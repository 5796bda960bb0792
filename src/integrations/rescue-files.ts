/**
 * Files with new access tokens, sealed, that may not be in the database yet, for the owner of the folder only. A caller that asks Plaid for a
 * token that Plaid shows once opens a file before, and deletes it after the commit. A file that is left over belongs to a process that
 * died, or to a database that was away.
 *
 *   <name>.new: reserved ──▶ has the token, on the disk ──▶ <name>.json ──▶ deleted after the commit, or taken in
 */
import { mkdir, open, readdir, readFile, rename, rm, stat, type FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import type { Clock } from "../clock.ts";
import type { Database } from "../database/types.ts";
import { startWorkerLoop } from "../database/worker-loop.ts";
import type { Logger } from "../logger.ts";

/** A file without a token belongs to a request that is under way, unless it is older than any. */
const UNFINISHED_MS = 60 * 60_000;
/** A file about something that the database does not have may be another database's. Of what was erased it is deleted after this time. */
const UNKNOWN_MS = 7 * 24 * 60 * 60_000;
/** A token and its file's other fields need less. Spaces behind them are no part of the JSON. */
const RESERVED_BYTES = 4096;
const LOOK_EVERY_MS = 60_000;

export interface RescueFile {
  file: string;
  /** Resolves once it is on the disk. */
  keep(content: object): Promise<void>;
  /** Deletes the file; that it cannot is no failure, since the next look finds that the token is stored. */
  discard(): Promise<void>;
}

/** Opens a file before Plaid is asked and takes the space that it needs, so that a full or closed disk shows now. */
export async function openRescueFile(folder: string, name: string): Promise<RescueFile> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const [file, unfinished] = [join(folder, `${name}.json`), join(folder, `${name}.new`)];
  const handle = await open(unfinished, "wx", 0o600);
  let isOpen = true;
  const close = async (): Promise<void> => {
    if (isOpen) await handle.close();
    isOpen = false;
  };
  const discard = async (): Promise<void> => {
    await close().catch(() => undefined);
    for (const each of [file, unfinished]) await rm(each, { force: true }).catch(() => undefined);
  };
  await write(handle, " ".repeat(RESERVED_BYTES)).catch(async (error: unknown) => {
    await discard();
    throw error;
  });
  return {
    file,
    keep: async (content) => {
      await write(handle, JSON.stringify(content));
      await close();
      await rename(unfinished, file);
      await syncFolder(folder);
    },
    discard,
  };
}

/** Writes the beginning of a file. Resolves once it is on the disk. */
async function write(handle: FileHandle, text: string): Promise<void> {
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length;) at += (await handle.write(bytes, at, bytes.length - at, at)).bytesWritten;
  await handle.sync();
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

/** What became of a file's token: it is stored now; it is not needed any more; the database does not have what it is about. */
export type Fate = "taken" | "over" | "unknown";

/**
 * Offers what each file of a folder holds. A file whose token is taken or not needed any more is deleted; one that cannot be taken in stays,
 * with a line in the log.
 * @param takeIn null: not this one
 */
export async function takeInFiles<T>(
  { folder, shape, logger }: { folder: string; shape: z.ZodType<T>; logger: Logger },
  takeIn: (kept: T) => Promise<Fate | null>,
): Promise<void> {
  const names = await readdir(folder).catch(() => []);
  for (const name of names.filter((each) => /[.](json|new)$/.test(each))) {
    const file = join(folder, name);
    try {
      const kept = await readKept(file, shape);
      const fate = kept === null ? "unfinished" : await takeIn(kept);
      if (fate !== null && (await isOver(file, fate))) await rm(file, { force: true });
      else if (fate === "unknown")
        logger.warn({ file }, "the database does not have what the token in this file is of");
    } catch (error) {
      // Its request has ended meanwhile.
      if ((error as { code?: unknown }).code === "ENOENT") continue;
      logger.error({ err: error, file }, "the token in this file is not in the database yet; keep the file");
    }
  }
}

/**
 * What a file holds; null where it has no token yet. A process may have died before it gave the file its last name, so one with the first
 * name counts as soon as its token is whole.
 */
async function readKept<T>(file: string, shape: z.ZodType<T>): Promise<T | null> {
  const text = await readFile(file, "utf8");
  try {
    return shape.parse(JSON.parse(text));
  } catch (error) {
    if (file.endsWith(".new")) return null;
    throw error;
  }
}

async function isOver(file: string, fate: Fate | "unfinished"): Promise<boolean> {
  if (fate === "taken" || fate === "over") return true;
  const age = Date.now() - (await stat(file)).mtimeMs;
  return age > (fate === "unfinished" ? UNFINISHED_MS : UNKNOWN_MS);
}

/**
 * The sealed tokens of a folder's files, for a rotation of the master key.
 * @throws the file system's own errors, other than that a file or the folder is gone
 */
export async function sealedIn(folder: string): Promise<Buffer[]> {
  const names = await readdir(folder).catch(orGone([]));
  const texts = await Promise.all(
    names
      .filter((each) => /[.](json|new)$/.test(each))
      .map((name) => readFile(join(folder, name), "utf8").catch(orGone(""))),
  );
  return texts.flatMap((text) => {
    const { data } = Sealed.safeParse(parsed(text));
    return data ? [Buffer.from(data.sealed, "base64")] : [];
  });
}

const Sealed = z.looseObject({ sealed: z.base64() });

/** Null for a file that has no token yet. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

const orGone =
  <T>(nothing: T) =>
  (error: NodeJS.ErrnoException): T => {
    if (error.code === "ENOENT") return nothing;
    throw error;
  };

/** Calls `takeIn` every minute, until it is disposed. */
export const startTakingIn = (
  deps: { database: Database; clock: Clock; logger: Logger },
  takeIn: () => Promise<void>,
): Promise<AsyncDisposable> =>
  startWorkerLoop({
    ...deps,
    channels: [],
    pollMs: LOOK_EVERY_MS,
    trouble: "cannot look for tokens that are not in the database yet; trying again",
    work: async () => {
      await takeIn();
      return false;
    },
  });
