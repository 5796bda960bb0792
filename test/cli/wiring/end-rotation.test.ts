/** A rotation of the master key while tokens of items wait in the spool: none becomes unreadable. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { openCaches } from "../../../src/cli/wiring/caches.ts";
import { Closer } from "../../../src/cli/wiring/closer.ts";
import { endRotation } from "../../../src/cli/wiring/end-rotation.ts";
import { openRescue } from "../../../src/integrations/rescued-tokens.ts";
import { webhookSecret } from "../../../src/integrations/sealed.ts";
import { beginRotation, loadMasterKeys, openVault, type Vault } from "../../../src/integrations/vault.ts";
import { createIntegration } from "../../../src/integrations/integrations.ts";
import { rotateVault } from "../../../src/lifecycle/rotation.ts";
import type { Claim } from "../../../src/linking/outcomes.ts";
import { contentOf, openExchange } from "../../../src/linking/rescued-exchanges.ts";
import { silentLogger as logger } from "../../../src/logger.ts";
import { testDatabase, type TestDatabase } from "../../support/database.ts";
import { MemoryIntake, open, type Root } from "../../spool/support.ts";
import { until } from "../../support/until.ts";

let dataDir: string;
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), "tartan-rotation-"));
});
afterEach(() => rm(dataDir, { recursive: true, force: true }));

let opened: TestDatabase;
beforeAll(async () => {
  opened = await testDatabase();
});
afterAll(() => opened[Symbol.asyncDispose]());

const NOTHING = { spooled: 0, rescued: 0 };
const end = (vault: Vault, force = false) =>
  endRotation({ dataDir, vault, force, generated: true, database: opened.database, logger });

const generated = async () => openVault(await loadMasterKeys({ dataDir, embedded: true }));
const keys = async () => (await loadMasterKeys({ dataDir, embedded: true })).keys.length;
const root = (): Root => ({ path: join(dataDir, "spool") }) as Root;
const token = "access-sandbox-0001";

const CLAIM = {
  id: "01900000-0000-7000-8000-000000000000",
  fence: "1",
  integrationId: "svi_test",
  userId: null,
} as Claim;

/** Spools an item while the database is away. */
async function spoolItem(): Promise<void> {
  const inner = Object.assign(new MemoryIntake(), { mode: "away" as const });
  await using opened = await open(root(), inner, { vault: await generated() });
  await opened.spool.accept({
    arrival: "linked_item",
    integrationId: "svi_test",
    itemId: "item-1",
    accessToken: token,
  });
}

describe("the end of a rotation of the generated master key", () => {
  test("while a token in the spool needs the old key, that stays; once it is drained, the next run removes it", async () => {
    await spoolItem();
    await beginRotation(dataDir);
    expect(await end(await generated())).toEqual({ spooled: 1, rescued: 0 });
    expect(await keys()).toBe(2);
    {
      const inner = new MemoryIntake();
      await using opened = await open(root(), inner, { vault: await generated() });
      await until("it is drained", () => opened.spool.status().state === "straight");
      expect(inner.stored).toMatchObject([{ arrival: "linked_item", accessToken: token }]);
    }
    await beginRotation(dataDir);
    expect(await end(await generated())).toEqual(NOTHING);
    expect(await keys()).toBe(1);
  });

  test("a token that is kept for another start counts too, and its loss has to be asked for", async () => {
    await spoolItem();
    {
      const inner = new MemoryIntake();
      await using opened = await open(root(), inner);
      await until("it is kept for later", () => opened.spool.status().state === "straight");
    }
    await beginRotation(dataDir);
    const vault = await generated();
    expect(await end(vault)).toEqual({ spooled: 1, rescued: 0 });
    expect(await end(vault, true)).toEqual({ spooled: 1, rescued: 0 });
    expect(await keys()).toBe(1);
  });

  test("a token that is spooled after the new key was put in place does not need the old one", async () => {
    const server = await generated();
    server.use(server.activeKeyId);
    await beginRotation(dataDir);
    const rotator = await generated();
    expect(server.keyIdOf(server.sealNewest(token, "here"))).toBe(rotator.keyIds[0]);
    expect(await end(rotator)).toEqual(NOTHING);
    expect(server.keyIdOf(server.sealNewest(token, "here"))).toBe(rotator.keyIds[0]);
  });

  test("a token of a rescue file counts until a server has stored it", async () => {
    const old = await generated();
    const rescue = await openRescue(dataDir, "rotation-1");
    const sealed = old.seal(token, "item-1");
    await rescue.keep({ integrationId: "svi_test", itemId: "item-1", sealed, formerSha256: Buffer.alloc(32) });
    const exchange = await openExchange(dataDir, CLAIM);
    await exchange.keep(contentOf(old, CLAIM, { accessToken: token, itemId: "item-2" }));
    await beginRotation(dataDir);
    expect(await end(await generated())).toEqual({ spooled: 0, rescued: 2 });
    await rescue.discard();
    expect(await end(await generated())).toEqual({ spooled: 0, rescued: 1 });
    expect(await keys()).toBe(2);
    await exchange.discard();
    expect(await end(await generated())).toEqual(NOTHING);
    expect(await keys()).toBe(1);
  });

  test("an access token that Plaid gives during the rotation does not need the old key in its file", async () => {
    const server = await generated();
    server.use(server.activeKeyId);
    const exchange = await openExchange(dataDir, CLAIM);
    await beginRotation(dataDir);
    await exchange.keep(contentOf(server, CLAIM, { accessToken: token, itemId: "item-2" }));
    expect(await end(await generated())).toEqual(NOTHING);
  });

  test("a receiver that ends right afterwards can start with its caches while Postgres is away", async () => {
    const { database } = opened;
    const cachesOf = (closer: Closer, vault: Vault) =>
      openCaches({ closer, vault, database, logger, config: { dataDir } });
    const given = {
      name: "test",
      environment: "sandbox",
      client_id: "a",
      secret: "b",
    } as const;
    const { id } = await createIntegration(database, await generated(), given);
    {
      await using closer = new Closer();
      const { integrations, keys: verification } = cachesOf(closer, await generated());
      integrations.keep([]);
      verification.keep([]);
    }
    await beginRotation(dataDir);
    const vault = await generated();
    await rotateVault(database, vault);
    expect(await end(vault)).toEqual(NOTHING);
    expect(await keys()).toBe(1);
    await using closer = new Closer();
    const after = await generated();
    const caches = cachesOf(closer, after);
    expect(await caches.keys.read()).toEqual([]);
    const [integration, ...more] = (await caches.integrations.read()) ?? [];
    expect([integration?.id, more]).toEqual([id, []]);
    const secret = Buffer.from(integration?.webhook_secret_sealed ?? "", "base64");
    expect(after.open(secret, webhookSecret(id))).toEqual(expect.any(String));
  });
});
