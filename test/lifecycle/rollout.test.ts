/** A new master key, process by process: none of them ever meets a seal that it cannot open. */
import { randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import { systemClock } from "../../src/clock.ts";
import { registerProcess } from "../../src/database/processes.ts";
import { getItemSecret } from "../../src/integrations/items.ts";
import { introduceItem } from "../support/link.ts";
import { LOCK_ROTATION, SET_SEALING_KEY } from "../../src/integrations/queries.ts";
import { checkSealingKey, openVault, type Vault } from "../../src/integrations/vault.ts";
import { rotateVault } from "../../src/lifecycle/rotation.ts";
import { silentLogger } from "../../src/logger.ts";
import { until } from "../support/until.ts";
import { startWorld, type World } from "../support/world/index.ts";
import { integrate } from "../integrations/support.ts";

const newKey = () => randomBytes(32).toString("base64");

/** A running server with this vault, as the list of processes has it. */
const process = async ({ database }: World, { keyIds, reloads }: Vault) =>
  await registerProcess(
    { database, logger: silentLogger, clock: systemClock },
    {
      version: "1",
      roles: ["receiver"],
      url: "http://127.0.0.1:4400",
      public_url: null,
      settings: { relay_allow_http: false, relay_allowed_addresses: [] },
      master_key_ids: reloads ? null : keyIds,
    },
  );

const sealedUnder = async ({ database, vault }: World, itemId: string): Promise<string | null> => {
  const { rows } = await database.query<{ sealed: Buffer }>(
    "select access_token_sealed as sealed from tartan.items where item_id = $1",
    [itemId],
  );
  return rows[0] ? vault.keyIdOf(rows[0].sealed) : null;
};

test("a process with the new key first seals under the old one, which all others can open, until the vault is rotated", async () => {
  await using world = await startWorld();
  const integration_id = await integrate(world);
  const both = openVault([newKey(), world.masterKey]);
  await introduceItem({ ...world, vault: both }, { integration_id, item_id: "i1", access_token: "token-1" });
  expect(await sealedUnder(world, "i1")).toBe(world.vault.activeKeyId);
  expect(await getItemSecret(world.database, world.vault, integration_id, "i1")).toMatchObject({
    access_token: "token-1",
  });
  await rotateVault(world.database, both);
  expect(await sealedUnder(world, "i1")).toBe(both.keyIds[0]);
});

test("a rotation is refused and changes nothing while a running process knows only the old key", async () => {
  await using world = await startWorld();
  const integration_id = await integrate(world);
  const both = openVault([newKey(), world.masterKey]);
  const old = await process(world, world.vault);
  await using _ = await process(world, both);
  const refused = rotateVault(world.database, both);
  await expect(refused).rejects.toMatchObject({ code: "conflict" });
  await expect(refused).rejects.toThrow(/process \d+ on \S+ would not be able to open/);
  await introduceItem({ ...world, vault: both }, { integration_id, item_id: "i1", access_token: "token" });
  expect(await sealedUnder(world, "i1")).toBe(world.vault.activeKeyId);
  await old[Symbol.asyncDispose]();
  await rotateVault(world.database, both);
  expect(await sealedUnder(world, "i1")).toBe(both.activeKeyId);
});

test("a process that reads its key from the data directory does not block a rotation", async () => {
  await using world = await startWorld();
  const key = newKey();
  await using _ = await process(world, openVault({ keys: [world.masterKey], reload: () => [key, world.masterKey] }));
  await integrate(world);
  await expect(rotateVault(world.database, openVault([key, world.masterKey]))).resolves.toBeDefined();
});

test("a running server follows the rotation, and one that knows only the old key is refused afterwards", async () => {
  await using world = await startWorld();
  const integration_id = await integrate(world);
  const key = newKey();
  const server = { ...world, vault: openVault([key, world.masterKey]) };
  await introduceItem(server, { integration_id, item_id: "i1", access_token: "before" });
  await rotateVault(world.database, openVault([key, world.masterKey]));
  await introduceItem(server, { integration_id, item_id: "i2", access_token: "after" });
  expect(await sealedUnder(world, "i2")).toBe(openVault([key]).activeKeyId);
  const late = openVault([world.masterKey]);
  const [newest] = server.vault.keyIds;
  await expect(checkSealingKey(world.database, late)).rejects.toMatchObject({ code: "vault_key_missing" });
  await expect(checkSealingKey(world.database, late)).rejects.toThrow(newest);
  const linking = introduceItem({ ...world, vault: late }, { integration_id, item_id: "i3", access_token: "token" });
  await expect(linking).rejects.toMatchObject({ code: "vault_key_missing" });
});

test("a process that starts during a rotation is either seen by it or finds the new key", async () => {
  await using world = await startWorld();
  await integrate(world);
  for (let round = 0; round < 20; round++) {
    const previous = openVault([world.masterKey]);
    await world.database.query("update tartan.sealing_key set key_id = $1", [previous.activeKeyId]);
    const rotating = rotateVault(world.database, openVault([newKey(), world.masterKey])).then(
      () => "rotated",
      () => "refused",
    );
    const started = await process(world, previous);
    const starting = checkSealingKey(world.database, previous).then(
      () => "started",
      () => "refused",
    );
    const both = [await rotating, await starting];
    await started[Symbol.asyncDispose]();
    expect([
      ["rotated", "refused"],
      ["refused", "started"],
    ]).toContainEqual(both);
    await world.database.query(
      "update tartan.integrations set client_secret_sealed = null, webhook_secret_sealed = null",
    );
  }
});

test("a process that starts while a rotation has not committed waits for it, and is refused", async () => {
  await using world = await startWorld();
  await integrate(world);
  const [hold, held] = [new AbortController(), new AbortController()];
  const aborted = ({ signal }: AbortController) => until("a signal", async () => signal.aborted);
  const rotating = world.database.transaction(async (tx) => {
    await tx.query(LOCK_ROTATION);
    await tx.query(SET_SEALING_KEY, [openVault([newKey()]).activeKeyId]);
    held.abort();
    await aborted(hold);
  });
  await aborted(held);
  let settled = false;
  const starting = checkSealingKey(world.database, world.vault)
    .then(
      () => "started",
      () => "refused",
    )
    .finally(() => (settled = true));
  await until("the start waits", async () => {
    const { rows } = await world.database.query(
      "select from pg_locks where not granted and database = (select oid from pg_database where datname = current_database())",
    );
    return settled || rows.length > 0;
  });
  hold.abort();
  await rotating;
  expect(await starting).toBe("refused");
});

test("of many processes that seal for the first time at once, all use one key", async () => {
  await using world = await startWorld();
  const keys = [world.masterKey, newKey(), newKey()];
  const vaults = keys.map((_, index) => openVault([...keys.slice(index), ...keys.slice(0, index)]));
  const integration_id = await integrate(world);
  await world.database.query("delete from tartan.sealing_key");
  await Promise.all(
    vaults.map((vault, index) =>
      introduceItem({ ...world, vault }, { integration_id, item_id: `i${index}`, access_token: "token" }),
    ),
  );
  const used = await Promise.all(keys.map((_, index) => sealedUnder(world, `i${index}`)));
  expect(new Set(used).size).toBe(1);
});
