/**
 * increments: what production sends all day. Webhooks of items with one to five new transactions each, synced by a worker, against two loops
 * in the same run, each with as many items at once: a bare one (peers/bare-increments.ts), and one that keeps Tartan's promises by hand
 * (peers/kept-increments.ts), which is the limit of a run. Beside it, how fast webhooks of unknown items are settled, which needs no run.
 */
import { setTimeout as delay } from "node:timers/promises";
import { append } from "../src/journal/append.ts";
import { markWaiting } from "../src/sync/marker.ts";
import { introduceItem } from "../test/support/link.ts";
import { openBare } from "./peers/bare-increments.ts";
import type { Item } from "./peers/increments.ts";
import { openKept } from "./peers/kept-increments.ts";
import { ms, rate, tell, type Row } from "./report.ts";
import { startSimulatorProcess } from "./simulator.ts";
import { cpuSeconds, openWorld, postgresSeconds, type World } from "./world.ts";
import { webhookAbout } from "./webhooks.ts";

const ITEMS = Number(process.env["INCREMENTS_ITEMS"] ?? 1000);
const EACH = 20;
const ROUNDS = Number(process.env["INCREMENTS_ROUNDS"] ?? 3);
/** The engine compiles a worker's code for some 3,000 runs: in them a run's share of the processor falls from 5.8 to 4.2 ms in Node. */
const WARM_ROUNDS = Number(process.env["INCREMENTS_WARM"] ?? 3);
const CONCURRENCY = 8;
/** Plaid's limit of /transactions/sync for a client is 2,500 requests a minute. */
const ADMITTED_PER_SECOND = 2500 / 60;
const UNKNOWN = 60_000;
const BATCH = 250;

/** What a round took, in all. */
interface Round {
  perSecond: number;
  /** milliseconds of the processor an item, of the process and of Postgres */
  nodeMs: number;
  postgresMs: number;
}

export async function benchIncrements(): Promise<Row[]> {
  return [...(await small()), await unknown()];
}

async function small(): Promise<Row[]> {
  await using world = await openWorld();
  await using simulator = await startSimulatorProcess();
  const { id } = await world.integrate(simulator.url, simulator.clientId, simulator.secret);
  const { items } = await simulator.post<{ items: Item[] }>("/_simulator/items", {
    count: ITEMS,
    transactions: EACH,
    products: ["transactions"],
  });
  await using bare = await openBare(world.database, simulator, items, CONCURRENCY);
  await using kept = await openKept(world.database, simulator, items, CONCURRENCY);
  await bare.round();
  await kept.round();
  for (const item of items) await introduceItem(world, { integration_id: id, ...item });
  const worker = await world.tartan(["up", "--only", "sync"], {
    TARTAN_PLAID_LIMIT_FACTOR: "10000",
    TARTAN_SYNC_CONCURRENCY: String(CONCURRENCY),
  });
  await quiet(world, ITEMS);
  const rounds: Measured[] = [];
  for (let round = 0; round < WARM_ROUNDS + ROUNDS; round += 1) {
    for (const [n, { item_id }] of items.entries())
      await simulator.post(`/_simulator/items/${item_id}/transactions`, {
        add: 1 + ((n + round) % 5),
        webhooks: false,
      });
    const measured = {
      bare: await measure(world, process.pid, bare.round),
      kept: await measure(world, process.pid, kept.round),
      run: await runs(world, worker.pid, id, items),
    };
    if (round >= WARM_ROUNDS) rounds.push(measured);
    const { run, kept: byHand } = measured;
    tell(`${figures("runs", run)}; ${figures("the same promises", byHand)}; ${figures("bare", measured.bare)}`);
  }
  return rowsOf(rounds);
}

type Measured = Record<"bare" | "kept" | "run", Round>;

