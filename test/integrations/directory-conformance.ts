/** What every engine of the port `Directory` promises, as tests that take an engine. */
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import type { Clock } from "../../src/clock.ts";
import { SEEN_WITHIN_MS, type Directory, type KnownIntegration } from "../../src/model/integration.ts";

/** An engine on an empty store. */
export interface DirectoryEngine extends AsyncDisposable {
  /** makes an integration, and returns what a directory has to find */
  create(): Promise<KnownIntegration>;
  /** gives it another webhook secret */
  changeSecret(id: string, secret: string): Promise<void>;
  delete(id: string): Promise<void>;
  /** does `work`; directories are not notified of it, nor of anything later */
  unannounced(work: () => Promise<void>): Promise<void>;
  /** makes its stored secrets unreadable, before a directory is opened */
  spoil(id: string): Promise<void>;
  /** a process's directory; several may be open at once */
  open(clock: Clock): Promise<Directory & AsyncDisposable>;
  /** how often the store was read so far */
  reads(): number;
  /** while `work` runs, the store cannot be reached */
  away(work: () => Promise<void>): Promise<void>;
}

/** A clock that is set by hand. Sleeping takes two seconds, or ends with its signal. */
function manualClock(): Clock & { ms: number } {
  return {
    ms: 0,
    now() {
      return this.ms;
    },
    sleep: async (_ms, signal) => {
      await delay(2_000, undefined, signal ? { signal } : undefined).catch(() => undefined);
    },
  };
}

const soon = async (condition: () => Promise<boolean>): Promise<void> => {
  await expect.poll(condition, { timeout: 10_000, interval: 10 }).toBe(true);
};

export function directoryConformance(name: string, openEngine: () => Promise<DirectoryEngine>): void {
  describe(`the directory over ${name}`, () => {
    finds(openEngine);
    changes(openEngine);
    isBounded(openEngine);
  });
}

function finds(openEngine: () => Promise<DirectoryEngine>): void {
  test("the directory has every integration with its secrets from the start, without another read", async () => {
    await using engine = await openEngine();
    const known = [await engine.create(), await engine.create()];
    await using directory = await engine.open(manualClock());
    const before = engine.reads();
    for (const integration of known) expect(await directory.find(integration.id)).toEqual(integration);
    expect(engine.reads()).toBe(before);
  });

  test("secrets that cannot be opened affect only their own integration", async () => {
    await using engine = await openEngine();
    const [good, bad] = [await engine.create(), await engine.create()];
    await engine.spoil(bad.id);
    await using directory = await engine.open(manualClock());
    expect(await directory.find(good.id)).toEqual(good);
    await expect(directory.find(bad.id)).rejects.toMatchObject({ code: "vault_unsealable" });
  });

  test("the directory finds what it knew last while the store is away, and reads it at most once a second", async () => {
    await using engine = await openEngine();
    const clock = manualClock();
    const known = await engine.create();
    await using directory = await engine.open(clock);
    clock.ms += 60_000;
    await engine.away(async () => {
      const before = engine.reads();
      for (let request = 0; request < 50; request++) expect(await directory.find(known.id)).toEqual(known);
      expect(engine.reads() - before).toBe(1);
      clock.ms += 1_001;
      expect(await directory.find(known.id)).toEqual(known);
      expect(engine.reads() - before).toBe(2);
      await expect(directory.find("svi_neverseen")).rejects.toMatchObject({ code: "database_unavailable" });
    });
    await engine.unannounced(() => engine.changeSecret(known.id, "another-secret"));
    clock.ms += 1_001;
    expect(await directory.find(known.id)).toMatchObject({ webhookSecret: "another-secret" });
  });
}

function changes(openEngine: () => Promise<DirectoryEngine>): void {
  test("the directory sees new integrations, rotated secrets and deletions at once, while its entries are fresh", async () => {
    await using engine = await openEngine();
    await using directory = await engine.open(manualClock());
    const known = await engine.create();
    await soon(async () => (await directory.find(known.id)) !== null);
    await engine.changeSecret(known.id, "another-secret");
    await soon(async () => (await directory.find(known.id))?.webhookSecret === "another-secret");
    await engine.delete(known.id);
    await soon(async () => (await directory.find(known.id)) === null);
  });

  test("a change that nobody announced is seen within the stated time", async () => {
    await using engine = await openEngine();
    const clock = manualClock();
    const [changed, deleted] = [await engine.create(), await engine.create()];
    await using directory = await engine.open(clock);
    await engine.unannounced(async () => {
      await engine.changeSecret(changed.id, "another-secret");
      await engine.delete(deleted.id);
    });
    expect(await directory.find(changed.id)).toEqual(changed);
    clock.ms += SEEN_WITHIN_MS + 1;
    expect(await directory.find(changed.id)).toMatchObject({ webhookSecret: "another-secret" });
    expect(await directory.find(deleted.id)).toBeNull();
  });
}

function isBounded(openEngine: () => Promise<DirectoryEngine>): void {
  test("many simultaneous lookups of one integration are one read of the store", async () => {
    await using engine = await openEngine();
    const clock = manualClock();
    const known = await engine.create();
    await using directory = await engine.open(clock);
    clock.ms += 60_000;
    const before = engine.reads();
    const found = await Promise.all(Array.from({ length: 200 }, () => directory.find(known.id)));
    expect(found).toEqual(Array(200).fill(known));
    expect(engine.reads() - before).toBe(1);
  });

  test("a flood of unknown integration ids shares reads of the store, and repeated ids cost none", async () => {
    await using engine = await openEngine();
    await using directory = await engine.open(manualClock());
    const ids = Array.from({ length: 2_000 }, (_, index) => `svi_${index.toString(36)}`);
    const before = engine.reads();
    await Promise.all(ids.map((id) => directory.find(id)));
    const after = engine.reads();
    expect(after - before).toBeLessThan(20);
    expect(await Promise.all(ids.map((id) => directory.find(id)))).toEqual(Array(2_000).fill(null));
    expect(engine.reads()).toBe(after);
  });

  test("an invalid integration id costs no read of the store", async () => {
    await using engine = await openEngine();
    await using directory = await engine.open(manualClock());
    const before = engine.reads();
    for (const id of ["", "svi_", "svi_UPPER", "nope", "svi_a'; drop", "svi_".padEnd(500, "a"), "__proto__"]) {
      expect(await directory.find(id)).toBeNull();
    }
    expect(engine.reads()).toBe(before);
  });
}
