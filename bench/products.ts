/**
 * products: backfills of many items, and what a look at an item costs that has nothing new. The limit is a bare client, which asks the
 * simulator for the same answers on as many connections as Tartan's worker and does nothing with them: no rate limits, no order
 * between requests, no database.
 */
import { setTimeout as delay } from "node:timers/promises";
import { Pool } from "undici";
import { resourcesOf } from "../src/resources/index.ts";
import type { Resource } from "../src/resources/types.ts";
import { requestSync } from "../src/sync/queries.ts";
import { introduceItem } from "../test/support/link.ts";
import { ALL_PRODUCTS } from "../test/support/world/simulator.ts";
import { mib, ms, rate, tell, type Row } from "./report.ts";
import { startSimulatorProcess, type SimulatorProcess } from "./simulator.ts";
import { openWorld, residentBytes, type World } from "./world.ts";

const ITEMS = Number(process.env["PRODUCTS_ITEMS"] ?? 1000);
const TRANSACTIONS = 1000;
/** Each product brings rows of its own besides. */
const FEW_TRANSACTIONS = 20;
const QUIET = Number(process.env["PRODUCTS_QUIET"] ?? 200);
const CONCURRENCY = 8;

interface Item {
  item_id: string;
  access_token: string;
}

export async function benchProducts(): Promise<Row[]> {
  return [
    ...(await backfill(`${ITEMS} items × ${TRANSACTIONS} transactions`, ["transactions"], TRANSACTIONS)),
    ...(await backfill(`${ITEMS} items with all products`, ALL_PRODUCTS, FEW_TRANSACTIONS)),
    ...(await quietLooks()),
  ];
}

/** The resources of items that a sync reads by itself. */
const readOf = (products: readonly string[]): Resource[] =>
  resourcesOf("item").filter(
    (resource) => !resource.billed && (resource.products?.some((product) => products.includes(product)) ?? true),
  );

async function backfill(what: string, products: readonly string[], transactions: number): Promise<Row[]> {
  await using world = await openWorld();
  await using simulator = await startSimulatorProcess();
  const { items, integrationId } = await makeItems(world, simulator, ITEMS, products, transactions);
  // The simulator makes an item's data when it is first read, which is not measured.
  await bareRate(simulator, items, readOf(products));
  const bare = await bareRate(simulator, items, readOf(products));
  for (const item of items) await introduceItem(world, { integration_id: integrationId, ...item });
  const worker = await startWorker(world);
  const { perSecond, resident } = await syncedPerSecond(world, items.length, worker.pid);
  await worker.stop();
  tell(`${what}: ${perSecond.toFixed(1)} items a second; a bare client reads ${bare.toFixed(1)}`);
  const rows = await countRows(world);
  const against = `${bare.toFixed(1)} items/s read by a bare client`;
  return [
    {
      bench: "products",
      what: `backfill of ${what}`,
      figure: `${perSecond.toFixed(1)} items/s, ${rate((rows * perSecond) / items.length)} rows`,
      against,
      ratio: perSecond / bare,
    },
    { bench: "products", what: "memory of the worker at most", figure: mib(resident) },
  ];
}

/** What a look at an item costs where nothing has changed: by resource, and all of them together as a check reads them. */
async function quietLooks(): Promise<Row[]> {
  await using world = await openWorld();
  await using simulator = await startSimulatorProcess();
  const made = await makeItems(world, simulator, QUIET, ALL_PRODUCTS, FEW_TRANSACTIONS);
  for (const item of made.items) await introduceItem(world, { integration_id: made.integrationId, ...item });
  const worker = await startWorker(world);
  await syncedPerSecond(world, QUIET, worker.pid);
  const rows: Row[] = [];
  for (const resource of [null, ...readOf(ALL_PRODUCTS)]) {
    const bare = 1000 / (await bareRate(simulator, made.items, resource ? [resource] : readOf(ALL_PRODUCTS)));
    const names = resource ? { resources: [resource.name] } : {};
    await world.database.query("truncate sync.runs");
    for (const { item_id } of made.items) await requestSync(world.database, item_id, names);
    const look = 1000 / (await syncedPerSecond(world, QUIET, worker.pid)).perSecond;
    rows.push({
      bench: "products",
      what: resource ? `a look at the ${resource.name} of a quiet item` : "a look at all of a quiet item",
      figure: ms(look),
      against: `${ms(bare)} for a bare client`,
      ratio: look / bare,
    });
  }
  await worker.stop();
  return rows;
}

