/**
 * move: the webhook URLs of 10,000 items moved to Tartan's intake, from the start of the job until each is verified, so with 10,000
 * acknowledgements journaled and as many sync runs beside it. Against the same three requests for each item made without Tartan, as
 * many at once, which store nothing and wait for no webhook; and against the rate that Plaid's own limit admits. And a move of 1,000
 * items against its pace.
 */
import { setTimeout as delay } from "node:timers/promises";
import { createWebhookMove } from "../src/fleet/webhook-moves.ts";
import { getFleetJob } from "../src/fleet/jobs.ts";
import { linkItem } from "../src/journal/link.ts";
import { limitOf } from "../src/plaid/limits.ts";
import { queueDepth } from "../src/sync/depth.ts";
import { rate, tell, type Row } from "./report.ts";
import { startSimulatorProcess, type SimulatorProcess } from "./simulator.ts";
import { openWorld, type World } from "./world.ts";

const ITEMS = Number(process.env["MOVE_ITEMS"] ?? 10_000);
const PACED_ITEMS = ITEMS / 10;
const PER_MINUTE = 3000;
const FASTEST = 60_000;
const AT_ONCE = 16;
/** Items a second: each costs two requests of /item/get, of whose limit jobs use half. */
const ADMITTED = (limitOf("/item/get", "production").perClient ?? Number.NaN) / 60 / 2 / 2;

interface Item {
  item_id: string;
  access_token: string;
}

export async function benchMove(): Promise<Row[]> {
  await using world = await openWorld();
  await using simulator = await startSimulatorProcess();
  const tartan = await world.tartan(["up"], { TARTAN_PLAID_LIMIT_FACTOR: "10000" });
  const { id } = await world.integrate(simulator.url, simulator.clientId, simulator.secret);
  const made = { count: ITEMS, transactions: 0 };
  const { items } = await simulator.post<{ items: Item[] }>("/_simulator/items", made);
  await eachOf(items, 8, (item) => linked(world, id, item));
  await untilIdle(world);
  tell(`${ITEMS} items are linked and synced`);

  const bare = await barePerSecond(simulator, items);
  tell(`without Tartan the simulator answers the requests of ${rate(bare)} items`);
  const moved = await movedPerSecond(world, tartan.url, { to_intake: true, per_minute: FASTEST }, ITEMS);
  tell(`Tartan moves ${rate(moved)} items`);
  await untilIdle(world);
  const paced = { remove: true as const, item_ids: ids(items.slice(0, PACED_ITEMS)), per_minute: PER_MINUTE };
  const kept = await movedPerSecond(world, tartan.url, paced, PACED_ITEMS);
  const pace = PER_MINUTE / 60;
  return [
    {
      bench: "move",
      what: `${ITEMS} webhook URLs moved and verified`,
      figure: rate(moved),
      against: `${rate(ADMITTED)} that Plaid's limit admits`,
      ratio: moved / ADMITTED,
      aim: { ratio: 1, better: "more" },
    },
    {
      bench: "move",
      what: "the same",
      figure: rate(moved),
      against: `${rate(bare)} by bare requests, ${AT_ONCE} at once`,
      ratio: moved / bare,
    },
    {
      bench: "move",
      what: `${PACED_ITEMS} at a pace of ${PER_MINUTE} a minute`,
      figure: rate(kept),
      against: `${rate(pace)} asked for`,
      ratio: kept / pace,
      aim: { ratio: 0.9, better: "more" },
    },
  ];
}

const ids = (items: readonly Item[]): string[] => items.map(({ item_id }) => item_id);

async function linked(world: World, integrationId: string, { item_id, access_token }: Item): Promise<void> {
  await linkItem(world, { integrationId, itemId: item_id, accessToken: access_token });
}

async function eachOf<T>(each: readonly T[], atOnce: number, work: (one: T) => Promise<unknown>): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let one = each[next++]; one !== undefined; one = each[next++]) await work(one);
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
}

/** Items for which the simulator answers what a move asks of it; the URL is removed, so no webhook is sent. */
async function barePerSecond(simulator: SimulatorProcess, items: readonly Item[]): Promise<number> {
  const { clientId: client_id, secret } = simulator;
  const began = performance.now();
  await eachOf(items, AT_ONCE, async ({ access_token }) => {
    const credentials = { client_id, secret, access_token };
    await simulator.post("/item/get", credentials);
    await simulator.post("/item/webhook/update", { ...credentials, webhook: null });
    await simulator.post("/item/get", credentials);
  });
  return items.length / ((performance.now() - began) / 1000);
}

type Asked = Parameters<typeof createWebhookMove>[1];

async function movedPerSecond({ database }: World, publicUrl: string, asked: Asked, count: number): Promise<number> {
  const job = await createWebhookMove(database, asked, { publicUrl, by: { actor: "bench" } });
  if (!("id" in job)) throw new Error("the move was only planned");
  for (const end = Date.now() + 1_200_000; Date.now() < end; await delay(200)) {
    const found = await getFleetJob(database, job.id);
    if (found?.status !== "done") continue;
    if (found.changed !== count)
      throw new Error(`${found.changed} of ${count} items were moved: ${JSON.stringify(found)}`);
    return count / ((Date.parse(found.finished_at ?? "") - Date.parse(found.created_at)) / 1000);
  }
  throw new Error("the move was not done within twenty minutes");
}

async function untilIdle({ database }: World): Promise<void> {
  for (let turn = 0; turn < 6000; turn++) {
    const { due, running } = await queueDepth(database);
    if (due + running === 0) return;
    await delay(100);
  }
  throw new Error("the queue did not run empty within ten minutes");
}
