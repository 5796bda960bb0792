/** Taking over arrivals that another engine acknowledged: each is stored exactly once, in order, also where it was stored, or was being stored, before. */
import { describe, expect, test } from "vitest";
import { append } from "../../src/journal/append.ts";
import { openIntake } from "../../src/journal/intake.ts";
import { silentLogger as logger } from "../../src/logger.ts";
import { getItemSecret } from "../../src/integrations/items.ts";
import { newUuid } from "../../src/model/ids.ts";
import type { ArrivedWebhook, Intake, LinkedItem, Restoring, StaleNotice } from "../../src/model/intake.ts";
import { eventsOf, integrate } from "../integrations/support.ts";
import { introduceItem } from "../support/link.ts";
import { proof, webhook } from "../support/webhook.ts";
import { startWorld, type World } from "../support/world/index.ts";
import { unmarked } from "./support.ts";

interface Restored extends AsyncDisposable {
  world: World;
  intake: Intake & Restoring;
  integrationId: string;
  arrived(fields?: Parameters<typeof webhook>[0]): ArrivedWebhook;
  ids(): Promise<string[]>;
}

async function start(): Promise<Restored> {
  const world = await startWorld();
  const { database, vault } = world;
  const intake = world.use(openIntake({ database, vault, queueMax: 100, logger }));
  const integrationId = await integrate(world);
  return {
    world,
    intake,
    integrationId,
    arrived: (fields) => ({ arrival: "webhook", ...webhook({ integrationId, ...fields }) }),
    ids: async () => {
      const { rows } = await database.query<{ id: string }>("select id from journal.webhooks order by id");
      return rows.map(({ id }) => id);
    },
    [Symbol.asyncDispose]: () => world[Symbol.asyncDispose](),
  };
}

const stored = (id: string | null) => ({ outcome: "stored", id });
const passedOver = (id: string | null) => ({ outcome: "passed_over", id });

