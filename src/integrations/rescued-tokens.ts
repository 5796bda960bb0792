/**
 * Files with new access tokens, sealed, that may not be in the database yet: <data directory>/rescued-tokens/<rotation>.json, for
 * the owner of the folder only. A rotation writes one before its commit and deletes it afterwards. A file that is left over belongs to a
 * process that died, or to a database that was away; a server takes it in when it starts.
 */
import { mkdir, open, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import type { Database } from "../database/types.ts";
import type { Logger } from "../logger.ts";
import { BY_TARTAN } from "../model/change.ts";
import { holdRotation, replaceToken } from "./replace-token.ts";
import { itemToken } from "./sealed.ts";
import { beginSealing } from "./sealing.ts";
import type { Vault } from "./vault.ts";

const FOLDER = "rescued-tokens";
/** A file without content belongs to a rotation that is under way, unless it is older than any. */
const UNFINISHED_MS = 60 * 60_000;

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
  /** Deletes the file; that it cannot is no failure, since the next start finds the rotation over. */
  discard(): Promise<void>;
}

/** Opens the file of a rotation before it begins, so that a full or closed disk shows now. */
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
  return {
    file,
    keep: async ({ integrationId, itemId, sealed, formerSha256 }) => {
      const kept: z.infer<typeof Kept> = {
        integration_id: integrationId,
        item_id: itemId,
        sealed: sealed.toString("base64"),
        former_sha256: formerSha256.toString("hex"),
      };
      await handle.writeFile(JSON.stringify(kept));
      await handle.sync();
      await close();
      await rename(unfinished, file);
      await syncFolder(folder);
    },
    discard: async () => {
      await close().catch(() => undefined);
      for (const each of [file, unfinished]) await rm(each, { force: true }).catch(() => undefined);
    },
  };
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

/**
 * Takes in the tokens that earlier processes could not store. A file whose rotation is over is deleted; one that cannot be taken in
 * stays, with a line in the log.
 * @returns the ids of the items that have their token now
 */
export async function takeInTokens(
  deps: { database: Database; vault: Vault; logger: Logger },
  dataDir: string,
): Promise<string[]> {
  const folder = join(dataDir, FOLDER);
  const names = await readdir(folder).catch(() => []);
  const taken: string[] = [];
  for (const name of names) {
    const file = join(folder, name);
    try {
      const itemId = name.endsWith(".json") ? await takeIn(deps, file, name.slice(0, -".json".length)) : null;
      if (itemId !== null) taken.push(itemId);
      if (name.endsWith(".json") || (await isStale(file))) await rm(file, { force: true });
    } catch (error) {
      deps.logger.error({ err: error, file }, "the token in this file is not in the database yet; keep it and restart");
    }
  }
  return taken;
}

const isStale = async (file: string): Promise<boolean> => Date.now() - (await stat(file)).mtimeMs > UNFINISHED_MS;

/** @returns the item; null where its rotation is over */
async function takeIn(
  { database, vault, logger }: { database: Database; vault: Vault; logger: Logger },
  file: string,
  rotationId: string,
): Promise<string | null> {
  const kept = Kept.parse(JSON.parse(await readFile(file, "utf8")));
  const { integration_id: integrationId, item_id: itemId } = kept;
  const place = itemToken(integrationId, itemId);
  const taken = await database.transaction(async (tx) => {
    await beginSealing(tx, vault);
    const rotation = { id: rotationId, integrationId, itemId };
    if (!(await holdRotation(tx, rotation))) return false;
    // Under the key of today.
    const sealed = vault.seal(vault.open(Buffer.from(kept.sealed, "base64"), place), place);
    const formerSha256 = Buffer.from(kept.former_sha256, "hex");
    await replaceToken(tx, rotation, { sealed, formerSha256 }, BY_TARTAN);
    return true;
  });
  if (taken) logger.warn({ item_id: itemId }, "a rotated token that was not in the database was taken in from a file");
  return taken ? itemId : null;
}
