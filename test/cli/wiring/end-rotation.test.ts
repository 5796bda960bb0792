/** A rotation of the master key while tokens of items wait in the spool: none becomes unreadable. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { endRotation } from "../../../src/cli/wiring/end-rotation.ts";
import { beginRotation, loadMasterKeys, openVault } from "../../../src/integrations/vault.ts";
import { MemoryIntake, open, type Root } from "../../spool/support.ts";
import { until } from "../../support/until.ts";

let dataDir: string;
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), "tartan-rotation-"));
});
afterEach(() => rm(dataDir, { recursive: true, force: true }));

const generated = async () => openVault(await loadMasterKeys({ dataDir, embedded: true }));
const keys = async () => (await loadMasterKeys({ dataDir, embedded: true })).keys.length;
const root = (): Root => ({ path: join(dataDir, "spool") }) as Root;
const token = "access-sandbox-0001";

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
    expect(await endRotation({ dataDir, vault: await generated(), generated: true, force: false })).toBe(1);
    expect(await keys()).toBe(2);
    {
      const inner = new MemoryIntake();
      await using opened = await open(root(), inner, { vault: await generated() });
      await until("it is drained", () => opened.spool.status().state === "straight");
      expect(inner.stored).toMatchObject([{ arrival: "linked_item", accessToken: token }]);
    }
    await beginRotation(dataDir);
    expect(await endRotation({ dataDir, vault: await generated(), generated: true, force: false })).toBe(0);
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
    expect(await endRotation({ dataDir, vault, generated: true, force: false })).toBe(1);
    expect(await endRotation({ dataDir, vault, generated: true, force: true })).toBe(1);
    expect(await keys()).toBe(1);
  });

  test("a token that is spooled after the new key was put in place does not need the old one", async () => {
    const server = await generated();
    server.use(server.activeKeyId);
    await beginRotation(dataDir);
    const rotator = await generated();
    expect(server.keyIdOf(server.sealNewest(token, "here"))).toBe(rotator.keyIds[0]);
    expect(await endRotation({ dataDir, vault: rotator, generated: true, force: false })).toBe(0);
    expect(server.keyIdOf(server.sealNewest(token, "here"))).toBe(rotator.keyIds[0]);
  });
});
