/** A new master key in a rolling restart of two real processes: at no moment can one of them not open what the other seals. */
import { randomBytes } from "node:crypto";
import { expect, it } from "vitest";
import { openVault } from "../../src/integrations/vault.ts";
import { startWorld } from "../support/world/index.ts";

it("a new master key is rolled out process by process, and the rotation waits for the last one", async () => {
  await using world = await startWorld({ simulator: { seed: "key rollout" }, integration: {}, processes: {} });
  const { masterKey: older, processes } = world;
  const newer = randomBytes(32).toString("base64");
  const both = { TARTAN_MASTER_KEY: `${newer},${older}` };
  const [oldId, newId] = [openVault([older]).activeKeyId, openVault([newer]).activeKeyId];
  const sealedUnder = async (itemId: string) => {
    const { rows } = await world.database.query<{ id: string }>(
      "select encode(substring(access_token_sealed from 2 for 8), 'hex') as id from tartan.items where item_id = $1",
      [itemId],
    );
    return rows[0]?.id;
  };
  const link = async (url: string) => {
    const [item] = world.integration.makeItemsFor({ url }, 1, 1);
    if (!item) throw new Error("the simulator made no item");
    expect((await world.integration.linkAt({ url }, item)).status).toBe(200);
    return item.item_id;
  };

  const first = await processes.start(["up", "--only", "receiver"]);
  const second = await processes.start(["up", "--only", "receiver"], both);
  try {
    expect(await sealedUnder(await link(second.url))).toBe(oldId);
    const refused = await processes.run(["vault", "rotate"], both);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain(`process ${first.pid} on`);
    expect(await sealedUnder(await link(first.url))).toBe(oldId);

    expect(await first.stop()).toBe(0);
    const rotated = await processes.run(["vault", "rotate"], both);
    expect(rotated.code, rotated.stderr).toBe(0);
    // The process that runs follows without a restart.
    expect(await sealedUnder(await link(second.url))).toBe(newId);
    const late = await processes.run(["up"]);
    expect(late.code).toBe(1);
    expect(late.stderr).toMatch(new RegExp(`master key ${newId}.*vault_key_missing`, "s"));
    const alone = await processes.run(["status"], { TARTAN_MASTER_KEY: newer });
    expect(alone.code, alone.stderr).toBe(0);
  } finally {
    await second.stop();
  }
}, 120_000);
