/**
 * reconcile: what checks cost while nothing happens, for 100,000 quiet items, beside a bare client that only sends the same requests.
 * converge: how long the mirror takes to be right when every webhook is lost, against the window of reconciliation.
 */
import { readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { Pool } from "undici";
import { introduceItem } from "../test/support/link.ts";
import type { TartanProcess } from "../test/support/process.ts";
import { tell, type Row } from "./report.ts";
import { startSimulatorProcess, type SimulatorProcess } from "./simulator.ts";
import { openWorld, type World } from "./world.ts";

/** `RECONCILE_ITEMS=500` gives a first idea. */
const QUIET = Number(process.env["RECONCILE_ITEMS"] ?? 3000);
const CONVERGING = Number(process.env["CONVERGE_ITEMS"] ?? 500);
const CONVERGE_WINDOW_S = 60;
const MEASURED_S = 20;
const PER = 100_000;
const TRANSACTIONS = 5;
const ADDED = 3;

interface Item {
  item_id: string;
  access_token: string;
}

const seconds = (value: number): string => `${value < 10 ? value.toFixed(1) : Math.round(value)} s`;

export async function benchReconcile(): Promise<Row[]> {
  await using world = await openWorld();
  await using simulator = await startSimulatorProcess();
  const items = await linkItems(world, simulator, QUIET);
  // So short that each item is checked several times while it is measured.
  const worker = await startWorker(world, QUIET / 100);
  await until("a first check of each item", async () => (await unchecked(world)) === 0);
  await until("rest", async () => (await dueSubjects(world)) === 0);
  tell(`${QUIET} items are at rest`);
  const before = await costs(world, worker);
  await delay(MEASURED_S * 1000);
  const after = await costs(world, worker);
  const checks = after.checks - before.checks;
  const bare = await bareCost(simulator, items);
  const each = (value: number): number => (PER * value) / checks;
  const row = (what: string, figure: string, against?: string, ratio?: number): Row => ({
    bench: "reconcile",
    what: `${what}, for a check of 100,000 quiet items`,
    figure,
    ...(against !== undefined && { against }),
    ...(ratio !== undefined && { ratio }),
  });
  const cpu = each(after.cpuS - before.cpuS);
  return [
    row(
      "requests to Plaid",
      Math.round(each(after.calls - before.calls)).toLocaleString("en"),
      "100,000 items",
      each(after.calls - before.calls) / PER,
    ),
    row("CPU of Tartan", seconds(cpu), `${seconds(bare * PER)} of a bare client`, cpu / (bare * PER)),
    row("time of Postgres", seconds(each(after.databaseS - before.databaseS))),
  ];
}

export async function benchConverge(): Promise<Row[]> {
  await using world = await openWorld();
  await using simulator = await startSimulatorProcess();
  const items = await linkItems(world, simulator, CONVERGING);
  await startWorker(world, CONVERGE_WINDOW_S);
  await until("a first check of each item", async () => (await unchecked(world)) === 0);
  await simulator.post("/_simulator/faults", { kind: "drop_webhooks" });
  for (const { item_id } of items) await simulator.post(`/_simulator/items/${item_id}/transactions`, { add: ADDED });
  const began = performance.now();
  const wanted = CONVERGING * (TRANSACTIONS + ADDED);
  await until("every change", async () => (await mirrored(world)) === wanted);
  const took = (performance.now() - began) / 1000;
  return [
    {
      bench: "converge",
      what: `until the mirror of ${CONVERGING} items is right with all webhooks lost`,
      figure: seconds(took),
      against: `${CONVERGE_WINDOW_S} s, the window`,
      ratio: took / CONVERGE_WINDOW_S,
      aim: { ratio: 1.1, better: "less" },
    },
  ];
}

async function linkItems(world: World, simulator: SimulatorProcess, count: number): Promise<Item[]> {
  const { id: integration_id } = await world.integrate(simulator.url, simulator.clientId, simulator.secret);
  const body = { count, transactions: TRANSACTIONS, webhook: "http://127.0.0.1:9/nobody" };
  const { items } = await simulator.post<{ items: Item[] }>("/_simulator/items", body);
  for (const item of items) await introduceItem(world, { integration_id, ...item });
  return items;
}

/** Plaid's limits would cap the rate below what is measured here, so they are lifted. */
const startWorker = (world: World, windowS: number): Promise<TartanProcess> =>
  world.tartan(["up", "--only", "sync"], {
    TARTAN_PLAID_LIMIT_FACTOR: "10000",
    TARTAN_RECONCILE_H: String(windowS / 3600),
    TARTAN_SENT_WEBHOOKS_MIN: "0",
  });

async function until(what: string, isSo: () => Promise<boolean>): Promise<void> {
  for (const end = Date.now() + 900_000; !(await isSo()); await delay(200))
    if (Date.now() > end) throw new Error(`${what} did not come within fifteen minutes`);
}

const one = async ({ database }: World, statement: string): Promise<number> =>
  Number((await database.query<{ one: number }>(statement)).rows[0]?.one);

const unchecked = (world: World): Promise<number> =>
  one(world, "select count(*)::int as one from tartan.items where checked_at is null");
const dueSubjects = (world: World): Promise<number> =>
  one(world, "select count(*)::int as one from sync.subjects where due_at is not null and kind = 'item'");
const mirrored = (world: World): Promise<number> =>
  one(world, "select count(*)::int as one from plaid.current_transactions");

interface Costs {
  checks: number;
  calls: number;
  cpuS: number;
  databaseS: number;
}

/** What it has cost until now. A check asks /item/get once, so requests to that are checks. */
async function costs(world: World, { pid }: TartanProcess): Promise<Costs> {
  // Counts of requests are written every two seconds.
  await delay(2500);
  return {
    checks: await one(world, "select sum(calls)::int as one from tartan.plaid_calls where endpoint = '/item/get'"),
    calls: await one(world, "select sum(calls)::int as one from tartan.plaid_calls"),
    cpuS: cpuSeconds(pid),
    databaseS: await one(
      world,
      "select active_time / 1000 as one from pg_stat_database where datname = current_database()",
    ),
  };
}

/** CPU time of a process (Linux, 100 ticks a second); 0 where that cannot be read. */
function cpuSeconds(pid: number): number {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8")
      .replace(/^.*\) /, "")
      .split(" ");
    return (Number(fields[11]) + Number(fields[12])) / 100;
  } catch {
    return 0;
  }
}

/** CPU seconds of one request of a client that only asks. */
async function bareCost({ url, clientId, secret }: SimulatorProcess, items: readonly Item[]): Promise<number> {
  const pool = new Pool(url, { connections: 8 });
  const headers = { "content-type": "application/json", "plaid-client-id": clientId, "plaid-secret": secret };
  const began = process.cpuUsage();
  let next = 0;
  const work = async (): Promise<void> => {
    for (let item = items[next++]; item; item = items[next++]) {
      const body = JSON.stringify({ access_token: item.access_token });
      const answer = await pool.request({ path: "/item/get", method: "POST", headers, body });
      await answer.body.json();
    }
  };
  await Promise.all(Array.from({ length: 8 }, work));
  await pool.close();
  const { user, system } = process.cpuUsage(began);
  return (user + system) / 1_000_000 / items.length;
}