function rowsOf(rounds: readonly Measured[]): Row[] {
  const run = meanOf(rounds.map((each) => each.run));
  const bare = meanOf(rounds.map((each) => each.bare));
  const kept = meanOf(rounds.map((each) => each.kept));
  const [runs, cost] = [
    "runs of items with one to five new transactions",
    "processor a run, of the worker and of Postgres",
  ];
  const [figure, costs] = [rate(run.perSecond), msOf(run)];
  const costOf = ({ nodeMs, postgresMs }: Round): number => nodeMs + postgresMs;
  const row = (what: string, rest: Omit<Row, "bench" | "what">): Row => ({ bench: "increments", what, ...rest });
  return [
    row(runs, {
      figure,
      against: `${rate(bare.perSecond)} by a bare loop, ${CONCURRENCY} at once`,
      ratio: run.perSecond / bare.perSecond,
      aim: { ratio: 0.5, better: "more" },
    }),
    row(runs, {
      figure,
      against: `${rate(kept.perSecond)} by a loop that keeps the same promises by hand`,
      ratio: run.perSecond / kept.perSecond,
    }),
    row(runs, {
      figure,
      against: `${rate(ADMITTED_PER_SECOND)} that Plaid admits for a client`,
      ratio: run.perSecond / ADMITTED_PER_SECOND,
      aim: { ratio: 1, better: "more" },
    }),
    row(cost, { figure: costs, against: `${msOf(bare)} in the bare loop`, ratio: costOf(run) / costOf(bare) }),
    row(cost, {
      figure: costs,
      against: `${msOf(kept)} with the same promises by hand`,
      ratio: costOf(run) / costOf(kept),
    }),
  ];
}

const msOf = ({ nodeMs, postgresMs }: Round): string => `${nodeMs.toFixed(2)} + ${postgresMs.toFixed(2)} ms`;

const figures = (what: string, { perSecond, nodeMs, postgresMs }: Round): string =>
  `${what} ${rate(perSecond)}, ${nodeMs.toFixed(2)} + ${postgresMs.toFixed(2)} ms of the processor each`;

function meanOf(rounds: readonly Round[]): Round {
  const mean = (of: (round: Round) => number): number =>
    rounds.reduce((sum, each) => sum + of(each), 0) / rounds.length;
  return {
    perSecond: 1 / mean((each) => 1 / each.perSecond),
    nodeMs: mean((each) => each.nodeMs),
    postgresMs: mean((each) => each.postgresMs),
  };
}

/** Appends a webhook for each item at once and waits until all are served. */
async function runs(world: World, pid: number, integrationId: string, items: readonly Item[]): Promise<Round> {
  await world.database.query("truncate sync.runs");
  const webhooks = items.map(({ item_id }) => webhookAbout(integrationId, item_id));
  return await measure(world, pid, async () => {
    for (let from = 0; from < webhooks.length; from += BATCH)
      await append(world.database, webhooks.slice(from, from + BATCH));
    await quiet(world, items.length);
  });
}

/** Waits until so many items have a run that found something. Few and cheap looks: Postgres' work for them is in the figure. */
async function quiet({ database }: World, count: number): Promise<void> {
  for (const end = Date.now() + 300_000; ; await delay(100)) {
    if (Date.now() > end) throw new Error(`${count} items were not synced within five minutes`);
    const [runs] = (await database.query<{ runs: number }>("select count(*)::int as runs from sync.runs")).rows;
    if ((runs?.runs ?? 0) < count) continue;
    const [found] = (await database.query<{ items: number }>(FOUND)).rows;
    if (found?.items === count) return;
  }
}

const FOUND = `
  select count(distinct subject_id)::int as items from sync.runs
  where kind = 'item' and (summary #>> '{counts,transactions,added}')::int > 0`;

/** Items a second, and what of the processor each took in the process and in Postgres. */
async function measure(world: World, pid: number, work: () => Promise<void>): Promise<Round> {
  const before = { node: cpuSeconds(pid), postgres: await postgresSeconds(world), at: performance.now() };
  await work();
  const seconds = (performance.now() - before.at) / 1000;
  return {
    perSecond: ITEMS / seconds,
    nodeMs: ((cpuSeconds(pid) - before.node) / ITEMS) * 1000,
    postgresMs: (((await postgresSeconds(world)) - before.postgres) / ITEMS) * 1000,
  };
}

/** Webhooks of items that nobody linked: the marker settles them. */
async function unknown(): Promise<Row> {
  await using world = await openWorld();
  const { id } = await world.integrate("http://127.0.0.1:9");
  let perSecond = 0;
  for (const round of ["warm", "measured"]) {
    for (let from = 0; from < UNKNOWN; from += BATCH)
      await append(
        world.database,
        Array.from({ length: BATCH }, (_, n) => webhookAbout(id, `${round}_${from + n}`)),
      );
    const began = performance.now();
    while ((await markWaiting(world.database)).more);
    perSecond = UNKNOWN / ((performance.now() - began) / 1000);
    tell(`unknown items, ${round}: ${rate(perSecond)} settled, ${ms(1000 / perSecond)} each`);
  }
  return {
    bench: "increments",
    what: `webhooks of ${UNKNOWN.toLocaleString("en")} unknown items settled by one marker`,
    figure: rate(perSecond),
    against: "5,000/s asked for",
    ratio: perSecond / 5000,
    aim: { ratio: 1, better: "more" },
  };
}
