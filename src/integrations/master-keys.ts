/**
 * Loads the vault's master keys from TARTAN_MASTER_KEY or, with the embedded database only, from a file in the data
 * directory with one key on each line; the first key seals. Running servers read the file again before each seal,
 * and when they find a seal of an unknown key, so that a rotation needs no restart.
 */
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { chmod, link, mkdir, open, readFile, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { TartanError } from "../errors.ts";

export interface MasterKeys {
  /** base64 of 32 bytes each; the first seals */
  keys: readonly string[];
  /** reads them again */
  reload?: () => readonly string[];
}

export interface MasterKeySource {
  /** TARTAN_MASTER_KEY: one key, or several separated by commas */
  masterKey?: string | undefined;
  dataDir: string;
  /** whether Postgres is the embedded one: then its data and the key are stored, moved and lost together */
  embedded: boolean;
}

const KEY_BYTES = 32;
const fileIn = (dataDir: string): string => join(dataDir, "master.key");
const newKey = (): string => randomBytes(KEY_BYTES).toString("base64");
const HOW_TO_MAKE = "make one with: openssl rand -base64 32";

/** @throws TartanError `config_invalid` naming the invalid key by its place, never its text */
export function decodeMasterKeys(texts: readonly string[]): Buffer[] {
  return texts.map((text, index) => {
    const wellFormed = /^[A-Za-z0-9+/_-]+={0,2}$/.test(text.trim());
    const key = wellFormed ? Buffer.from(text.trim(), "base64") : Buffer.alloc(0);
    if (key.length === KEY_BYTES) return key;
    const which = texts.length === 1 ? "it" : `key ${index + 1} of ${texts.length}`;
    const fault = wellFormed ? `${which} has ${key.length} bytes, not ${KEY_BYTES}` : `${which} is not base64`;
    throw new TartanError("config_invalid", `The master key is not usable: ${fault}; ${HOW_TO_MAKE}`, {
      fields: { TARTAN_MASTER_KEY: `${fault}; ${HOW_TO_MAKE}` },
    });
  });
}

/**
 * The master keys. With the embedded database and no TARTAN_MASTER_KEY, Tartan generates one into <dataDir>/master.key (mode
 * 0600) and reads it from there afterwards.
 * @throws TartanError `vault_key_missing` when there is none and none may be generated; `config_invalid` when malformed
 */
export async function loadMasterKeys({ masterKey, dataDir, embedded }: MasterKeySource): Promise<MasterKeys> {
  if (masterKey !== undefined) {
    const keys = masterKey.split(",").map((key) => key.trim());
    decodeMasterKeys(keys);
    return { keys };
  }
  if (!embedded) {
    throw new TartanError(
      "vault_key_missing",
      "TARTAN_MASTER_KEY is missing. It seals tokens and secrets; keep it apart from the database's backups, for " +
        "without it they cannot be opened. Make one and give the same to every process:\n\n" +
        "  export TARTAN_MASTER_KEY=$(openssl rand -base64 32)\n",
      { fields: { TARTAN_MASTER_KEY: `is needed with TARTAN_DATABASE_URL; ${HOW_TO_MAKE}` } },
    );
  }
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  const file = fileIn(dataDir);
  const keys = (await readKeys(file)) ?? (await makeKeyFile(file));
  await closeToOthers(file);
  return { keys, reload: () => parse(readFileSync(file, "utf8"), file) };
}

function parse(text: string, file: string): string[] {
  const keys = text.split("\n").map((line) => line.trim());
  const found = keys.filter((line) => line !== "" && !line.startsWith("#"));
  if (found.length === 0) throw new TartanError("vault_key_missing", `There is no key in ${file}`);
  decodeMasterKeys(found);
  return found;
}

/** Closes the file to other users, for example after somebody copied it there. On a read-only mount it must be closed already. */
async function closeToOthers(file: string): Promise<void> {
  const { mode } = await stat(file);
  if ((mode & 0o077) !== 0) await chmod(file, 0o600);
}

async function readKeys(file: string): Promise<string[] | null> {
  try {
    return parse(await readFile(file, "utf8"), file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
}

/** When two processes make it at once, one wins, and both use the winner's key. */
async function makeKeyFile(file: string): Promise<string[]> {
  const aside = await writeAside(file, [newKey()]);
  try {
    await link(aside, file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  } finally {
    await rm(aside, { force: true });
  }
  const keys = await readKeys(file);
  if (!keys) throw new TartanError("vault_key_missing", `${file} vanished while it was made`);
  return keys;
}

/** Writes the key to disk before anything uses it: tokens will be sealed under it at once. */
async function writeAside(file: string, keys: readonly string[]): Promise<string> {
  const aside = `${file}.${randomBytes(6).toString("hex")}.new`;
  const handle = await open(aside, "w", 0o600);
  try {
    await handle.writeFile(
      `# Seals every token in this data directory's database. Losing it loses them.\n${keys.join("\n")}\n`,
    );
    await handle.sync();
  } finally {
    await handle.close();
  }
  return aside;
}

async function replaceKeys(dataDir: string, change: (keys: string[]) => string[]): Promise<void> {
  const file = fileIn(dataDir);
  const keys = await readKeys(file);
  if (!keys) {
    throw new TartanError(
      "vault_key_missing",
      `There is no ${file}: the key comes from TARTAN_MASTER_KEY, so rotate it there.`,
    );
  }
  await rename(await writeAside(file, change(keys)), file);
}

/**
 * Puts a new first key into <dataDir>/master.key and keeps the old ones behind it. An unfinished rotation
 * continues with the key with which it began.
 */
export async function beginRotation(dataDir: string): Promise<void> {
  await replaceKeys(dataDir, (keys) => (keys.length > 1 ? keys : [newKey(), ...keys]));
}

/** Removes all keys except the first. Call it after `rotateVault` has returned: nothing uses the others then. */
export async function finishRotation(dataDir: string): Promise<void> {
  await replaceKeys(dataDir, (keys) => keys.slice(0, 1));
}
