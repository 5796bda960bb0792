/**
 * Where the vault's master keys come from: TARTAN_MASTER_KEY, or, beside an embedded database only, a file in the data
 * directory with one key a line of which the first seals. Servers that run look into the file again before each seal
 * and whenever they meet a seal of a key they do not know, so that a rotation needs no restart.
 */
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { chmod, link, mkdir, open, readFile, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { TartanError } from "../errors.ts";

export interface MasterKeys {
  /** base64 of 32 bytes each; the first seals */
  keys: readonly string[];
  /** reads them anew */
  reload?: () => readonly string[];
}

export interface MasterKeySource {
  /** TARTAN_MASTER_KEY: one key, or several separated by commas */
  masterKey?: string | undefined;
  dataDir: string;
  /** whether Postgres is Tartan's own: then its data and the key are kept, moved and lost together */
  embedded: boolean;
}

const KEY_BYTES = 32;
const fileIn = (dataDir: string): string => join(dataDir, "master.key");
const newKey = (): string => randomBytes(KEY_BYTES).toString("base64");
const MEND = "make one with: openssl rand -base64 32";

/** @throws TartanError `config_invalid` naming the key at fault by its place, never its text */
export function decodeMasterKeys(texts: readonly string[]): Buffer[] {
  return texts.map((text, index) => {
    const wellFormed = /^[A-Za-z0-9+/_-]+={0,2}$/.test(text.trim());
    const key = wellFormed ? Buffer.from(text.trim(), "base64") : Buffer.alloc(0);
    if (key.length === KEY_BYTES) return key;
    const which = texts.length === 1 ? "it" : `key ${index + 1} of ${texts.length}`;
    const fault = wellFormed ? `${which} has ${key.length} bytes, not ${KEY_BYTES}` : `${which} is not base64`;
    throw new TartanError("config_invalid", `The master key is not usable: ${fault}; ${MEND}`, {
      fields: { TARTAN_MASTER_KEY: `${fault}; ${MEND}` },
    });
  });
}

/**
 * The master keys; with the embedded database and no TARTAN_MASTER_KEY one is generated into <dataDir>/master.key (mode
 * 0600) and found there again.
 * @throws TartanError `vault_key_missing` when there is none and none may be made up; `config_invalid` when malformed
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
      { fields: { TARTAN_MASTER_KEY: `is needed with TARTAN_DATABASE_URL; ${MEND}` } },
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

/** A file that somebody copied there, say; one on a read-only mount is left alone if it is closed already. */
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

/** Of two processes that make it at once one wins, and both use the winner's. */
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

/** On disk before it counts: tokens will be sealed under it at once. */
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
 * Puts a new first key into <dataDir>/master.key and keeps the old ones behind it. A rotation that was begun and not
 * finished goes on with the key it had begun with.
 */
export async function beginRotation(dataDir: string): Promise<void> {
  await replaceKeys(dataDir, (keys) => (keys.length > 1 ? keys : [newKey(), ...keys]));
}

/** Drops all keys but the first. Call it once `rotateVault` has returned: nothing uses them then. */
export async function finishRotation(dataDir: string): Promise<void> {
  await replaceKeys(dataDir, (keys) => keys.slice(0, 1));
}
