/** The directory over Postgres: the hot path's memory. It follows changes, survives Postgres, and lets no garbage through to it. */
import { describe, expect, test } from "vitest";
import { systemClock } from "../../src/clock.ts";
import type { Database } from "../../src/database/types.ts";
import { TartanError } from "../../src/errors.ts";
import { openDirectory } from "../../src/integrations/directory.ts";
import type { KeptIntegration } from "../../src/integrations/kept-integrations.ts";
import { rotateWebhookSecret } from "../../src/integrations/integrations.ts";
import { openVault } from "../../src/integrations/vault.ts";
import { deleteIntegration } from "../../src/lifecycle/integrations.ts";
import { silentLogger as logger } from "../../src/logger.ts";
import { directoryConformance, type DirectoryEngine } from "./directory-conformance.ts";
import { startWorld } from "../support/world/index.ts";
import { SECRETS, integrate } from "./support.ts";

/** The database as a directory uses it: it can be away or lose notifications, and its statements are counted. */
function switchable(database: Database) {
  const state = { away: false, deaf: false, reads: 0 };
  const wrapped: Database = {
    query: async (statement, values) => {
      state.reads++;
      if (state.away) throw new TartanError("database_unavailable", "away");
      return await database.query(statement, values);
    },
    transaction: (work) => database.transaction(work),
    listen: (channel, onNotify) => database.listen(channel, (payload) => void (state.deaf || onNotify(payload))),
    [Symbol.asyncDispose]: async () => undefined,
  };
  return { state, wrapped };
}

async function openPostgres(): Promise<DirectoryEngine> {
  const world = await startWorld();
  const { database, vault } = world;
  const { state, wrapped } = switchable(database);
  return {
    create: async () => ({
      id: await integrate(world, { country_codes: ["US", "CA"] }),
      environment: "sandbox",
      plaidUrl: "https://sandbox.plaid.com",
      clientId: "client-1",
      secret: SECRETS.client,
      webhookSecret: SECRETS.webhook,
      countryCodes: ["US", "CA"],
      daysRequested: null,
      includeOriginalDescription: false,
    }),
    changeSecret: async (id, secret) => void (await rotateWebhookSecret(database, vault, id, secret)),
    delete: async (id) => void (await deleteIntegration(database, id)),
    unannounced: async (work) => {
      state.deaf = true;
      await work();
    },
    spoil: async (id) => {
      const sealed = vault.seal("x", "elsewhere");
      await database.query("update tartan.integrations set client_secret_sealed = $2 where id = $1", [id, sealed]);
    },
    open: (clock) => openDirectory({ database: wrapped, vault, logger, clock }),
    reads: () => state.reads,
    away: async (work) => {
      state.away = true;
      await work().finally(() => (state.away = false));
    },
    [Symbol.asyncDispose]: () => world[Symbol.asyncDispose](),
  };
}

directoryConformance("Postgres", openPostgres);

describe("the directory in Postgres", () => {
  test("an integration whose id was refused as unknown is found once it is created", async () => {
    await using world = await startWorld();
    const { database, vault } = world;
    const id = await integrate(world);
    await database.query("update tartan.integrations set deleted_at = now()");
    await using directory = await openDirectory({ database, vault, logger, clock: { ...systemClock, now: () => 0 } });
    expect(await directory.find(id)).toBeNull();
    await database.query("update tartan.integrations set deleted_at = null");
    expect(await directory.find(id)).toBeNull();
    await database.query("select pg_notify('tartan_integrations', '')");
    await expect.poll(async () => (await directory.find(id))?.id, { timeout: 10_000, interval: 10 }).toBe(id);
  });

  test("a server without the right master key reports it for each integration", async () => {
    await using world = await startWorld();
    const id = await integrate(world);
    const vault = openVault([Buffer.alloc(32, 7).toString("base64")]);
    await using directory = await openDirectory({ database: world.database, vault, logger, clock: systemClock });
    await expect(directory.find(id)).rejects.toThrow("TARTAN_MASTER_KEY");
  });

  test("integrations that were kept are found while Postgres is away, and those that were deleted are gone after a reload", async () => {
    await using world = await startWorld();
    const { database, vault } = world;
    const [stays, goes] = [await integrate(world), await integrate(world)];
    let text = "null";
    const kept = {
      read: async () => JSON.parse(text) as KeptIntegration[] | null,
      keep: (value: KeptIntegration[]) => void (text = JSON.stringify(value)),
    };
    const clock = systemClock;
    const { state, wrapped } = switchable(database);
    await (await openDirectory({ database: wrapped, vault, logger, clock, kept }))[Symbol.asyncDispose]();
    expect(text).not.toContain(SECRETS.webhook);
    state.away = true;
    await using directory = await openDirectory({ database: wrapped, vault, logger, clock, kept });
    expect((await directory.find(stays))?.webhookSecret).toBe(SECRETS.webhook);
    expect((await directory.find(goes))?.secret).toBe(SECRETS.client);
    await expect(directory.find("svi_neverseen")).rejects.toMatchObject({ code: "database_unavailable" });
    // A notification would have it looked up again, which removes it too.
    state.deaf = true;
    await deleteIntegration(database, goes);
    state.away = false;
    await directory.reload();
    expect(text).toContain(stays);
    expect(text).not.toContain(goes);
    state.away = true;
    expect(await directory.find(goes)).toBeNull();
    expect((await directory.find(stays))?.id).toBe(stays);
  });

  test("a directory without anything that was kept does not open while Postgres is away", async () => {
    await using world = await startWorld();
    const { state, wrapped } = switchable(world.database);
    state.away = true;
    const kept = { read: async () => null, keep: () => undefined };
    const opening = openDirectory({ database: wrapped, vault: world.vault, logger, clock: systemClock, kept });
    await expect(opening).rejects.toMatchObject({ code: "database_unavailable" });
  });
});
