/** The seal: a sealed text opens unchanged, in its own place only, and not after any change. */
import { randomBytes } from "node:crypto";
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { TartanError } from "../../src/errors.ts";
import { beginRotation, finishRotation, loadMasterKeys, openVault } from "../../src/integrations/vault.ts";

const newKey = () => randomBytes(32).toString("base64");
const anyText = fc.string({ unit: "binary", maxLength: 300 });

function refusal(work: () => unknown): TartanError {
  try {
    work();
  } catch (error) {
    if (error instanceof TartanError) return error;
    throw error;
  }
  throw new Error("it was not refused");
}

describe("the seal", () => {
  const vault = openVault([newKey()]);

  test("any sealed text opens unchanged", () => {
    fc.assert(
      fc.property(anyText, anyText, (plain, context) => {
        expect(vault.open(vault.seal(plain, context), context)).toBe(plain);
      }),
    );
  });

  test("the same text sealed twice gives different seals, and neither shows the text", () => {
    const plain = "access-sandbox-0a1b2c3d";
    const [one, two] = [vault.seal(plain, "here"), vault.seal(plain, "here")];
    expect(one.equals(two)).toBe(false);
    expect(one.includes(plain)).toBe(false);
  });

  test("a seal with any flipped bit is refused without a word of the text", () => {
    const secret = fc.string({ unit: "grapheme-ascii", minLength: 12, maxLength: 60 });
    fc.assert(
      fc.property(secret, fc.nat(), (plain, bit) => {
        const sealed = vault.seal(plain, "here");
        const at = bit % (sealed.length * 8);
        sealed.writeUInt8(sealed.readUInt8(at >> 3) ^ (1 << (at & 7)), at >> 3);
        const error = refusal(() => vault.open(sealed, "here"));
        expect(error.code).toBe("vault_unsealable");
        expect(`${error.message} ${String(error.cause)}`).not.toContain(plain);
      }),
    );
  });

  test("a truncated seal, or bytes that are no seal, are refused", () => {
    const sealed = vault.seal("text", "here");
    for (let length = 0; length < sealed.length; length++) {
      expect(refusal(() => vault.open(sealed.subarray(0, length), "here")).code).toBe("vault_unsealable");
    }
  });

  test("a seal does not open in another row", () => {
    fc.assert(
      fc.property(anyText, anyText, anyText, (plain, context, other) => {
        fc.pre(context !== other);
        expect(refusal(() => vault.open(vault.seal(plain, context), other)).code).toBe("vault_unsealable");
      }),
    );
  });

  test("another master key does not open a seal, and the error names the key that does", () => {
    const sealed = vault.seal("text", "here");
    const error = refusal(() => openVault([newKey()]).open(sealed, "here"));
    expect(error.code).toBe("vault_unsealable");
    expect(error.message).toContain(vault.activeKeyId);
    expect(vault.keyIdOf(sealed)).toBe(vault.activeKeyId);
  });

  test("of several keys the first seals and all open", () => {
    const [older, newer] = [newKey(), newKey()];
    const both = openVault([newer, older]);
    expect(both.activeKeyId).toBe(openVault([newer]).activeKeyId);
    expect(both.open(openVault([older]).seal("text", "here"), "here")).toBe("text");
  });

  test("a text that UTF-8 cannot encode is refused and not sealed in another form", () => {
    expect(refusal(() => vault.seal("\ud800", "here")).code).toBe("invalid_request");
  });

  test("showing a vault shows no key", () => {
    const key = newKey();
    const shown = [JSON.stringify(openVault([key])), String(openVault([key])), JSON.stringify({ v: openVault([key]) })];
    for (const text of shown) expect(text).not.toContain(key);
  });
});

describe("master keys", () => {
  let dataDir: string;
  beforeEach(async () => {
    dataDir = await mkdtemp(join(tmpdir(), "tartan-keys-"));
  });
  afterEach(async () => {
    await rm(dataDir, { recursive: true, force: true });
  });
  const embedded = () => loadMasterKeys({ dataDir, embedded: true });

  test("a malformed master key is refused by its place and never repeated", async () => {
    const bad = randomBytes(31).toString("base64");
    const loading = loadMasterKeys({ masterKey: `${newKey()}, ${bad}`, dataDir, embedded: false });
    const error = await loading.catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: "config_invalid" });
    expect((error as Error).message).toContain("key 2 of 2 has 31 bytes");
    expect((error as Error).message).not.toContain(bad);
  });

  test("with TARTAN_DATABASE_URL a master key is required, and the error says how to make one", async () => {
    const loading = loadMasterKeys({ dataDir, embedded: false });
    await expect(loading).rejects.toMatchObject({ code: "vault_key_missing" });
    await expect(loading).rejects.toThrow("openssl rand -base64 32");
  });

  test("with the embedded database a master key is generated once, readable by its owner only", async () => {
    const [first, second] = [await embedded(), await embedded()];
    expect(second.keys).toEqual(first.keys);
    const mode = async () => (await stat(join(dataDir, "master.key"))).mode & 0o777;
    expect(await mode()).toBe(0o600);
    await chmod(join(dataDir, "master.key"), 0o644);
    await embedded();
    expect(await mode()).toBe(0o600);
  });

  test("processes that start at once use one master key", async () => {
    const all = await Promise.all(Array.from({ length: 20 }, embedded));
    expect(new Set(all.map(({ keys }) => keys.join()))).toHaveLength(1);
  });

  test("a running server follows a rotation of the generated key without a restart", async () => {
    const server = openVault(await embedded());
    const before = server.seal("old", "here");
    await beginRotation(dataDir);
    const rotator = openVault(await embedded());
    expect(server.open(rotator.seal("new", "here"), "here")).toBe("new");
    expect(server.keyIdOf(server.seal("newer", "here"))).toBe(rotator.activeKeyId);
    expect(server.open(before, "here")).toBe("old");
    await finishRotation(dataDir);
    const afterwards = openVault(await embedded());
    expect(refusal(() => afterwards.open(before, "here")).code).toBe("vault_unsealable");
    expect(server.keyIdOf(server.seal("newest", "here"))).toBe(rotator.activeKeyId);
  });

  test("beginning a rotation twice makes one new key", async () => {
    await embedded();
    await beginRotation(dataDir);
    const begun = (await embedded()).keys;
    await beginRotation(dataDir);
    expect((await embedded()).keys).toEqual(begun);
    await finishRotation(dataDir);
    expect((await embedded()).keys).toEqual(begun.slice(0, 1));
  });

  test("an empty key file is an error and does not cause a new key", async () => {
    await embedded();
    await writeFile(join(dataDir, "master.key"), "# nothing\n");
    await expect(embedded()).rejects.toMatchObject({ code: "vault_key_missing" });
    expect(await readFile(join(dataDir, "master.key"), "utf8")).toBe("# nothing\n");
  });
});
