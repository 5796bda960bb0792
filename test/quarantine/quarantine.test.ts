/** Webhooks whose key cannot be fetched: over real HTTP, with a key endpoint that fails in every way and comes back. */
import { describe, expect, test } from "vitest";
import { listRefusals } from "../../src/journal/refusals.ts";
import { quarantineState } from "../../src/journal/quarantine.ts";
import { updateIntegration } from "../../src/lifecycle/integrations.ts";
import { newSigningKey, plaidFault, signJwt, webhookBody } from "../support/plaid-signer.ts";
import { until } from "../support/until.ts";
import { startWorld, type World } from "../support/world/index.ts";

const body = webhookBody({ item_id: "item-1" });
const DOWN = plaidFault(500, "API_ERROR", "INTERNAL_SERVER_ERROR");
const REFUSED = plaidFault(400, "INVALID_INPUT", "INVALID_API_KEYS");
/** longer than any back-off of the key source */
const BACKOFF_MS = 31_000;

const quarantined = () => startWorld({ receiver: { quarantine: {} } });

/** Rows that sync or the relay would act on. */
async function announced({ database }: World): Promise<number> {
  const { rows } = await database.query<{ count: number }>(
    "select (select count(*) from events.outbox) + (select count(*) from events.sync_outbox) as count",
  );
  return Number(rows[0]?.count);
}

const proven = (world: World<"receiver">, count: number) =>
  until("the proven webhooks", async () => (await world.receiver.webhooks()).length === count);

async function back(world: World<"receiver">): Promise<void> {
  world.receiver.server.fault = null;
  world.receiver.clock.advance(BACKOFF_MS);
}

describe("a webhook whose key cannot be fetched", () => {
  test.each([
    ["is down", DOWN],
    ["refuses the credentials", REFUSED],
    ["answers what is no key", { status: 200, body: "{}" }],
    ["answers no JSON", { status: 502, body: "<html>" }],
    ["does not answer", "hang" as const],
  ])(
    "is answered 200 and kept unproven while Plaid's endpoint %s, and is journaled with its id and bytes afterwards",
    async (_, fault) => {
      await using world = await quarantined();
      world.receiver.server.fault = fault;
      const answer = await world.receiver.plaid(body);
      expect(answer).toMatchObject({ status: 200, body: { ok: true, duplicate: false } });
      const [kept] = await world.receiver.unproven();
      expect(kept).toMatchObject({
        id: answer.body.webhook_id,
        claims: { item_id: "item-1", webhook_type: "TRANSACTIONS", key_id: world.receiver.key.kid },
      });
      expect(await world.receiver.webhooks()).toEqual([]);
      expect(await announced(world)).toBe(0);

      await back(world);
      await proven(world, 1);
      const [journaled] = await world.receiver.webhooks();
      expect(journaled).toMatchObject({
        id: answer.body.webhook_id,
        received_at: kept?.received_at,
        body_sha256: kept?.body_sha256,
        verification: { key_id: world.receiver.key.kid },
        source: "PLAID",
      });
      expect(await world.receiver.unproven()).toEqual([]);
      expect(await announced(world)).toBe(2);
    },
  );

  test("is proven at once when the integration gets credentials that Plaid takes, without waiting for the back-off", async () => {
    await using world = await quarantined();
    world.receiver.server.fault = REFUSED;
    for (let time = 0; time < 5; time += 1) {
      await world.receiver.plaid(body);
      world.receiver.clock.advance(10_000);
    }
    world.receiver.server.fault = null;
    await updateIntegration(world.database, world.vault, world.receiver.integrationId, { secret: "another-secret" });
    await proven(world, 5);
  });

  test("is a duplicate when it comes again, before and after it is proven", async () => {
    await using world = await quarantined();
    world.receiver.server.fault = DOWN;
    const headers = { "Plaid-Verification": signJwt(world.receiver.key, body) };
    const first = await world.receiver.post(body, headers);
    const again = { status: 200, body: { duplicate: true, webhook_id: first.body.webhook_id } };
    expect(await world.receiver.post(body, headers)).toMatchObject(again);
    expect(await world.receiver.unproven()).toHaveLength(1);
    await back(world);
    await proven(world, 1);
    expect(await world.receiver.post(body, headers)).toMatchObject(again);
    expect(await world.receiver.webhooks()).toHaveLength(1);
  });

  test("that is forged is refused when the key comes, and nothing ever acted on it", async () => {
    await using world = await quarantined();
    world.receiver.server.fault = DOWN;
    const forged = { ...newSigningKey(), kid: world.receiver.key.kid };
    expect(await world.receiver.plaid(body, {}, forged)).toMatchObject({ status: 200 });
    const genuine = await world.receiver.plaid(webhookBody({ item_id: "item-2" }));
    const unknown = newSigningKey();
    expect(await world.receiver.plaid(body, {}, unknown)).toMatchObject({ status: 200 });
    await back(world);
    await until("the quarantine is empty", async () => (await world.receiver.unproven()).length === 0);
    expect((await world.receiver.webhooks()).map(({ id }) => id)).toEqual([genuine.body.webhook_id]);
    const refusals = (await listRefusals(world.database, {})).data;
    expect(refusals.map(({ reason }) => reason).toSorted()).toEqual(["key_unknown", "signature_invalid"]);
    expect(refusals[0]?.detail).toContain("Kept unproven since");
    expect(await announced(world)).toBe(2);
  });

  test("is judged by the time at which it was received, however long it waited", async () => {
    await using world = await quarantined();
    world.receiver.server.fault = DOWN;
    await world.receiver.plaid(body);
    world.receiver.clock.advance(48 * 60 * 60_000);
    await back(world);
    await proven(world, 1);
  });

  test("is refused with key_expired where its key had expired when it was received, and only then", async () => {
    await using world = await quarantined();
    const { clock, key, server } = world.receiver;
    server.fault = DOWN;
    await world.receiver.plaid(body);
    const expired_at = Math.floor(clock.now() / 1000) + 60;
    clock.advance(120_000);
    await world.receiver.plaid(webhookBody({ item_id: "item-2" }));
    server.keys.set(key.kid, { ...key.jwk, expired_at });
    await back(world);
    await until("the quarantine is empty", async () => (await world.receiver.unproven()).length === 0);
    expect((await world.receiver.webhooks()).map(({ item_id }) => item_id)).toEqual(["item-1"]);
    expect((await listRefusals(world.database, {})).data.map(({ reason }) => reason)).toEqual(["key_expired"]);
  });

  test("does not wait for Plaid where a fetch of its key has just failed, and at most one asks again", async () => {
    await using world = await quarantined();
    world.receiver.server.fault = "hang";
    await world.receiver.plaid(body);
    const asked = world.receiver.server.asked.length;
    const answers = await Promise.all(Array.from({ length: 50 }, () => world.receiver.plaid(body)));
    expect(answers.every(({ status }) => status === 200)).toBe(true);
    // At the end of a back-off one request tries again; each gets no answer for five seconds.
    expect(world.receiver.server.asked.length - asked).toBeLessThanOrEqual(2);
  });
});

