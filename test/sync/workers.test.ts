/** Several workers, many webhooks: nothing is lost and nothing overlaps. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { systemClock } from "../../src/clock.ts";
import { append } from "../../src/journal/append.ts";
import { expectMirrorEqualsTruth } from "../support/oracle.ts";
import { startWorld, type Item, type World } from "../support/world/index.ts";
import { webhook } from "../support/webhook.ts";
import { gated } from "./support.ts";

let world: World<"sync">;
beforeAll(async () => {
  world = await startWorld({ sync: {} });
});
afterAll(() => world[Symbol.asyncDispose]());

const runsOf = async ({ item_id }: Item): Promise<number> =>
  (await world.database.query("select from sync.runs where subject_id = $1", [item_id])).rowCount;
const unprocessed = async (): Promise<number> =>
  (await world.database.query("select from journal.webhooks where processed_at is null")).rowCount;

describe("webhooks", () => {
  it("a hundred webhooks for one item are served by one or two runs", async () => {
    const item = await world.sync.synced(5);
    const before = await runsOf(item);
    for (let n = 0; n < 50; n += 1) await world.sync.notify(item.item_id);
    let go: () => void = () => undefined;
    const all = new Promise<void>((resolve) => (go = resolve));
    const worker = await world.sync.start({ clientFor: gated((_path, _body, pass) => all.then(pass)) });
    for (let n = 0; n < 50; n += 1) await world.sync.notify(item.item_id, "DEFAULT_UPDATE");
    go();
    await worker.idle();
    await worker[Symbol.asyncDispose]();
    expect((await runsOf(item)) - before).toBeLessThanOrEqual(2);
    expect(await unprocessed()).toBe(0);
    const many = await world.sync.synced(5);
    const runs = await runsOf(many);
    await append(
      world.database,
      Array.from({ length: 100 }, () =>
        webhook({ integrationId: world.integration.id, itemId: many.item_id, webhookCode: "DEFAULT_UPDATE" }),
      ),
    );
    const next = await world.sync.start();
    await next.idle();
    await next[Symbol.asyncDispose]();
    expect((await runsOf(many)) - runs).toBe(1);
    expect(await unprocessed()).toBe(0);
  });

  it("more webhooks than one run serves are served by several", async () => {
    const item = await world.sync.synced(1);
    const before = await runsOf(item);
    const batch = Array.from({ length: 2300 }, () =>
      webhook({ integrationId: world.integration.id, itemId: item.item_id, webhookCode: "DEFAULT_UPDATE" }),
    );
    await append(world.database, batch);
    const worker = await world.sync.start();
    await worker.idle();
    await worker[Symbol.asyncDispose]();
    expect((await runsOf(item)) - before).toBe(3);
    expect(await unprocessed()).toBe(0);
  });

  it("webhooks that come during a run are never lost, at any moment", async () => {
    const items = await Promise.all([1, 2, 3, 4].map(() => world.sync.synced(3)));
    const workers = [await world.sync.start({ concurrency: 3 }), await world.sync.start({ concurrency: 3 })];
    const hearing = items.flatMap((item) =>
      [1, 2, 3].map(async () => {
        for (let n = 0; n < 25; n += 1) {
          world.simulator.control.changeTransactions(item.item_id, { add: 1, modify: 1, webhooks: false });
          await world.sync.notify(item.item_id);
          if (n % 5 === 0) await world.sync.notify(item.item_id, "PENDING_DISCONNECT", "ITEM");
        }
      }),
    );
    await Promise.all(hearing);
    await workers[0]?.idle();
    for (const worker of workers) await worker[Symbol.asyncDispose]();
    expect(await unprocessed()).toBe(0);
    for (const item of items) {
      expect(await world.sync.subject(item.item_id)).toMatchObject({
        due_at: null,
        oldest_unserved: null,
        requested: [],
        claimed: [],
        status: "ok",
      });
      await expectMirrorEqualsTruth(world.database, world.simulator, item.item_id);
    }
  });

  it("a webhook that is older than a served one is served too", async () => {
    const item = await world.sync.synced(1);
    const worker = await world.sync.start();
    await world.sync.notify(item.item_id);
    await worker.idle();
    const late = webhook({
      integrationId: world.integration.id,
      itemId: item.item_id,
      receivedAt: new Date(Date.now() - 3_600_000),
    });
    await append(world.database, [late]);
    await worker.idle();
    await worker[Symbol.asyncDispose]();
    expect(await world.sync.info(late.id)).toMatchObject({ outcome: "synced" });
  });

  it("about an institution are served by reading the institution again", async () => {
    await world.sync.synced(1);
    const { rows } = await world.database.query<{ institution_id: string }>(
      "select institution_id from plaid.institutions limit 1",
    );
    const id = rows[0]?.institution_id ?? "";
    const about = webhook({
      integrationId: world.integration.id,
      itemId: null,
      subject: { kind: "institution", id },
      webhookType: "DASHBOARD_CONFIGURED_ALERT",
      webhookCode: "INSTITUTION_STATUS_ALERT_TRIGGERED",
    });
    const asked = world.simulator.asked("/institutions/get_by_id");
    await append(world.database, [about]);
    const worker = await world.sync.start();
    await worker.idle();
    await worker[Symbol.asyncDispose]();
    expect(await world.sync.info(about.id)).toMatchObject({ outcome: "synced" });
    expect(world.simulator.asked("/institutions/get_by_id") - asked).toBe(1);
  });
});

describe("an institution", () => {
  it("an institution is fetched once for all of its items, and again when the copy is older than a day", async () => {
    const item = await world.sync.synced(1);
    const { rows } = await world.database.query<{ id: string }>(
      "select institution_id as id from plaid.items where item_id = $1",
      [item.item_id],
    );
    const id = rows[0]?.id ?? "";
    const again = async () => {
      const asked = world.simulator.asked("/institutions/get_by_id");
      await world.sync.notify(item.item_id, "PENDING_EXPIRATION", "ITEM");
      const worker = await world.sync.start();
      await worker.idle();
      await worker[Symbol.asyncDispose]();
      return world.simulator.asked("/institutions/get_by_id") - asked;
    };
    expect(await again()).toBe(0);
    await world.database.query(
      "update sync.subjects set verified_at = now() - interval '25 hours' where kind = 'institution' and id = $1",
      [id],
    );
    expect(await again()).toBe(1);
  });
});

describe("two workers", () => {
  it("two workers never sync one item at the same time", async () => {
    const item = await world.sync.synced(2);
    const running = new Map<string, number>();
    let most = 0;
    const clientFor = gated(async (path, _body, pass) => {
      running.set(path, (running.get(path) ?? 0) + 1);
      most = Math.max(most, running.get(path) ?? 0);
      await pass();
      running.set(path, (running.get(path) ?? 0) - 1);
    });
    const workers = [await world.sync.start({ clientFor }), await world.sync.start({ clientFor })];
    for (let n = 0; n < 60; n += 1) await world.sync.notify(item.item_id);
    await workers[0]?.idle();
    for (const worker of workers) await worker[Symbol.asyncDispose]();
    expect(most).toBe(1);
    expect(await unprocessed()).toBe(0);
  });

  it("two workers share the due subjects", async () => {
    const items = await Promise.all(Array.from({ length: 8 }, () => world.sync.synced(1)));
    let [here, there] = [0, 0];
    const slow = (count: () => void) =>
      gated(async (_path, _body, pass) => {
        count();
        await systemClock.sleep(20);
        await pass();
      });
    const workers = [
      await world.sync.start({ concurrency: 1, clientFor: slow(() => (here += 1)) }),
      await world.sync.start({ concurrency: 1, clientFor: slow(() => (there += 1)) }),
    ];
    await append(
      world.database,
      items.map(({ item_id }) =>
        webhook({ integrationId: world.integration.id, itemId: item_id, webhookCode: "DEFAULT_UPDATE" }),
      ),
    );
    await workers[0]?.idle();
    for (const worker of workers) await worker[Symbol.asyncDispose]();
    expect(here).toBeGreaterThan(0);
    expect(there).toBeGreaterThan(0);
  });
});