async function makeItems(
  world: World,
  simulator: SimulatorProcess,
  count: number,
  products: readonly string[],
  transactions: number,
): Promise<{ items: Item[]; integrationId: string }> {
  const { id } = await world.integrate(simulator.url, simulator.clientId, simulator.secret);
  const { items } = await simulator.post<{ items: Item[] }>("/_simulator/items", { count, products, transactions });
  return { items, integrationId: id };
}

/** Plaid's limits would cap the rate below what is measured here, so they are lifted. */
const startWorker = (world: World) =>
  world.tartan(["up", "--only", "sync"], {
    TARTAN_PLAID_LIMIT_FACTOR: "10000",
    TARTAN_SYNC_CONCURRENCY: String(CONCURRENCY),
  });

const RUNS = `
  select count(distinct subject_id)::int as items, extract(epoch from max(finished_at) - min(started_at))::float8 as seconds
  from sync.runs where kind = 'item' and outcome = 'synced'`;

/** Waits until so many items have a run that succeeded; from the first one's start to the last one's end. */
async function syncedPerSecond(
  { database }: World,
  items: number,
  pid: number,
): Promise<{ perSecond: number; resident: number }> {
  let resident = 0;
  for (const end = Date.now() + 900_000; ;) {
    resident = Math.max(resident, residentBytes(pid));
    const { rows } = await database.query<{ items: number; seconds: number }>(RUNS);
    const [{ items: done, seconds } = { items: 0, seconds: 0 }] = rows;
    if (done === items) return { perSecond: items / seconds, resident };
    if (Date.now() > end) throw new Error(`${done} of ${items} items were synced within fifteen minutes`);
    await delay(100);
  }
}

async function countRows({ database }: World): Promise<number> {
  const { rows } = await database.query<{ rows: number }>("select sum(rows)::int as rows from plaid.freshness");
  return rows[0]?.rows ?? 0;
}

/** Items a second whose answers a client receives that only follows their pages. */
async function bareRate(
  { url, clientId, secret }: SimulatorProcess,
  items: readonly Item[],
  resources: readonly Resource[],
): Promise<number> {
  const pool = new Pool(url, { connections: CONCURRENCY });
  const post = async (path: string, body: object): Promise<Record<string, unknown>> => {
    const answer = await pool.request({
      path,
      method: "POST",
      headers: { "content-type": "application/json", "plaid-client-id": clientId, "plaid-secret": secret },
      body: JSON.stringify(body),
    });
    return (await answer.body.json()) as Record<string, unknown>;
  };
  let next = 0;
  const work = async (): Promise<void> => {
    for (let item = items[next++]; item; item = items[next++])
      for (const resource of resources) await readBare(post, resource, item);
  };
  const began = performance.now();
  await Promise.all(Array.from({ length: CONCURRENCY }, work));
  const seconds = (performance.now() - began) / 1000;
  await pool.close();
  return items.length / seconds;
}

type Post = (path: string, body: object) => Promise<Record<string, unknown>>;

async function readBare(post: Post, { fetch }: Resource, { item_id, access_token }: Item): Promise<void> {
  const asker = {
    subjectId: item_id,
    countryCodes: ["US"],
    daysRequested: null,
    includeOriginalDescription: false,
    permissiblePurpose: null,
  };
  const body = { ...fetch.body?.(asker), access_token };
  if (fetch.kind === "window") {
    const { fromAs, toAs, days } = fetch.window;
    const day = (ago: number): string => new Date(Date.now() - ago * 86_400_000).toISOString().slice(0, 10);
    await post(fetch.endpoint, { ...body, [fromAs]: day(days), [toAs]: day(0) });
  } else if (fetch.kind === "cursor") {
    for (let cursor = ""; ;) {
      const answer = await post(fetch.endpoint, { ...body, [fetch.cursor.sentAs]: cursor });
      if (answer[fetch.cursor.moreAt] !== true) return;
      cursor = String(answer[fetch.cursor.nextAt]);
    }
  } else {
    await post(fetch.endpoint, body);
    for (const { endpoint, body: own } of Object.values(fetch.kind === "snapshot" ? (fetch.and ?? {}) : {}))
      await post(endpoint, { ...own?.(asker), access_token });
  }
}
