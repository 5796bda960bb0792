import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { tcpProxy } from "../support/proxy.ts";
import type { Receiver } from "../support/receiver.ts";
import { until } from "../support/until.ts";
import { ORIGINAL } from "../relay/support.ts";
import { startWorld, type World } from "../support/world/index.ts";
import { startRelayProcess } from "./support.ts";

/**
 * Processes that live while their connections to Postgres are cut, or that are frozen: what arrives is counted at the
 * receivers, by `webhook-id`.
 */

const items = (count: number): string[] => Array.from({ length: count }, (_, n) => `item-${n % 7}`);

/** Every connection of the relays to Postgres ends, those that say that they live too. */
const cutAll = (world: World) =>
  world.database.query(
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
async function threeDestinations(world: World<"relay">) {
  const [ordered, paced, fast] = [
    await world.relay.receiver(),
    await world.relay.receiver(),
    await world.relay.receiver(),
  ];
  await world.relay.destination(ordered, { ordering: "per_item", concurrency: 4 }, ORIGINAL);
  await world.relay.destination(paced, { rate_limit: 20, rate_window_ms: 1000, concurrency: 16 }, ORIGINAL);
  await world.relay.destination(fast, { concurrency: 8 }, ORIGINAL);
  const all = [ordered, paced, fast];
  for (const receiver of all) receiver.answer = () => ({ delayMs: Math.random() * 150 });
  return { ordered, paced, fast, all };
}

describe("relays that keep running", { timeout: 180_000 }, () => {
  it("relays that keep running send nothing twice while their connections to Postgres are cut again and again", async () => {
    await using world = await startWorld({ relay: {}, processes: {} });
    const { ordered, paced, all } = await threeDestinations(world);
    await startRelayProcess(world);
    await startRelayProcess(world);
    for (let round = 0; round < 6; round += 1) {
      await world.relay.webhooks(...items(50));
      await delay(700 + Math.random() * 800);
      await cutAll(world);
    }
    await until("all arrived", async () => (await world.relay.statuses())["delivered"] === 900, 120);
    expect(all.map(repeated)).toEqual([[], [], []]);
    expect(all.map(({ received }) => received.length)).toEqual([300, 300, 300]);
    expect(most(paced, 1000)).toBeLessThanOrEqual(20);
    expectOrder(ordered);
  });

  it("relays that keep running send nothing twice when one of them is cut off from Postgres for longer than the others wait", async () => {
    await using world = await startWorld({ relay: {}, processes: {} });
    await using proxy = await tcpProxy(world.databaseUrl);
    const { ordered, paced, all } = await threeDestinations(world);
    await startRelayProcess(world, { TARTAN_DATABASE_URL: proxy.through(world.databaseUrl) });
    await startRelayProcess(world);
    for (let round = 0; round < 2; round += 1) {
      await world.relay.webhooks(...items(50));
      await delay(1000);
      proxy.refuse();
      proxy.cut();
      await world.relay.webhooks(...items(50));
      // The other one takes what is idle after three seconds.
      await delay(8000);
      proxy.thaw();
    }
    await until("all arrived", async () => (await world.relay.statuses())["delivered"] === 600, 120);
    expect(all.map(repeated)).toEqual([[], [], []]);
    expect(most(paced, 1000)).toBeLessThanOrEqual(20);
    expectOrder(ordered);
  });
});

describe("a relay that is frozen", { timeout: 180_000 }, () => {
  it("a frozen relay sends nothing after another relay leased its destinations, and every attempt is in the ledger", async () => {
    await using world = await startWorld({ relay: {}, processes: {} });
    const { all } = await threeDestinations(world);
    await world.database.query("update relay.destinations set timeout_ms = 1000");
    await using first = await startRelayProcess(world, { TARTAN_RELAY_LEASE_S: "5" });
    await world.relay.webhooks(...items(300));
    await until("it works", async () => all.every(({ received }) => received.length > 20));
    first.child.kill("SIGSTOP");
    await startRelayProcess(world, { TARTAN_RELAY_LEASE_S: "5" });
    const taken = async () => {
      const { rows } = await world.database.query<{ workers: number; epochs: number }>(
        "select count(distinct worker)::int as workers, min(epoch)::int as epochs from relay.health",
      );
      return rows[0]?.workers === 1 && rows[0].epochs === 2;
    };
    await until("the second has taken all", taken);
    first.child.kill("SIGCONT");
    await until("all arrived", async () => (await world.relay.statuses())["delivered"] === 900, 120);
    // What was under way when it was frozen was sent again, as the ledger says: its answer was not read in time.
    const { rows } = await world.database.query<{ id: string; attempts: number; log: number }>(
      `select 'evt_' || replace(d.event_id::text, '-', '') as id, d.destination_id, d.attempts,
         (select count(*)::int from relay.attempts a where a.delivery_id = d.id) as log
       from relay.deliveries d where d.attempts > 1`,
    );
    expect(rows.every(({ attempts, log }) => attempts === log)).toBe(true);
    const again = new Set(rows.map(({ id }) => id));
    for (const receiver of all) for (const id of repeated(receiver)) expect(again).toContain(id);
    expect(rows.length).toBeLessThanOrEqual(4 + 16 + 8);
  });
});
