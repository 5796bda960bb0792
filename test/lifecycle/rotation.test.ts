/** Rotating the master key: everything under the new one, nothing lost, while others seal and read. */
import { randomBytes } from "node:crypto";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { rotateWebhookSecret } from "../../src/integrations/integrations.ts";
import { findSubject, storeSubject } from "../../src/integrations/subjects.ts";
import { getItemSecret } from "../../src/integrations/items.ts";
import { introduceItem } from "../support/link.ts";
import { unlinkItem } from "../../src/lifecycle/items.ts";
import { beginRotation, finishRotation, loadMasterKeys, openVault } from "../../src/integrations/vault.ts";
import { rotateVault } from "../../src/lifecycle/rotation.ts";
import { startWorld, type World } from "../support/world/index.ts";
import { SECRETS, integrate } from "../integrations/support.ts";

const newKey = () => randomBytes(32).toString("base64");

async function keyIds({ database, vault }: World): Promise<(string | null)[]> {
  const { rows } = await database.query<{ sealed: Buffer }>(
    `select client_secret_sealed as sealed from tartan.integrations where client_secret_sealed is not null
     union all select webhook_secret_sealed from tartan.integrations where webhook_secret_sealed is not null
     union all select access_token_sealed from tartan.items where access_token_sealed is not null`,
  );
  return [...new Set(rows.map(({ sealed }) => vault.keyIdOf(sealed)))];
}

async function withItems(world: World, count: number): Promise<string> {
  const integration_id = await integrate(world);
  await Promise.all(
    Array.from({ length: count }, (_, index) =>
      introduceItem(world, { integration_id, item_id: `i${index}`, access_token: `${SECRETS.token}-${index}` }),
    ),
  );
  return integration_id;
}

test("a rotation seals everything anew under the first key, and the old key is no longer needed", async () => {
  await using world = await startWorld();
  const integration = await withItems(world, 450);
  await unlinkItem(world.database, integration, "i3");
  const report = { integrationId: integration, kind: "asset_report", id: "r" };
  await world.database.transaction((tx) => storeSubject(tx, world.vault, { ...report, token: SECRETS.token }));
  const newest = newKey();
  const vault = openVault([newest, world.masterKey]);
  const progress: [number, number][] = [];
  const counts = await rotateVault(world.database, vault, (done, total) => progress.push([done, total]));
  expect(counts).toEqual({
    "tartan.integrations.client_secret_sealed": 1,
    "tartan.integrations.webhook_secret_sealed": 1,
    "tartan.items.access_token_sealed": 449,
    "tartan.registered_subjects.token_sealed": 1,
    "linking.watched_tokens.token_sealed": 0,
    "relay.destinations.headers_sealed": 0,
    "relay.signing_keys.secret_sealed": 0,
  });
  expect(progress.at(-1)).toEqual([452, 452]);
  expect(await keyIds(world)).toEqual([vault.activeKeyId]);
  const alone = openVault([newest]);
  expect(await getItemSecret(world.database, alone, integration, "i7")).toMatchObject({
    access_token: `${SECRETS.token}-7`,
  });
  expect(await findSubject(world.database, alone, report)).toEqual({ token: SECRETS.token, userId: null });
  expect(Object.values(await rotateVault(world.database, alone))).toEqual([0, 0, 0, 0, 0, 0, 0]);
});

test("every sealed column of the database is sealed anew", async () => {
  await using world = await startWorld();
  const { rows } = await world.database.query<{ name: string }>(
    `select format('%s.%s.%s', table_schema, table_name, column_name) as name from information_schema.columns
     where column_name like '%\\_sealed'`,
  );
  expect(rows.length).toBeGreaterThan(0);
  const counts = await rotateVault(world.database, openVault([newKey(), world.masterKey]));
  expect(Object.keys(counts).toSorted()).toEqual(rows.map(({ name }) => name).toSorted());
});

test("an interrupted rotation continues where it stopped", async () => {
  await using world = await startWorld();
  await withItems(world, 450);
  const vault = openVault([newKey(), world.masterKey]);
  const cut = rotateVault(world.database, vault, (done) => {
    if (done > 100) throw new Error("killed");
  });
  await expect(cut).rejects.toThrow("killed");
  expect(await keyIds(world)).toHaveLength(2);
  const counts = await rotateVault(world.database, vault);
  expect(counts["tartan.items.access_token_sealed"]).toBeLessThan(450);
  expect(await keyIds(world)).toEqual([vault.activeKeyId]);
});

test("a rotation names the values that cannot be opened and seals everything else anew", async () => {
  await using world = await startWorld();
  const integration = await withItems(world, 3);
  const lost = openVault([newKey()]);
  await world.database.query("update tartan.items set access_token_sealed = $1 where item_id = 'i1'", [
    lost.seal("secret text", "anywhere"),
  ]);
  const vault = openVault([newKey(), world.masterKey]);
  const rotating = rotateVault(world.database, vault);
  await expect(rotating).rejects.toMatchObject({ code: "vault_unsealable" });
  await expect(rotating).rejects.toThrow(`${integration} i1`);
  await expect(rotating).rejects.not.toThrow("secret text");
  expect((await keyIds(world)).toSorted()).toEqual([vault.activeKeyId, lost.activeKeyId].toSorted());
});

test("a server that seals during repeated rotations of the generated key loses nothing", async () => {
  await using world = await startWorld();
  const dataDir = await mkdtemp(join(tmpdir(), "tartan-rotation-"));
  try {
    const keys = () => loadMasterKeys({ dataDir, embedded: true });
    const server = { ...world, vault: openVault(await keys()) };
    const integration_id = await (async () => {
      const id = await integrate(world);
      await rotateVaultOf(world, openVault([...(await keys()).keys, world.masterKey]));
      return id;
    })();
    const tokens = new Map<string, string>();
    const rotated = new AbortController();
    const linking = (async () => {
      for (let index = 0; !rotated.signal.aborted || index < 30; index++) {
        const [item_id, access_token] = [`i${index % 20}`, `token-${index}`];
        await introduceItem(server, { integration_id, item_id, access_token });
        tokens.set(item_id, access_token);
        if (index % 10 === 0) await rotateWebhookSecret(world.database, server.vault, integration_id);
      }
    })();
    for (let round = 0; round < 5; round++) {
      await beginRotation(dataDir);
      await rotateVault(world.database, openVault(await keys()));
      await finishRotation(dataDir);
    }
    rotated.abort();
    await linking;
    expect((await readFile(join(dataDir, "master.key"), "utf8")).trim().split("\n")).toHaveLength(2);
    const afterwards = openVault(await keys());
    for (const [item_id, access_token] of tokens) {
      expect(await getItemSecret(world.database, afterwards, integration_id, item_id)).toMatchObject({ access_token });
      expect(await getItemSecret(world.database, server.vault, integration_id, item_id)).toMatchObject({
        access_token,
      });
    }
    expect(await keyIds(world)).toEqual([afterwards.activeKeyId]);
  } finally {
    await rm(dataDir, { recursive: true, force: true });
  }
});

const rotateVaultOf = async (world: World, vault: ReturnType<typeof openVault>) =>
  await rotateVault(world.database, vault);
