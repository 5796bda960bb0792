import { expect, it } from "vitest";
import type { Queryable } from "../../src/database/types.ts";
import { TartanError } from "../../src/errors.ts";
import { silentLogger as logger } from "../../src/logger.ts";
import type { Kept } from "../../src/model/kept.ts";
import { openKeptKeys, type KeptKey } from "../../src/plaid/kept-keys.ts";
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
      database: await openKeptKeys({ database: world.database, kept, logger }),
    });
    await before.verify(signJwt(key, body), body);
    await plaid[Symbol.asyncDispose]();
    const after = openVerifier(plaid.url, { database: await openKeptKeys({ database: gone, kept, logger }) });
    expect(await after.verify(signJwt(key, body), body)).toMatchObject({ ok: true });
  },
);

it("a key that was fetched while Postgres was away is stored in the table afterwards", async () => {
  await using world = await startWorld();
  const key = newSigningKey();
  await using plaid = await startKeyServer(key);
  const kept = memory();
  const body = webhookBody();
  const during = openVerifier(plaid.url, { database: await openKeptKeys({ database: away, kept, logger }) });
  await during.verify(signJwt(key, body), body);
  const count = async () => (await world.database.query("select 1 from tartan.verification_keys")).rowCount;
  expect(await count()).toBe(0);
  const after = openVerifier(plaid.url, { database: await openKeptKeys({ database: world.database, kept, logger }) });
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
  const table = { database: world.database, kept, logger };
  await openVerifier(plaid.url, { database: await openKeptKeys(table) }).verify(signJwt(key, body), body);
  expect(JSON.parse(kept.text)).toMatchObject([{ kid: key.kid, stored: true }]);
  await world.database.query("delete from tartan.verification_keys");
  plaid.keys.clear();
  await openVerifier(plaid.url, { database: await openKeptKeys(table) }).verify(signJwt(key, body), body);
  expect(JSON.parse(kept.text)).toEqual([]);
});