describe("restoring webhooks", () => {
  test("restored webhooks are stored in their order and wait to be marked, and a repeat stores nothing", async () => {
    await using r = await start();
    const given = [r.arrived(), r.arrived({ proof: null }), r.arrived()];
    expect(await r.intake.restore(given)).toEqual(given.map(({ id }) => stored(id)));
    expect(await r.intake.restore(given)).toEqual(given.map(({ id }) => passedOver(id)));
    expect(await r.ids()).toEqual(given.map(({ id }) => id));
    expect(await unmarked(r.world.database)).toEqual([given.map(({ id }) => id)]);
  });

  test("a webhook whose JWT was accepted before is passed over with the id of the first", async () => {
    await using r = await start();
    const first = r.arrived();
    await r.intake.accept(first);
    const again = r.arrived({ proof: first.proof });
    expect(await r.intake.restore([again, r.arrived({ proof: first.proof })])).toEqual([
      passedOver(first.id),
      passedOver(first.id),
    ]);
    expect(await r.ids()).toEqual([first.id]);
  });

  test("an append that thaws when the webhook was restored already is answered with its id, JWT or not, and logs no error", async () => {
    await using r = await start();
    const errors: unknown[] = [];
    const error = (...line: unknown[]) => void errors.push(line);
    const noisy = Object.assign(Object.create(logger) as typeof logger, { error });
    const { database, vault } = r.world;
    await using intake = openIntake({ database, vault, queueMax: 100, logger: noisy });
    const given = [r.arrived({ proof: null }), r.arrived(), r.arrived({ proof: null }), r.arrived({ proof: null })];
    expect(await r.intake.restore(given.slice(0, 3))).toEqual(given.slice(0, 3).map(({ id }) => stored(id)));
    const answers = await Promise.all(given.map((each) => intake.accept(each)));
    expect(answers).toEqual(given.map(({ id }) => ({ id, duplicate: false })));
    expect(await r.ids()).toEqual(given.map(({ id }) => id));
    expect(errors).toEqual([]);
  });

  test("a JWT that another transaction is storing is reported as locked, and every other webhook is stored", async () => {
    await using r = await start();
    const given = Array.from({ length: 9 }, () => r.arrived());
    const { id, proof: locked } = given[4] as (typeof given)[number];
    await r.world.database.transaction(async (tx) => {
      await append(tx, [webhook({ integrationId: r.integrationId, proof: locked })]);
      expect(await r.intake.restore(given)).toEqual(
        given.map((each) => (each.id === id ? { outcome: "locked" } : stored(each.id))),
      );
    });
    expect((await r.intake.restore(given)).map(({ outcome }) => outcome)).toEqual(given.map(() => "passed_over"));
    expect(await r.ids()).toHaveLength(9);
  });

  test("a table that is locked, as by a migration, is no webhook's fault, and is waited for", async () => {
    await using r = await start();
    const given = [r.arrived(), r.arrived()];
    const pending = await r.world.database.transaction(async (tx) => {
      await tx.query("lock table journal.webhooks in access exclusive mode");
      const restored = r.intake.restore(given);
      await tx.query("select pg_sleep(1.5)");
      return { restored };
    });
    expect(await pending.restored).toEqual(given.map(({ id }) => stored(id)));
  });

  test("the same JWT twice in one batch, and the same webhook twice, are stored once", async () => {
    await using r = await start();
    const first = r.arrived();
    const bare = r.arrived({ proof: null });
    const given = [first, r.arrived({ proof: first.proof }), bare, bare, first];
    const [a, b] = [first.id, bare.id];
    expect(await r.intake.restore(given)).toEqual([stored(a), passedOver(a), stored(b), passedOver(b), passedOver(a)]);
    expect(await r.ids()).toEqual([a, b]);
  });

  test("a JWT that was accepted days ago, and whose token is forgotten, is passed over", async () => {
    await using r = await start();
    const day = 24 * 60 * 60_000;
    const signedAt = new Date(Math.floor(Date.now() / 1000) * 1000 - 4 * day);
    const old = (jwt: string, itemId: string | null) =>
      r.arrived({ itemId, receivedAt: new Date(signedAt.getTime() + 2000), proof: { ...proof(signedAt), jwt } });
    const firsts = [old("a.b.c", "item-1"), old("d.e.f", null)];
    await r.intake.restore(firsts);
    await r.world.database.query("delete from journal.accepted_tokens");
    const again = [old("a.b.c", "item-1"), old("d.e.f", null), old("g.h.i", "item-1")];
    expect(await r.intake.restore(again)).toEqual([
      passedOver(firsts[0]?.id ?? ""),
      passedOver(firsts[1]?.id ?? ""),
      stored(again[2]?.id ?? ""),
    ]);
    await r.world.database.query("delete from journal.accepted_tokens");
    expect(await r.intake.restore(firsts)).toEqual(firsts.map(({ id }) => passedOver(id)));
    expect(await r.ids()).toHaveLength(3);
  });

  test("a webhook that Postgres refuses, and one of an integration that is deleted, are reported alone", async () => {
    await using r = await start();
    const given = Array.from({ length: 9 }, () => r.arrived());
    given[2] = r.arrived({ webhookType: "a\0b" });
    given[6] = r.arrived({ integrationId: "svi_deleted" });
    const results = await r.intake.restore(given);
    expect(results.map(({ outcome }) => outcome)).toEqual(
      given.map((_, index) => (index === 2 || index === 6 ? "refused" : "stored")),
    );
    expect(results[6]).toMatchObject({ error: { code: "not_found" } });
    expect(await r.ids()).toHaveLength(7);
  });

  test.each([
    ["commits", passedOver, 1],
    ["is rolled back", stored, 1],
  ] as const)(
    "a webhook whose first append has not ended is restored once that %s, and is in the journal once",
    async (ends, outcome, count) => {
      await using r = await start();
      for (const given of [r.arrived(), r.arrived({ proof: null })]) {
        let restoring: Promise<unknown> = Promise.resolve();
        const appending = r.world.database.transaction(async (tx) => {
          await append(tx, [given]);
          restoring = r.intake.restore([given]);
          // It waits for this transaction: at the token, or at the primary key.
          await new Promise((resolve) => setTimeout(resolve, 200));
          if (ends === "is rolled back") throw new Error("rolled back");
        });
        await appending.catch(() => undefined);
        expect(await restoring).toEqual([outcome(given.id)]);
        expect((await r.ids()).filter((id) => id === given.id)).toHaveLength(count);
      }
    },
  );
});

