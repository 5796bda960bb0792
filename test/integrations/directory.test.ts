/** The directory: the hot path's memory. It follows changes, survives Postgres, and lets no garbage through to it. */
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import type { Clock } from "../../src/clock.ts";
import type { Database } from "../../src/database/types.ts";
import { TartanError } from "../../src/errors.ts";
import { openDirectory } from "../../src/integrations/directory.ts";
import { rotateWebhookSecret } from "../../src/integrations/integrations.ts";
import { deleteIntegration } from "../../src/lifecycle/integrations.ts";
import { openVault } from "../../src/integrations/vault.ts";
import { silentLogger } from "../../src/logger.ts";
import { scene, SECRETS, type Scene } from "./support.ts";

/** A clock that is set by hand; sleeping takes no time once nothing else is to be done. */
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

/** The database with a switch, and a count of the statements it got. */
function switchable(database: Database) {
  const state = { away: false, queries: 0 };
  const wrapped: Database = {
    query: async (statement, values) => {
      state.queries++;
      if (state.away) throw new TartanError("database_unavailable", "away");
      return await database.query(statement, values);
    },
    transaction: (work) => database.transaction(work),
    listen: (channel, onNotify) => database.listen(channel, onNotify),
    [Symbol.asyncDispose]: async () => undefined,
  };
  return { state, wrapped };
}

async function open(it: Scene) {
  const clock = manualClock();
  const { state, wrapped } = switchable(it.database);
  const directory = await openDirectory({ database: wrapped, vault: it.vault, logger: silentLogger, clock });
  return { clock, state, directory, [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose]() };
}

const eventually = async (condition: () => Promise<boolean>): Promise<void> => {
  await expect.poll(condition, { timeout: 10_000, interval: 10 }).toBe(true);
};

describe("the directory", () => {
  test("the directory has every integration with its secrets from the start, without another query", async () => {
    await using it = await scene();
    const id = await it.integrate({ country_codes: ["US", "CA"] });
    await using dir = await open(it);
    dir.state.queries = 0;
    expect(await dir.directory.find(id)).toEqual({
      id,
      environment: "sandbox",
      plaidUrl: "https://sandbox.plaid.com",
      clientId: "client-1",
      secret: SECRETS.client,
      webhookSecret: SECRETS.webhook,
      countryCodes: ["US", "CA"],
      daysRequested: null,
      includeOriginalDescription: false,
    });
    expect(dir.state.queries).toBe(0);
  });

  test("the directory is notified of new integrations, rotated secrets and deletions while its entries are fresh", async () => {
    await using it = await scene();
    await using dir = await open(it);
    const id = await it.integrate();
    expect(await dir.directory.find(id)).toMatchObject({ webhookSecret: SECRETS.webhook });
    await rotateWebhookSecret(it.database, it.vault, id, "another-secret");
    await eventually(async () => (await dir.directory.find(id))?.webhookSecret === "another-secret");
    await deleteIntegration(it.database, id);
    await eventually(async () => (await dir.directory.find(id)) === null);
  });

  test("an integration whose id was refused as unknown is found once it is created", async () => {
    await using it = await scene();
    const id = await it.integrate();
    await it.database.query("update tartan.integrations set deleted_at = now()");
    await using dir = await open(it);
    expect(await dir.directory.find(id)).toBeNull();
    await it.database.query("update tartan.integrations set deleted_at = null");
    expect(await dir.directory.find(id)).toBeNull();
    await it.database.query("select pg_notify('tartan_integrations', '')");
    await eventually(async () => (await dir.directory.find(id)) !== null);
  });

  test("a change whose notification was missed is seen after ten seconds", async () => {
    await using it = await scene();
    const id = await it.integrate();
    await using dir = await open(it);
    await it.database.query("update tartan.integrations set client_id = 'client-2'");
    expect(await dir.directory.find(id)).toMatchObject({ clientId: "client-1" });
    dir.clock.ms += 10_001;
    expect(await dir.directory.find(id)).toMatchObject({ clientId: "client-2" });
  });

  test("the directory returns its last known entries while Postgres is down, and queries it at most once a second", async () => {
    await using it = await scene();
    const id = await it.integrate();
    await using dir = await open(it);
    Object.assign(dir.state, { away: true, queries: 0 });
    dir.clock.ms += 60_000;
    for (let request = 0; request < 50; request++) {
      expect(await dir.directory.find(id)).toMatchObject({ webhookSecret: SECRETS.webhook });
    }
    expect(dir.state.queries).toBe(1);
    dir.clock.ms += 1_001;
    await dir.directory.find(id);
    expect(dir.state.queries).toBe(2);
    await expect(dir.directory.find("svi_neverseen")).rejects.toMatchObject({ code: "database_unavailable" });
    await it.database.query("update tartan.integrations set client_id = 'client-2'");
    dir.state.away = false;
    dir.clock.ms += 1_001;
    expect(await dir.directory.find(id)).toMatchObject({ clientId: "client-2" });
  });

  test("many simultaneous lookups of one integration are one statement", async () => {
    await using it = await scene();
    const id = await it.integrate();
    await using dir = await open(it);
    dir.clock.ms += 60_000;
    dir.state.queries = 0;
    const found = await Promise.all(Array.from({ length: 200 }, () => dir.directory.find(id)));
    expect(found.every((integration) => integration?.id === id)).toBe(true);
    expect(dir.state.queries).toBe(1);
  });

  test("a flood of unknown integration ids shares statements, and repeated ids cost none", async () => {
    await using it = await scene();
    await using dir = await open(it);
    dir.state.queries = 0;
    const ids = Array.from({ length: 2_000 }, (_, index) => `svi_${index.toString(36)}`);
    await Promise.all(ids.map((id) => dir.directory.find(id)));
    expect(dir.state.queries).toBeLessThan(20);
    dir.state.queries = 0;
    await Promise.all(ids.map((id) => dir.directory.find(id)));
    expect(dir.state.queries).toBe(0);
  });

  test("an invalid integration id costs no statement", async () => {
    await using it = await scene();
    await using dir = await open(it);
    dir.state.queries = 0;
    for (const id of ["", "svi_", "svi_UPPER", "nope", "svi_a'; drop", "svi_".padEnd(500, "a"), "__proto__"]) {
      expect(await dir.directory.find(id)).toBeNull();
    }
    expect(dir.state.queries).toBe(0);
  });

  test("secrets that cannot be opened affect only their own integration", async () => {
    await using it = await scene();
    const [good, bad] = [await it.integrate(), await it.integrate()];
    const sealed = it.vault.seal("x", "elsewhere");
    await it.database.query("update tartan.integrations set client_secret_sealed = $2 where id = $1", [bad, sealed]);
    await using dir = await open(it);
    expect(await dir.directory.find(good)).not.toBeNull();
    await expect(dir.directory.find(bad)).rejects.toMatchObject({ code: "vault_unsealable" });
  });

  test("a server without the right master key reports it for each integration", async () => {
    await using it = await scene();
    const id = await it.integrate();
    await using dir = await open({ ...it, vault: openVault([Buffer.alloc(32, 7).toString("base64")]) });
    await expect(dir.directory.find(id)).rejects.toThrow("TARTAN_MASTER_KEY");
  });
});
