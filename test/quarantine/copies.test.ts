/** Copies of one JWT with other signatures, which have the same identity: a forged one keeps no genuine webhook out, and a genuine one is journaled once. */
import { randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import type { Database } from "../../src/database/types.ts";
import { openVault } from "../../src/integrations/vault.ts";
import { openIntake } from "../../src/journal/intake.ts";
import { settleRepeated } from "../../src/journal/settle-repeated.ts";
import { settleSome, type Judgement, type KeptWebhook } from "../../src/journal/settle.ts";
import { keepUnproven } from "../../src/journal/unproven.ts";
import { silentLogger } from "../../src/logger.ts";
import type { UnprovenWebhook } from "../../src/model/intake.ts";
import type { NewWebhook } from "../../src/model/webhook.ts";
import { expireUnproven } from "../../src/quarantine/expire.ts";
import { testDatabase } from "../support/database.ts";
import { plaidFault, signJwt, webhookBody } from "../support/plaid-signer.ts";
import { until } from "../support/until.ts";
import { arrived, MemoryIntake, open, spoolRoot } from "../spool/support.ts";
import { INTEGRATION, unprovenWebhook, webhook } from "../support/webhook.ts";
import { startWorld } from "../support/world/index.ts";

const KEY = { integrationId: INTEGRATION, keyId: "kid-1" };

/** A copy of the webhook that somebody else sent, with another signature. */
const copyOf = ({ tokenSha256, claimedAt, body, integrationId }: UnprovenWebhook, fields = {}): UnprovenWebhook =>
  unprovenWebhook({ tokenSha256, claimedAt, body, integrationId, ...fields });

/** The same JWT, proven, under an id of its own. */
const provenOf = ({ body, jwt, tokenSha256, keyId, claimedAt, integrationId }: UnprovenWebhook): NewWebhook =>
  webhook({ integrationId, body, proof: { jwt, tokenSha256, keyId, signedAt: claimedAt } });

/** Proves these and refuses all others. */
const provingOnly =
  (...genuine: readonly UnprovenWebhook[]) =>
  async ({ id, receivedAt }: KeptWebhook): Promise<Judgement> => {
    const kept = genuine.find((each) => each.id === id);
    if (!kept) return { refused: "signature_invalid", detail: "It is." };
    return { proven: { ...provenOf(kept), id, receivedAt } };
  };

const keep = (database: Database, ...webhooks: readonly UnprovenWebhook[]) =>
  database.transaction((tx) => keepUnproven(tx, webhooks, null));

async function journaled(database: Database): Promise<{ id: string; jwt: string }[]> {
  const { rows } = await database.query<{ id: string; jwt: string }>(
    "select id, verification as jwt from journal.webhooks order by id",
  );
  return rows;
}

async function opened() {
  const { database, ...rest } = await testDatabase();
  const vault = openVault([randomBytes(32).toString("base64")]);
  const quarantine = { webhooks: 1000, bytes: 1_000_000 };
  const intake = openIntake({ database, vault, queueMax: 1000, quarantine, logger: silentLogger });
  return {
    database,
    intake,
    [Symbol.asyncDispose]: async () => {
      await intake[Symbol.asyncDispose]();
      await rest[Symbol.asyncDispose]();
    },
  };
}

test("a copy with a damaged signature that was kept first is refused, and the genuine webhook is journaled", async () => {
  await using world = await startWorld({ receiver: { quarantine: {} } });
  world.receiver.server.fault = plaidFault(500, "API_ERROR", "INTERNAL_SERVER_ERROR");
  const body = webhookBody({ item_id: "item-1" });
  const jwt = signJwt(world.receiver.key, body);
  const damaged = `${jwt.slice(0, -10)}${jwt.at(-10) === "A" ? "B" : "A"}${jwt.slice(-9)}`;
  const post = (token: string) => world.receiver.post(body, { "Plaid-Verification": token });
  expect(await post(damaged)).toMatchObject({ status: 200, body: { duplicate: false } });
  const genuine = await post(jwt);
  expect(genuine).toMatchObject({ status: 200, body: { duplicate: false } });
  world.receiver.server.fault = null;
  world.receiver.clock.advance(31_000);
  await until("the quarantine is empty", async () => (await world.receiver.unproven()).length === 0);
  expect((await world.receiver.webhooks()).map(({ id }) => id)).toEqual([genuine.body.webhook_id]);
  expect(await journaled(world.database)).toMatchObject([{ jwt }]);
  expect(await post(jwt)).toMatchObject({
    status: 200,
    body: { duplicate: true, webhook_id: genuine.body.webhook_id },
  });
});

test.each([
  ["kept earlier", 0, 1],
  ["kept later", 1, 0],
])(
  "a forged copy %s neither replaces a genuine webhook nor makes it a duplicate, in one batch and in another",
  async (_, forgedAt, genuineAt) => {
    await using o = await opened();
    const genuine = unprovenWebhook();
    const pair: UnprovenWebhook[] = [];
    pair[genuineAt] = genuine;
    pair[forgedAt] = copyOf(genuine);
    expect(await keep(o.database, ...pair)).toMatchObject([{ duplicate: false }, { duplicate: false }]);
    const apart = unprovenWebhook();
    const forged = copyOf(apart, { keyId: "kid-1" });
    for (const each of forgedAt === 0 ? [forged, apart] : [apart, forged]) await keep(o.database, each);
    while ((await settleSome(o.database, KEY, provingOnly(genuine, apart))) !== null);
    expect(await journaled(o.database)).toEqual([genuine, apart].map(({ id, jwt }) => ({ id, jwt })));
  },
);

test("copies with two signatures that are both valid are journaled once, and so is what comes with them later", async () => {
  await using o = await opened();
  const first = unprovenWebhook();
  const other = copyOf(first);
  await keep(o.database, other);
  await keep(o.database, first);
  expect(await settleSome(o.database, KEY, provingOnly(first, other))).toMatchObject({ proven: 1, duplicates: 1 });
  expect(await o.intake.accept({ arrival: "webhook", ...provenOf(other) })).toEqual({ id: first.id, duplicate: true });
  expect(await keep(o.database, copyOf(first))).toMatchObject([{ id: first.id, duplicate: true }]);
  expect((await journaled(o.database)).map(({ id }) => id)).toEqual([first.id]);
});

test("a proven webhook whose forged copy waits is journaled with its own JWT, and the genuine one that waits is not journaled again", async () => {
  await using o = await opened();
  const genuine = unprovenWebhook();
  const forged = copyOf(genuine);
  await keep(o.database, forged);
  await keep(o.database, genuine);
  expect(await o.intake.accept({ arrival: "webhook", ...provenOf(genuine) })).toEqual({
    id: forged.id,
    duplicate: true,
  });
  expect(await settleSome(o.database, KEY, provingOnly(genuine))).toMatchObject({ proven: 0, duplicates: 1 });
  expect(await journaled(o.database)).toEqual([{ id: forged.id, jwt: genuine.jwt }]);
});

test("when a copy expires the other one that waits is known by its JWT instead", async () => {
  await using o = await opened();
  const genuine = unprovenWebhook();
  await keep(o.database, copyOf(genuine, { receivedAt: new Date(Date.now() - 4 * 86_400_000) }));
  await keep(o.database, genuine);
  await expireUnproven({ database: o.database, logger: silentLogger, days: 3 });
  expect(await o.intake.accept({ arrival: "webhook", ...provenOf(genuine) })).toEqual({
    id: genuine.id,
    duplicate: true,
  });
  expect(await journaled(o.database)).toEqual([{ id: genuine.id, jwt: genuine.jwt }]);
});

test("a proven webhook whose copy is refused in the same moment must be sent again, and is not called a duplicate", async () => {
  await using o = await opened();
  const second = provenOf(unprovenWebhook());
  const gone = unprovenWebhook().id;
  await expect(settleRepeated(o.database, o.database, [{ webhook: second, first: gone }])).rejects.toMatchObject({
    code: "overloaded",
    retryAfterSeconds: 1,
  });
  const journaledFirst = provenOf(unprovenWebhook());
  await o.intake.accept({ arrival: "webhook", ...journaledFirst });
  await settleRepeated(o.database, o.database, [{ webhook: second, first: journaledFirst.id }]);
});

test("a genuine notice that came too late has its subject checked although a copy of it waits unproven", async () => {
  await using o = await opened();
  const { tokenSha256, claimedAt: signedAt, ...genuine } = unprovenWebhook();
  const kept = copyOf({ ...genuine, tokenSha256, claimedAt: signedAt });
  await keep(o.database, kept);
  const notice = () =>
    o.intake.accept({
      arrival: "stale_notice",
      integrationId: INTEGRATION,
      token: { tokenSha256, signedAt },
      subject: { kind: "item", id: "item-1" },
      webhookType: "TRANSACTIONS",
      webhookCode: "SYNC_UPDATES_AVAILABLE",
    });
  const answer = { id: kept.id, duplicate: true };
  expect([await notice(), await notice()]).toEqual([answer, answer]);
  const { rows } = await o.database.query("select notices from events.sync_outbox");
  expect(rows).toHaveLength(1);
});

test("a forged copy in the spool makes no genuine webhook its duplicate, proven or not", async () => {
  await using world = await startWorld({ integration: {} });
  await using root = await spoolRoot();
  const integrationId =
    (await world.database.query<{ id: string }>("select id from tartan.integrations")).rows[0]?.id ?? "";
  const [unproven, proven] = [unprovenWebhook({ integrationId }), unprovenWebhook({ integrationId })];
  const [copy, other] = [copyOf(unproven), copyOf(proven)];
  {
    await using o = await open(root, Object.assign(new MemoryIntake(), { mode: "away" as const }));
    for (const each of [copy, unproven, other, arrived(provenOf(proven))])
      expect(await o.spool.accept(each as UnprovenWebhook)).toEqual({ id: each.id, duplicate: false });
    // One that is proven has proven all copies.
    expect(await o.spool.accept(copyOf(proven))).toMatchObject({ duplicate: true });
    expect(await o.spool.accept({ ...unproven, id: copy.id })).toEqual({ id: unproven.id, duplicate: true });
  }
  const { database, vault } = world;
  await using inner = openIntake({ database, vault, queueMax: 10, quarantine: null, logger: silentLogger });
  await using o = await open(root, inner);
  await until("it is drained", () => o.spool.status().state === "straight");
  while ((await settleSome(database, { integrationId, keyId: "kid-1" }, provingOnly(unproven, proven))) !== null);
  expect((await journaled(database)).map(({ jwt }) => jwt).toSorted()).toEqual([unproven.jwt, proven.jwt].toSorted());
});
