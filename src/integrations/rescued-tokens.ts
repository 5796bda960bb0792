/**
 * Files with new access tokens, sealed, that may not be in the database yet: <data directory>/rescued-tokens/<rotation>.json, for
 * the owner of the folder only. A rotation writes one before its commit and deletes it afterwards. A file that is left over belongs to a
 * process that died, or to a database that was away; servers look for such files when they start and every minute.
 *
 *   <rotation>.new: reserved ──▶ has the token, on the disk ──▶ <rotation>.json ──▶ deleted after the commit, or taken in
 */
import { mkdir, open, readdir, readFile, rename, rm, stat, type FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import type { Clock } from "../clock.ts";
import type { Database } from "../database/types.ts";
import { startWorkerLoop } from "../database/worker-loop.ts";
import type { Logger } from "../logger.ts";
import { BY_TARTAN } from "../model/change.ts";
import { holdFormer, replaceToken } from "./replace-token.ts";
import { itemToken } from "./sealed.ts";
import { beginSealing } from "./sealing.ts";
import type { Vault } from "./vault.ts";

const FOLDER = "rescued-tokens";
/** A file without a token belongs to a rotation that is under way, unless it is older than any. */
const UNFINISHED_MS = 60 * 60_000;
/** A file of an item that the database does not have may be another database's. Of an erased item it is deleted after this time. */
const UNKNOWN_MS = 7 * 24 * 60 * 60_000;
/** A token and its file's other fields need less. Spaces behind them are no part of the JSON. */
const RESERVED_BYTES = 4096;
const LOOK_EVERY_MS = 60_000;

const Kept = z.strictObject({
  integration_id: z.string(),
  item_id: z.string(),
  sealed: z.base64(),
  former_sha256: z.hex(),
});

export interface Rescue {
  file: string;
  /** Resolves once it is on the disk. */
  keep(token: { integrationId: string; itemId: string; sealed: Buffer; formerSha256: Buffer }): Promise<void>;
  /** Deletes the file; that it cannot is no failure, since the next look finds that the token is stored. */
  discard(): Promise<void>;
}

/** Opens the file of a rotation before it begins and takes the space that it needs, so that a full or closed disk shows now. */
export async function openRescue(dataDir: string, rotationId: string): Promise<Rescue> {
  const folder = join(dataDir, FOLDER);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const [file, unfinished] = [join(folder, `${rotationId}.json`), join(folder, `${rotationId}.new`)];
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
    keep: async ({ integrationId, itemId, sealed, formerSha256 }) => {
      const kept: z.infer<typeof Kept> = {
        integration_id: integrationId,
        item_id: itemId,
        sealed: sealed.toString("base64"),
        former_sha256: formerSha256.toString("hex"),
      };
      await write(handle, JSON.stringify(kept));
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

interface TakeInDeps {
  database: Database;
  vault: Vault;
  logger: Logger;
}

interface Which {
  integrationId: string;
  itemId: string;
}

/** Takes in tokens every minute, until it is disposed. */
export const startTakingIn = (deps: TakeInDeps & { clock: Clock }, dataDir: string): Promise<AsyncDisposable> =>
  startWorkerLoop({
    ...deps,
    channels: [],
    pollMs: LOOK_EVERY_MS,
    trouble: "cannot look for rotated tokens that are not in the database yet; trying again",
    work: async () => {
      await takeInTokens(deps, dataDir);
      return false;
    },
  });

/**
 * Takes in the tokens that other processes could not store. A file whose token is not needed any more is deleted; one that cannot be
 * taken in stays, with a line in the log.
 * @param only this item's; absent: all
 * @returns the ids of the items that have their token now
 */
export async function takeInTokens(deps: TakeInDeps, dataDir: string, only?: Which): Promise<string[]> {
  const folder = join(dataDir, FOLDER);
  const names = await readdir(folder).catch(() => []);
  const taken: string[] = [];
  for (const name of names.filter((each) => /[.](json|new)$/.test(each))) {
    const file = join(folder, name);
    try {
      const kept = await readKept(file);
      if (only !== undefined && !isOf(kept, only)) continue;
      const fate = kept ? await takeIn(deps, kept) : "unfinished";
      if (kept && fate === "taken") taken.push(kept.item_id);
      if (await isOver(file, fate)) await rm(file, { force: true });
      else if (fate === "unknown")
        deps.logger.warn({ file }, "the token in this file is of an item that the database does not have");
    } catch (error) {
      // Its rotation has ended meanwhile.
      if ((error as { code?: unknown }).code === "ENOENT") continue;
      deps.logger.error({ err: error, file }, "the token in this file is not in the database yet; keep the file");
    }
  }
  return taken;
}

type KeptToken = z.infer<typeof Kept>;
type Fate = "taken" | "over" | "unknown" | "unfinished";

const isOf = (kept: KeptToken | null, { integrationId, itemId }: Which): boolean =>
  kept?.integration_id === integrationId && kept.item_id === itemId;

/**
 * The token in a file; null where it has none yet. A process may have died before it gave the file its last name, so one with the first name counts as soon as its token
 * is whole.
 */
async function readKept(file: string): Promise<KeptToken | null> {
  const text = await readFile(file, "utf8");
  try {
    return Kept.parse(JSON.parse(text));
  } catch (error) {
    if (file.endsWith(".new")) return null;
    throw error;
  }
}

async function isOver(file: string, fate: Fate): Promise<boolean> {
  if (fate === "taken" || fate === "over") return true;
  const age = Date.now() - (await stat(file)).mtimeMs;
  return age > (fate === "unfinished" ? UNFINISHED_MS : UNKNOWN_MS);
}

/** Stores the token if the item still has the one that Plaid has ended for it. */
async function takeIn({ database, vault, logger }: TakeInDeps, kept: KeptToken): Promise<Fate> {
  const { integration_id: integrationId, item_id: itemId } = kept;
  const place = itemToken(integrationId, itemId);
  const formerSha256 = Buffer.from(kept.former_sha256, "hex");
  const fate = await database.transaction<Fate>(async (tx) => {
    await beginSealing(tx, vault);
    const stored = await holdFormer(tx, vault, { integrationId, itemId }, formerSha256);
    if (stored !== "former") return stored === "another" ? "over" : stored;
    // Under the key of today.
    const sealed = vault.seal(vault.open(Buffer.from(kept.sealed, "base64"), place), place);
    await replaceToken(tx, { integrationId, itemId }, { sealed, formerSha256 }, BY_TARTAN);
    return "taken";
  });
  if (fate === "taken")
    logger.warn({ item_id: itemId }, "a rotated token that was not in the database was taken in from a file");
  return fate;
}
