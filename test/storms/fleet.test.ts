/**
 * A fleet of items with different webhook URLs is moved to Tartan's intake, rolled back, and moved again, while the processes that do it
 * are killed at random. At the end of each job the oracle: Plaid has the URL of each item that the job promises, each item is verified,
 * and the former URLs are those that the items had. `FLEET_ITEMS=10000 npx vitest run test/storms/fleet.test.ts` plays a large one.
 */
import { setTimeout as delay } from "node:timers/promises";
import { expect, it } from "vitest";
import {
  endLeases,
  ended,
  fleetProcess,
  fleetWorld,
  linkedItems,
  move,
  urlOf,
  type FleetWorld,
} from "../fleet/support.ts";
import type { Item, Json } from "../support/world/index.ts";

const ITEMS = Number(process.env["FLEET_ITEMS"] ?? 60);
const KILLS = Number(process.env["FLEET_KILLS"] ?? 1);
/** So fast that a job of few items still lasts long enough to be killed. */
const PER_MINUTE = Math.min(60_000, ITEMS * 50);
const FORMER_URLS = ["http://127.0.0.1:9/one", "http://127.0.0.1:9/two", null];

const job = async (world: FleetWorld, id: string): Promise<Json> => (await world.api.call(`GET /v1/jobs/${id}`)).body;

/** Runs a job to its end; its process is killed when random shares of the items are done, and another goes on. */
async function throughKills(world: FleetWorld, id: string, kills: number): Promise<Json> {
  const shares = Array.from({ length: kills }, () => Math.random() * 0.9).toSorted((a, b) => a - b);
  for (const share of shares) {
    await using running = await fleetProcess(world);
    while ((await job(world, id)).done < share * ITEMS) await delay(20);
    await running.kill9();
    await endLeases(world);
  }
  await using _last = await fleetProcess(world);
  return await ended(world, id, 60 + ITEMS / 5);
}

async function formerUrls(world: FleetWorld, id: string): Promise<Map<string, unknown>> {
  const { rows } = await world.database.query<{ item_id: string; former_url: unknown }>(
    "select item_id, details -> 'former_url' as former_url from fleet.members where job_id = $1",
    [id],
  );
  return new Map(rows.map(({ item_id, former_url }) => [item_id, former_url]));
}

it(
  "a fleet that is moved, rolled back and moved again while its processes are killed has the promised URLs each time",
  { timeout: 120_000 + ITEMS * 300 },
  async () => {
    await using world = await fleetWorld();
    const former = new Map<Item, string | null>();
    for (const [n, url] of FORMER_URLS.entries()) {
      const count = Math.floor(ITEMS / 3) + (n === 0 ? ITEMS % 3 : 0);
      for (const item of await linkedItems(world, count, url)) former.set(item, url);
    }
    const original = new Map([...former].map(([{ item_id }, url]) => [item_id, url]));
    const moved = { status: "done", total: ITEMS, failed: 0, states: { verified: ITEMS } };

    const first = await move(world, { to_intake: true, per_minute: PER_MINUTE });
    expect(await throughKills(world, first.id, KILLS)).toMatchObject(moved);
    for (const item of former.keys()) expect(urlOf(world, item)).toBe(world.integration.intake);
    expect(await formerUrls(world, first.id)).toEqual(original);

    const back = await move(world, { roll_back: first.id, per_minute: PER_MINUTE });
    expect(await throughKills(world, back.id, KILLS)).toMatchObject(moved);
    for (const [item, url] of former) expect(urlOf(world, item)).toBe(url);

    const again = await move(world, { to_intake: true, per_minute: PER_MINUTE });
    expect(await throughKills(world, again.id, 0)).toMatchObject(moved);
    for (const item of former.keys()) expect(urlOf(world, item)).toBe(world.integration.intake);
    expect(await formerUrls(world, again.id)).toEqual(original);
  },
);
