/** Signing keys: rotated with a grace, sealed, and opened for those who deliver. */
import { randomBytes } from "node:crypto";
import { describe, expect, test } from "vitest";
import { openVault } from "../../../src/integrations/vault.ts";
import { rotateVault } from "../../../src/lifecycle/rotation.ts";
import {
  createDestination,
  getDestination,
  listSigningKeys,
  loadDestinations,
  rotateSigningKey,
} from "../../../src/relay/destinations/destinations.ts";
import { PLACE, startWorld } from "../../support/world/index.ts";
import { STRICT, refusalOf } from "../support.ts";

const SECRET = "Bearer 4d1f-very-secret";

describe("rotation", () => {
  test("after a rotation the new key signs at once, and the previous key until the grace period ends", async () => {
    await using world = await startWorld(STRICT);
    const made = await world.destinations.create();
    const rotated = await rotateSigningKey(world.destinations, made.id, { grace_s: 60 });
    expect(rotated).toMatchObject({ scheme: "v1", expires_at: null, signing_secret: expect.stringMatching(/^whsec_/) });
    expect(rotated.signing_secret).not.toBe(made.signing_secret);
    const [open] = await loadDestinations(world.database, world.vault, [made.id]);
    expect(open?.keys.map(({ secret }) => secret)).toEqual([rotated.signing_secret, made.signing_secret]);
    expect(open?.version).toBe(2);
    const keys = await listSigningKeys(world.database, made.id);
    expect(keys.map(({ id, expires_at }) => [id, expires_at !== null])).toEqual([
      [rotated.id, false],
      [made.keys[0]?.id, true],
    ]);
    expect((await getDestination(world.database, made.id))?.keys).toEqual(keys);
    const left = await world.database.query<{ s: number }>(
      "select extract(epoch from expires_at - now())::float8 as s from relay.signing_keys where expires_at is not null",
    );
    expect(left.rows[0]?.s).toBeGreaterThan(0);
    expect(left.rows[0]?.s).toBeLessThanOrEqual(60);
  });

  test("rotation does not extend the grace period of an earlier rotation", async () => {
    await using world = await startWorld(STRICT);
    const made = await world.destinations.create();
    await rotateSigningKey(world.destinations, made.id, { grace_s: 60 });
    const before = (await listSigningKeys(world.database, made.id)).at(-1);
    await rotateSigningKey(world.destinations, made.id);
    expect((await listSigningKeys(world.database, made.id)).at(-1)).toEqual(before);
  });

  test("rotation without a grace period ends the previous key at once", async () => {
    await using world = await startWorld(STRICT);
    const made = await world.destinations.create();
    const rotated = await rotateSigningKey(world.destinations, made.id, { grace_s: 0 });
    const [open] = await loadDestinations(world.database, world.vault, [made.id]);
    expect(open?.keys).toEqual([{ scheme: "v1", secret: rotated.signing_secret, expiresAt: null }]);
    const { rows } = await world.database.query("select id from relay.signing_keys");
    expect(rows).toEqual([{ id: rotated.id }]);
  });

  test("rotation can change the scheme and take a given secret", async () => {
    await using world = await startWorld(STRICT);
    const made = await world.destinations.create();
    const other = await rotateSigningKey(world.destinations, made.id, { scheme: "v1a" });
    expect(other).toMatchObject({ scheme: "v1a", public_key: expect.stringMatching(/^whpk_/) });
    expect(await rotateSigningKey(world.destinations, made.id)).toMatchObject({ scheme: "v1a" });
    const secret = `whsec_${randomBytes(24).toString("base64")}`;
    expect(await rotateSigningKey(world.destinations, made.id, { scheme: "v1", secret })).toMatchObject({
      signing_secret: secret,
    });
    expect(
      (await loadDestinations(world.database, world.vault, [made.id]))[0]?.keys.map(({ scheme }) => scheme),
    ).toEqual(["v1", "v1a", "v1a", "v1"]);
  });

  test("rotation never leaves more than ten keys that sign", async () => {
    await using world = await startWorld(STRICT);
    const { id } = await world.destinations.create();
    const secrets: string[] = [];
    for (let n = 0; n < 12; n += 1) secrets.unshift((await rotateSigningKey(world.destinations, id)).signing_secret);
    const [open] = await loadDestinations(world.database, world.vault, [id]);
    expect(open?.keys.map(({ secret }) => secret)).toEqual(secrets.slice(0, 10));
  });

  test("rotation refuses invalid grace periods, schemes and secrets", async () => {
    await using world = await startWorld(STRICT);
    const { id } = await world.destinations.create();
    for (const [asked, field] of [
      [{ grace_s: 604_801 }, "grace_s"],
      [{ grace_s: -1 }, "grace_s"],
      [{ scheme: "v2" }, "scheme"],
      [{ secret: "whsec_short" }, "secret"],
    ] as const) {
      const { code, fields } = await refusalOf(rotateSigningKey(world.destinations, id, asked as object));
      expect([code, Object.keys(fields)]).toEqual(["invalid_request", [field]]);
    }
    expect(await listSigningKeys(world.database, id)).toHaveLength(1);
  });
});

test("a rotation of the vault's key covers headers and signing secrets", async () => {
  await using world = await startWorld(STRICT);
  const made = await world.destinations.create({ headers: { "x-a": SECRET } });
  const newest = randomBytes(32).toString("base64");
  const counts = await rotateVault(world.database, openVault([newest, world.masterKey]));
  expect(counts).toMatchObject({ "relay.destinations.headers_sealed": 1, "relay.signing_keys.secret_sealed": 1 });
  expect(await loadDestinations(world.database, openVault([newest]), [made.id])).toMatchObject([
    { headers: { "x-a": SECRET }, keys: [{ secret: made.signing_secret }] },
  ]);
});

test("a destination whose secrets cannot be unsealed is reported and blocks no other", async () => {
  await using world = await startWorld(STRICT);
  const lost = await createDestination(world.destinations, { url: PLACE });
  const elsewhere = openVault([randomBytes(32).toString("base64")]);
  await world.database.query("update relay.signing_keys set secret_sealed = $1", [elsewhere.seal("secret", "lost")]);
  const fine = await world.destinations.create();
  const faults: [string, unknown][] = [];
  const open = await loadDestinations(world.database, world.vault, null, (id, error) => faults.push([id, error]));
  expect(open.map(({ id }) => id)).toEqual([fine.id]);
  expect(faults).toEqual([[lost.id, expect.objectContaining({ code: "vault_unsealable" })]]);
});