describe("restoring linked items and stale notices", () => {
  const linked = (integrationId: string, more: Partial<LinkedItem> = {}): LinkedItem & { id: string } =>
    ({
      arrival: "linked_item",
      id: newUuid(),
      integrationId,
      itemId: "item-1",
      accessToken: "access-sandbox-1",
      receivedAt: new Date(),
      ...more,
    }) as LinkedItem & { id: string };

  test("a restored item is linked once: a repeat neither links it again nor journals a second webhook", async () => {
    await using r = await start();
    const item = linked(r.integrationId);
    expect(await r.intake.restore([item])).toEqual([stored(item.id)]);
    expect(await r.intake.restore([r.arrived(), item])).toMatchObject([{ outcome: "stored" }, passedOver(item.id)]);
    expect(await r.ids()).toHaveLength(2);
    expect((await eventsOf(r.world, "item-1")).filter(([type]) => type === "item.linked")).toHaveLength(1);
  });

  test("a token that was stored after a linked item arrived stays, and the item's webhook is journaled", async () => {
    await using r = await start();
    const item = linked(r.integrationId, {
      receivedAt: new Date(Date.now() - 60_000),
      id: newUuid(Date.now() - 60_000),
    });
    const { integrationId: integration_id } = r;
    await introduceItem(r.world, { integration_id, item_id: "item-1", access_token: "access-sandbox-newer" });
    expect(await r.intake.restore([item])).toEqual([stored(item.id)]);
    const secret = await getItemSecret(r.world.database, r.world.vault, integration_id, "item-1");
    expect(secret).toMatchObject({ access_token: "access-sandbox-newer" });
    expect(await r.ids()).toContain(item.id);
  });

  test("a linked item of a deleted integration, or without what it needs, is reported and stores nothing", async () => {
    await using r = await start();
    const results = await r.intake.restore([linked("svi_deleted"), linked(r.integrationId, { itemId: "" })]);
    expect(results).toMatchObject([
      { outcome: "refused", error: { code: "not_found" } },
      { outcome: "refused", error: { code: "invalid_request" } },
    ]);
    expect(await r.ids()).toEqual([]);
  });

  test("a restored stale notice causes a check, unless its JWT was accepted or nothing can be checked", async () => {
    await using r = await start();
    const known = r.arrived();
    await r.intake.accept(known);
    const notice = (token: StaleNotice["token"], integrationId = r.integrationId): StaleNotice => ({
      arrival: "stale_notice",
      integrationId,
      token,
      subject: { kind: "item", id: "item-1" },
      webhookType: null,
      webhookCode: null,
    });
    const given = [notice(known.proof ?? proof()), notice(proof()), { ...notice(proof()), subject: null }];
    expect(await r.intake.restore([...given, notice(proof(), "svi_deleted")])).toMatchObject([
      passedOver(known.id),
      stored(null),
      stored(null),
      { outcome: "refused" },
    ]);
    const { rows } = await r.world.database.query<{ n: number }>(
      "select coalesce(sum(jsonb_array_length(notices)), 0)::int as n from events.sync_outbox",
    );
    expect(rows[0]?.n).toBe(1);
  });
});
