/**
 * Seals tokens and secrets: AES-256-GCM under a master key that never touches the database. A sealed value is
 * bound to its place (`context`, as associated data), so a sealed token that is copied into another row does not open.
 *
 *   byte 0      1, the format
 *   bytes 1-8   key id: which master key sealed it
 *   bytes 9-20  nonce, random: 2^32 seals under one key are safe, and there will be fewer
 *   then        ciphertext, and the 16-byte tag
 */
import { createCipheriv, createDecipheriv, createHash, randomBytes } from "node:crypto";
import { TartanError } from "../errors.ts";
import { decodeMasterKeys, type MasterKeys } from "./master-keys.ts";

export interface Vault {
  /** Seals well-formed text for one place. */
  seal(plain: string, context: string): Buffer;
  /** Seals under the first of the given keys, whichever one all processes use: for what waits outside of the database. */
  sealNewest(plain: string, context: string): Buffer;
  /**
   * @throws TartanError `vault_unsealable` when it was altered, belongs to another place, or its master key is not among the
   *   given ones; the message says which of these, never the value
   */
  open(sealed: Buffer, context: string): string;
  /** id (16 hex digits) of the master key that sealed it; null when it is not a seal */
  keyIdOf(sealed: Buffer): string | null;
  /** id of the key that seals now */
  readonly activeKeyId: string;
  /** ids of all given keys; a rotation seals under the first */
  readonly keyIds: readonly [first: string, ...others: string[]];
  /** true when it reads new keys by itself, from the file in the data directory */
  readonly reloads: boolean;
  /**
   * Seals under this key from now on. Until this is called, the first key seals.
   * @throws TartanError `vault_key_missing` when it is not among the given keys
   */
  use(keyId: string): void;
}

const FORMAT = 1;
const KEY_ID_BYTES = 8;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const HEADER_BYTES = 1 + KEY_ID_BYTES;
const LEAST_BYTES = HEADER_BYTES + NONCE_BYTES + TAG_BYTES;

/** UTF-8 cannot encode a lone surrogate, so the text would not come back unchanged. */
const LONE_SURROGATE = /\p{Surrogate}/u;

/** A fingerprint that identifies a key and reveals nothing about it. */
const idOf = (key: Buffer): string =>
  createHash("sha256")
    .update("tartan master key")
    .update(key)
    .digest("hex")
    .slice(0, 2 * KEY_ID_BYTES);

class SealingVault implements Vault {
  readonly #reload: (() => readonly string[]) | undefined;
  #keys = new Map<string, Buffer>();
  #first = "";
  #chosen: string | undefined;

  constructor({ keys, reload }: MasterKeys) {
    this.#reload = reload;
    this.#load(keys);
  }

  #load(texts: readonly string[]): void {
    const keys = decodeMasterKeys(texts);
    const first = keys[0];
    if (!first) throw new TartanError("vault_key_missing", "A vault needs at least one master key");
    this.#keys = new Map(keys.map((key) => [idOf(key), key]));
    this.#first = idOf(first);
  }

  /** Another process may have rotated the keys in the file. */
  #refresh(): void {
    if (this.#reload) this.#load(this.#reload());
  }

  get activeKeyId(): string {
    return this.#chosen ?? this.#first;
  }

  get keyIds(): readonly [string, ...string[]] {
    return [this.#first, ...[...this.#keys.keys()].filter((id) => id !== this.#first)];
  }

  get reloads(): boolean {
    return this.#reload !== undefined;
  }

  use(keyId: string): void {
    if (!this.#keys.has(keyId)) this.#refresh();
    if (!this.#keys.has(keyId)) throw unknownKey(keyId);
    this.#chosen = keyId;
  }

  seal(plain: string, context: string): Buffer {
    this.#refresh();
    return this.#sealUnder(this.activeKeyId, plain, context);
  }

  sealNewest(plain: string, context: string): Buffer {
    this.#refresh();
    return this.#sealUnder(this.#first, plain, context);
  }

  #sealUnder(id: string, plain: string, context: string): Buffer {
    if (LONE_SURROGATE.test(plain)) {
      throw new TartanError("invalid_request", "The text to be sealed is not well-formed Unicode (a lone surrogate)");
    }
    const key = this.#keys.get(id);
    if (!key) throw unknownKey(id);
    const header = Buffer.concat([Buffer.of(FORMAT), Buffer.from(id, "hex")]);
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv("aes-256-gcm", key, nonce);
    cipher.setAAD(associated(header, context));
    const sealed = Buffer.concat([cipher.update(plain, "utf8"), cipher.final()]);
    return Buffer.concat([header, nonce, sealed, cipher.getAuthTag()]);
  }

  open(sealed: Buffer, context: string): string {
    const id = this.keyIdOf(sealed);
    if (id === null) throw unsealable("it is not in the vault's form");
    if (!this.#keys.has(id)) this.#refresh();
    const key = this.#keys.get(id);
    if (!key) {
      throw unsealable(
        `it was sealed under master key ${id}, which is not among the given keys; add that key to TARTAN_MASTER_KEY, ` +
          "behind the one that seals",
      );
    }
    const nonce = sealed.subarray(HEADER_BYTES, HEADER_BYTES + NONCE_BYTES);
    const decipher = createDecipheriv("aes-256-gcm", key, nonce, { authTagLength: TAG_BYTES });
    decipher.setAAD(associated(sealed.subarray(0, HEADER_BYTES), context));
    decipher.setAuthTag(sealed.subarray(sealed.length - TAG_BYTES));
    const body = sealed.subarray(HEADER_BYTES + NONCE_BYTES, sealed.length - TAG_BYTES);
    try {
      // No plaintext is returned or thrown before final() has checked the tag.
      return Buffer.concat([decipher.update(body), decipher.final()]).toString("utf8");
    } catch {
      throw unsealable("it was altered, or it belongs to another row");
    }
  }

  keyIdOf(sealed: Buffer): string | null {
    if (sealed.length < LEAST_BYTES || sealed[0] !== FORMAT) return null;
    return sealed.toString("hex", 1, HEADER_BYTES);
  }
}

const associated = (header: Buffer, context: string): Buffer => Buffer.concat([header, Buffer.from(context, "utf8")]);

const unknownKey = (id: string): TartanError =>
  new TartanError(
    "vault_key_missing",
    `The secrets in this database are sealed under master key ${id}, which is not among those given. Add it to ` +
      "TARTAN_MASTER_KEY; while a rotation is under way, every process needs both keys (TARTAN_MASTER_KEY=new,old).",
    { fields: { TARTAN_MASTER_KEY: `lacks the key with the fingerprint ${id}` } },
  );

const unsealable = (why: string): TartanError =>
  new TartanError("vault_unsealable", `A sealed value cannot be opened: ${why}.`);

/** Bytes 0-8 of every seal of a key, by which SQL finds the values that another key sealed. */
export const sealPrefix = (keyId: string): Buffer => Buffer.concat([Buffer.of(FORMAT), Buffer.from(keyId, "hex")]);

const isSource = (given: readonly string[] | MasterKeys): given is MasterKeys => !Array.isArray(given);

/**
 * @param masterKeys base64 of 32 bytes each; all of them open, and the first one seals until `use` names another
 * @throws TartanError `config_invalid` when one is malformed, `vault_key_missing` when there is none
 */
export function openVault(masterKeys: readonly string[] | MasterKeys): Vault {
  return new SealingVault(isSource(masterKeys) ? masterKeys : { keys: masterKeys });
}
