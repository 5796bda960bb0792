import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { startTartan, type TartanProcess } from "../support/process.ts";
import { tcpProxy } from "../support/proxy.ts";
import type { Receiver } from "../support/receiver.ts";
import { until } from "../support/stage.ts";
import { ORIGINAL, openScene, type Scene } from "../relay/scene.ts";

/**
 * Processes that live while their connections to Postgres are cut, or that are frozen: what arrives is counted at the
 * receivers, by `webhook-id`.
 */

const relayOf = (scene: Scene, url: string, env: Record<string, string> = {}): Promise<TartanProcess> =>
  startTartan(
    {
      TARTAN_DATABASE_URL: url,
      TARTAN_MASTER_KEY: scene.masterKey,
      TARTAN_RELAY_ALLOWED_ADDRESSES: "127.0.0.1",
      TARTAN_RELAY_ALLOW_HTTP: "true",
      TARTAN_RELAY_POLL_MS: "50",
      ...env,
    },
    ["up", "--only", "relay"],
  );

const items = (count: number): string[] => Array.from({ length: count }, (_, n) => `item-${n % 7}`);

/** Every connection of the relays to Postgres ends, those that say that they live too. */
const cutAll = (scene: Scene) =>
  scene.database.query(
    `select pg_terminate_backend(pid) from pg_stat_activity
     where datname = current_database() and application_name like 'tartan%' and application_name <> 'tartan test'`,
  );

/** ids that arrived more than once */
function repeated({ received }: Receiver): string[] {
  const seen = new Set<string>();
  return received.flatMap(({ id }) => (seen.has(id) ? [id] : (seen.add(id), [])));
}

/** The most that came within any window of `windowMs`. */
const most = ({ received }: Receiver, windowMs: number): number =>
  Math.max(...received.map(({ at }) => received.filter((each) => each.at >= at && each.at < at + windowMs).length));

function expectOrder({ received }: Receiver): void {
  for (const item of new Set(items(7))) {
    const own = received.filter(({ body }) => body.includes(`"${item}"`));
    const order = own.map(({ body }) => (JSON.parse(body.toString()) as { n: number }).n);
    expect(order).toEqual(order.toSorted((a, b) => a - b));
  }
}

/** Three destinations: one in order, one with a rate limit, one as fast as it goes. */
async function threeDestinations(scene: Scene) {
  const [ordered, paced, fast] = [await scene.receiver(), await scene.receiver(), await scene.receiver()];
  await scene.destination(ordered, { ordering: "per_item", concurrency: 4 }, ORIGINAL);
  await scene.destination(paced, { rate_limit: 20, rate_window_ms: 1000, concurrency: 16 }, ORIGINAL);
  await scene.destination(fast, { concurrency: 8 }, ORIGINAL);
  const all = [ordered, paced, fast];
  for (const receiver of all) receiver.answer = () => ({ delayMs: Math.random() * 150 });
  return { ordered, paced, fast, all };
}

describe("relays that keep running", { timeout: 180_000 }, () => {
  it("relays that keep running send nothing twice while their connections to Postgres are cut again and again", async () => {
    await using scene = await openScene();
    const { ordered, paced, all } = await threeDestinations(scene);
    await using first = await relayOf(scene, scene.databaseUrl);
    await using second = await relayOf(scene, scene.databaseUrl);
    for (let round = 0; round < 6; round += 1) {
      await scene.webhooks(...items(50));
      await delay(700 + Math.random() * 800);
      await cutAll(scene);
    }
    await until("all arrived", async () => (await scene.statuses())["delivered"] === 900, 120);
    expect(all.map(repeated)).toEqual([[], [], []]);
    expect(all.map(({ received }) => received.length)).toEqual([300, 300, 300]);
    expect(most(paced, 1000)).toBeLessThanOrEqual(20);
    expectOrder(ordered);
    void [first, second];
  });

  it("relays that keep running send nothing twice when one of them is cut off from Postgres for longer than the others wait", async () => {
    await using scene = await openScene();
    await using proxy = await tcpProxy(scene.databaseUrl);
    const { ordered, paced, all } = await threeDestinations(scene);
    await using first = await relayOf(scene, proxy.through(scene.databaseUrl));
    await using second = await relayOf(scene, scene.databaseUrl);
    for (let round = 0; round < 2; round += 1) {
      await scene.webhooks(...items(50));
      await delay(1000);
      proxy.refuse();
      proxy.cut();
      await scene.webhooks(...items(50));
      // The other one takes what is idle after three seconds.
      await delay(8000);
      proxy.thaw();
    }
    await until("all arrived", async () => (await scene.statuses())["delivered"] === 600, 120);
    expect(all.map(repeated)).toEqual([[], [], []]);
    expect(most(paced, 1000)).toBeLessThanOrEqual(20);
    expectOrder(ordered);
    void [first, second];
  });
});

describe("a relay that is frozen", { timeout: 180_000 }, () => {
  it("a frozen relay sends nothing after another relay leased its destinations, and every attempt is in the ledger", async () => {
    await using scene = await openScene();
    const { all } = await threeDestinations(scene);
    await scene.database.query("update relay.destinations set timeout_ms = 1000");
    await using first = await relayOf(scene, scene.databaseUrl, { TARTAN_RELAY_LEASE_S: "5" });
    await scene.webhooks(...items(300));
    await until("it works", async () => all.every(({ received }) => received.length > 20));
    first.child.kill("SIGSTOP");
    await using second = await relayOf(scene, scene.databaseUrl, { TARTAN_RELAY_LEASE_S: "5" });
    const taken = async () => {
      const { rows } = await scene.database.query<{ workers: number; epochs: number }>(
        "select count(distinct worker)::int as workers, min(epoch)::int as epochs from relay.health",
      );
      return rows[0]?.workers === 1 && rows[0].epochs === 2;
    };
    await until("the second has taken all", taken);
    first.child.kill("SIGCONT");
    await until("all arrived", async () => (await scene.statuses())["delivered"] === 900, 120);
    // What was under way when it was frozen was sent again, as the ledger says: its answer was not read in time.
    const { rows } = await scene.database.query<{ id: string; attempts: number; log: number }>(
      `select 'evt_' || replace(d.event_id::text, '-', '') as id, d.destination_id, d.attempts,
         (select count(*)::int from relay.attempts a where a.delivery_id = d.id) as log
       from relay.deliveries d where d.attempts > 1`,
    );
    expect(rows.every(({ attempts, log }) => attempts === log)).toBe(true);
    const again = new Set(rows.map(({ id }) => id));
    for (const receiver of all) for (const id of repeated(receiver)) expect(again).toContain(id);
    expect(rows.length).toBeLessThanOrEqual(4 + 16 + 8);
    void second;
  });
});
