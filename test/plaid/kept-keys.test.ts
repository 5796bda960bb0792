import { setTimeout as delay } from "node:timers/promises";
import { expect, it } from "vitest";
import type { Queryable } from "../../src/database/types.ts";
import { TartanError } from "../../src/errors.ts";
import { silentLogger as logger } from "../../src/logger.ts";
import type { Kept } from "../../src/model/kept.ts";
import { openKeptKeys, type KeptKey } from "../../src/plaid/kept-keys.ts";
import { keyTable } from "../../src/plaid/key-table.ts";
import { newSigningKey, startKeyServer, webhookBody, signJwt } from "../support/plaid-signer.ts";
import { startWorld } from "../support/world/index.ts";
import { openVerifier } from "./support.ts";

/** A copy in memory, as the file keeps it. */
function memory(): Kept<KeptKey[]> & { text: string } {
  return {
    text: "[]",
    async read() {
      return JSON.parse(this.text) as KeptKey[];
    },
    keep(value) {
      this.text = JSON.stringify(value);
    },
  };
}

const away: Queryable = {
  query: async () => {
    throw new TartanError("database_unavailable", "away");
  },
};
const silent: Queryable = { query: () => new Promise(() => undefined) };

it.each([
  ["away", away],
  ["silent", silent],
])(
  "a key that was fetched before proves webhooks after a restart while Postgres is %s and Plaid is gone",
  async (_how, gone) => {
    await using world = await startWorld();
    const key = newSigningKey();
    const plaid = await startKeyServer(key);
    const kept = memory();
    const body = webhookBody();
    const before = openVerifier(plaid.url, {
      table: await openKeptKeys({ table: keyTable(world.database), kept, logger }),
    });
    await before.verify(signJwt(key, body), body);
    await plaid[Symbol.asyncDispose]();
    const after = openVerifier(plaid.url, { table: await openKeptKeys({ table: keyTable(gone), kept, logger }) });
    expect(await after.verify(signJwt(key, body), body)).toMatchObject({ ok: true });
  },
);

it("a key that was fetched while Postgres was away is stored in the table afterwards", async () => {
  await using world = await startWorld();
  const key = newSigningKey();
  await using plaid = await startKeyServer(key);
  const kept = memory();
  const body = webhookBody();
  const during = openVerifier(plaid.url, { table: await openKeptKeys({ table: keyTable(away), kept, logger }) });
  await during.verify(signJwt(key, body), body);
  const count = async () => (await world.database.query("select 1 from tartan.verification_keys")).rowCount;
  expect(await count()).toBe(0);
  const after = openVerifier(plaid.url, {
    table: await openKeptKeys({ table: keyTable(world.database), kept, logger }),
  });
  await after.verify(signJwt(key, body), body);
  await expect.poll(count).toBe(1);
  expect(plaid.asked).toEqual([key.kid]);
});

it("a key that another process dropped is not kept", async () => {
  await using world = await startWorld();
  const key = newSigningKey();
  await using plaid = await startKeyServer(key);
  const kept = memory();
  const body = webhookBody();
  const options = { table: keyTable(world.database), kept, logger };
  await openVerifier(plaid.url, { table: await openKeptKeys(options) }).verify(signJwt(key, body), body);
  expect(JSON.parse(kept.text)).toMatchObject([{ kid: key.kid, state: "stored" }]);
  await world.database.query("delete from tartan.verification_keys");
  plaid.keys.clear();
  await openVerifier(plaid.url, { table: await openKeptKeys(options) }).verify(signJwt(key, body), body);
  expect(JSON.parse(kept.text)).toEqual([]);
});

/** The table, which can be away. */
function switchable(database: Queryable): Queryable & { isAway: boolean } {
  return {
    isAway: false,
    async query(statement, values) {
      return await (this.isAway ? away : database).query(statement, values);
    },
  };
}

const PLAID = "https://plaid.example";
const KEY = { kid: "kid-1", jwk: { kty: "EC" }, expired_at: null, fetched_at: new Date(0) };

it.each([
  ["the same process", false],
  ["the next one", true],
])(
  "a key that Plaid withdrew while Postgres was away is not used, and is deleted from the table by %s once Postgres is back",
  async (_who, restarts) => {
    await using world = await startWorld();
    const table = switchable(world.database);
    const kept = memory();
    const options = { table: keyTable(table), kept, logger, writeAgainMs: 50 };
    const inTable = async () => (await world.database.query("select 1 from tartan.verification_keys")).rowCount;
    await using first = await openKeptKeys(options);
    await first.save(PLAID, KEY);
    table.isAway = true;
    await first.drop(PLAID, KEY.kid);
    expect(await first.load(PLAID)).toEqual([]);
    expect(await inTable()).toBe(1);
    if (restarts) await first[Symbol.asyncDispose]();
    await using next = restarts ? await openKeptKeys(options) : first;
    expect(await next.load(PLAID)).toEqual([]);
    table.isAway = false;
    await expect.poll(inTable).toBe(0);
    await expect.poll(() => kept.text).toBe("[]");
  },
);

it("a key that Plaid withdrew is not read from a table that still has it", async () => {
  await using world = await startWorld();
  const table = switchable(world.database);
  await using keys = await openKeptKeys({ table: keyTable(table), kept: memory(), logger });
  await keys.save(PLAID, KEY);
  table.isAway = true;
  await keys.drop(PLAID, KEY.kid);
  table.isAway = false;
  expect(await keys.load(PLAID)).toEqual([]);
});

it("a key that was fetched while Postgres was away is in the table soon after its return, although no webhook comes", async () => {
  await using world = await startWorld();
  const table = switchable(world.database);
  const kept = memory();
  await using keys = await openKeptKeys({ table: keyTable(table), kept, logger, writeAgainMs: 50 });
  table.isAway = true;
  await keys.save(PLAID, KEY);
  table.isAway = false;
  const inTable = async () => (await world.database.query("select 1 from tartan.verification_keys")).rowCount;
  await expect.poll(inTable).toBe(1);
  await expect.poll(() => kept.text).toContain('"state":"stored"');
});

it("while Postgres is away, what the table does not know is written again by one timer, which ends when it is disposed", async () => {
  await using world = await startWorld();
  const table = switchable(world.database);
  let asked = 0;
  const counting: Queryable = {
    query: async (statement, values) => {
      asked += 1;
      return await table.query(statement, values);
    },
  };
  const keys = await openKeptKeys({ table: keyTable(counting), kept: memory(), logger, writeAgainMs: 20 });
  table.isAway = true;
  for (let kid = 0; kid < 20; kid += 1) await keys.save(PLAID, { ...KEY, kid: `kid-${kid}` });
  asked = 0;
  await delay(210);
  expect(asked).toBeGreaterThan(0);
  expect(asked).toBeLessThanOrEqual(11);
  await keys[Symbol.asyncDispose]();
  await delay(50);
  asked = 0;
  await delay(100);
  expect(asked).toBe(0);
});
