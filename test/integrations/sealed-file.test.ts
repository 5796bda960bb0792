import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { afterEach, beforeEach, expect, it } from "vitest";
import { z } from "zod";
import { openSealedFile, type SealedFile } from "../../src/integrations/sealed-file.ts";
import { openVault, type Vault } from "../../src/integrations/vault.ts";

const KEYS = [7, 8].map((byte) => Buffer.alloc(32, byte).toString("base64"));
const shape = z.array(z.object({ id: z.string(), secret: z.string() }));
const VALUE = [{ id: "svi_1", secret: "do-not-show-this" }];

let folder = "";
let logged: string[] = [];
const logger = pino({ level: "trace" }, { write: (line: string) => void logged.push(line) });

beforeEach(async () => {
  folder = join(await mkdtemp(join(tmpdir(), "tartan-cache-")), "cache");
  logged = [];
});
afterEach(() => rm(join(folder, ".."), { recursive: true, force: true }));

const vaultOf = (...keys: string[]): Vault => openVault(keys);
const openOne = (vault: Vault, more: { agreeOnKey?: () => Promise<void>; name?: string } = {}) =>
  openSealedFile({ folder, name: "integrations", shape, vault, logger, ...more });
const file = (): string => join(folder, "integrations.sealed");

async function kept(value = VALUE, vault = vaultOf(KEYS[0] ?? "")): Promise<void> {
  await using cache = openOne(vault);
  cache.keep(value);
}

async function readBy(vault: Vault, more = {}): Promise<z.infer<typeof shape> | null> {
  await using cache: SealedFile<z.infer<typeof shape>> = openOne(vault, more);
  return await cache.read();
}

it("a cache on disk is read as it was kept, and shows nothing of what it holds to others", async () => {
  await kept();
  expect(await readBy(vaultOf(KEYS[0] ?? ""))).toEqual(VALUE);
  expect((await readFile(file(), "latin1")).includes("do-not-show-this")).toBe(false);
  expect((await readFile(file(), "latin1")).includes("svi_1")).toBe(false);
  expect((await stat(file())).mode & 0o777).toBe(0o600);
  expect((await stat(folder)).mode & 0o777).toBe(0o700);
});

it("a cache that nobody wrote is none, without a warning", async () => {
  expect(await readBy(vaultOf(KEYS[0] ?? ""))).toBeNull();
  expect(logged).toEqual([]);
});

it("a cache on disk with one changed byte anywhere is ignored with a warning", async () => {
  await kept();
  const good = await readFile(file());
  for (let at = 0; at < good.length; at += 1) {
    const bad = Buffer.from(good);
    bad[at] = (bad[at] ?? 0) ^ 1;
    await writeFile(file(), bad);
    logged = [];
    expect([at, await readBy(vaultOf(KEYS[0] ?? ""))]).toEqual([at, null]);
    expect(logged).toHaveLength(1);
    expect(logged[0]).not.toContain("do-not-show-this");
  }
});

it("a cache on disk that was cut off anywhere is ignored with a warning", async () => {
  await kept();
  const good = await readFile(file());
  for (let length = 0; length < good.length; length += 1) {
    await writeFile(file(), good.subarray(0, length));
    expect([length, await readBy(vaultOf(KEYS[0] ?? ""))]).toEqual([length, null]);
  }
  expect(logged).toHaveLength(good.length);
});

it("a cache on disk of another version, of another kind, or under another master key is ignored with a warning", async () => {
  await kept();
  const good = await readFile(file(), "latin1");
  await writeFile(file(), good.replace("tartan cache 1", "tartan cache 2"), "latin1");
  expect(await readBy(vaultOf(KEYS[0] ?? ""))).toBeNull();
  await writeFile(file(), good, "latin1");
  expect(await readBy(vaultOf(KEYS[1] ?? ""))).toBeNull();
  await writeFile(
    join(folder, "verification-keys.sealed"),
    good.replace("1 integrations", "1 verification-keys"),
    "latin1",
  );
  expect(await readBy(vaultOf(KEYS[0] ?? ""), { name: "verification-keys" })).toBeNull();
  expect(logged).toHaveLength(3);
});

it("a value that is kept again unchanged is not written again, and a changed one replaces it whole", async () => {
  const vault = vaultOf(KEYS[0] ?? "");
  await kept(VALUE, vault);
  const { ino } = await stat(file());
  {
    await using cache = openOne(vault);
    await cache.read();
    cache.keep(VALUE);
  }
  expect((await stat(file())).ino).toBe(ino);
  await kept([], vault);
  expect(await readBy(vault)).toEqual([]);
  expect((await stat(file())).ino).not.toBe(ino);
  expect(await readdir(folder)).toEqual(["integrations.sealed"]);
});

it("a cache is sealed under the key that all processes agreed on when it is written", async () => {
  const vault = vaultOf(KEYS[0] ?? "", KEYS[1] ?? "");
  const second = vault.keyIds[1] ?? "";
  await using cache = openOne(vault, { agreeOnKey: async () => vault.use(second) });
  cache.keep(VALUE);
  await expect.poll(() => readBy(vaultOf(KEYS[1] ?? ""))).toEqual(VALUE);
});

it("a cache that cannot be written says so once, and changes nothing else", async () => {
  await writeFile(folder, "a file where the folder should be");
  await using cache = openOne(vaultOf(KEYS[0] ?? ""));
  cache.keep(VALUE);
  await expect.poll(() => logged).toHaveLength(1);
  cache.keep([]);
  expect(logged[0]).toContain("cannot be written");
});