describe("what may wait unproven", () => {
  test.each([
    ["its body is not the one that it names", { claims: { request_body_sha256: "0".repeat(64) } }, 401],
    ["it claims to be too old", { claims: { iat: Math.floor(Date.now() / 1000) - 301 } }, 503],
    ["it claims to be of the future", { claims: { iat: Math.floor(Date.now() / 1000) + 120 } }, 503],
    ["its algorithm is another", { header: { alg: "HS256" } }, 401],
    ["its kid is no identifier", { header: { kid: "../x" } }, 401],
  ])("a webhook is not kept where %s", async (_, parts, status) => {
    await using world = await quarantined();
    world.receiver.server.fault = DOWN;
    expect(await world.receiver.plaid(body, parts)).toMatchObject({ status });
    expect(await world.receiver.unproven()).toEqual([]);
  });

  test("a webhook whose kid is beyond the budget is answered 503 and not kept, whether Plaid answers or not", async () => {
    await using world = await startWorld({ receiver: { quarantine: {}, fetchesPerMinute: 4 } });
    world.receiver.server.fault = DOWN;
    const forged = () => world.receiver.plaid(body, {}, newSigningKey());
    const answers = [];
    for (let index = 0; index < 30; index += 1) answers.push(await forged());
    const kept = answers.filter(({ status }) => status === 200);
    expect(kept.length).toBeGreaterThan(0);
    expect(kept.length).toBeLessThanOrEqual(6);
    expect(await world.receiver.unproven()).toHaveLength(kept.length);
    for (const { status, retryAfter } of answers.slice(10)) expect([status, retryAfter]).toEqual([503, "10"]);
    expect(await quarantineState(world.database)).toMatchObject({ waiting: kept.length });
  });

  test("Plaid's own addresses are no strangers, also where nothing was proven since the start", async () => {
    await using world = await startWorld({
      receiver: { quarantine: { webhooks: 8 }, trustProxy: true, fetchesPerMinute: 40 },
    });
    const { receiver } = world;
    receiver.server.fault = DOWN;
    const from = async (address: string, key = receiver.key) =>
      (await receiver.post(body, { "Plaid-Verification": signJwt(key, body), "X-Forwarded-For": address })).status;
    const forged = [];
    for (let index = 0; index < 60; index += 1) forged.push(await from("198.51.100.7", newSigningKey()));
    expect(forged.filter((status) => status === 200)).toHaveLength(2);
    for (const address of ["52.41.247.19", "52.88.82.239", "::ffff:52.21.26.131"])
      expect(await from(address)).toBe(200);
    expect(await from("198.51.100.8")).toBe(503);
    expect((await receiver.unproven()).map(({ vouched }) => vouched)).toEqual([true, true, true, false, false]);
    await back(world);
    await proven(world, 3);
  });

  test("forged kids of strangers leave the room of senders of proven webhooks alone", async () => {
    await using world = await startWorld({
      receiver: { quarantine: { webhooks: 40 }, trustProxy: true, fetchesPerMinute: 1000 },
    });
    const { receiver } = world;
    const from = (address: string, key = receiver.key, item = "item-1") => {
      const bytes = webhookBody({ item_id: item });
      return receiver.post(bytes, { "Plaid-Verification": signJwt(key, bytes), "X-Forwarded-For": address });
    };
    expect(await from("52.21.26.131")).toMatchObject({ status: 200 });
    receiver.server.fault = DOWN;
    const rotated = newSigningKey();
    const forged = [];
    for (let index = 0; index < 30; index += 1) forged.push(await from("198.51.100.7", newSigningKey()));
    expect(forged.filter(({ status }) => status === 200)).toHaveLength(10);
    expect(forged.at(-1)).toMatchObject({ status: 503, body: { error: { code: "verification_key_unavailable" } } });
    const genuine = [];
    for (let index = 0; index < 15; index += 1) genuine.push(await from("52.21.26.131", rotated));
    expect(genuine.every(({ status }) => status === 200)).toBe(true);
    receiver.server.keys.set(rotated.kid, rotated.jwk);
    await back(world);
    await proven(world, 16);
  });
});
