/**
 * soak: an hour (SOAK_MINUTES) of everything in one process: webhooks of items that nobody linked at half of the most that is accepted,
 * changes of linked items that sync reads and a destination gets, and a stop and start of Postgres every ten minutes.
 *
 * What must not grow is compared between the last quarter and the second one: memory, file descriptors, rows of the queues. At the end each
 * acknowledged webhook is in the journal exactly once, and the mirror equals the simulator. An answer of 503 while Postgres is
 * away is honest: it is counted, and its webhook is sent again.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { Closer } from "../src/cli/wiring/closer.ts";
import { createDestination } from "../src/relay/destinations/destinations.ts";
import { createRoute } from "../src/relay/routing/routes.ts";
import { introduceItem } from "../test/support/link.ts";
import type { TartanProcess } from "../test/support/process.ts";
import { startFlood, type Flood, type FloodCounts } from "./flood.ts";
import { closeOnInterrupt } from "./interrupt.ts";
import { metricsOf, type Metrics } from "./metrics.ts";
import { startReceiverProcess, type ReceiverProcess } from "./receiver.ts";
import { mib, ms, rate, tell, type Row } from "./report.ts";
import { startSimulatorProcess, type SimulatorProcess } from "./simulator.ts";
import { wrongItems, countsInJournal, untilQuiet } from "./soak-checks.ts";
import { openWorld, residentBytes, type World } from "./world.ts";

const MINUTES = Number(process.env["SOAK_MINUTES"] ?? 60);
const RESTART_EVERY_MINUTES = Math.min(10, MINUTES / 3);
const DOWN_MS = 5000;
const SAMPLES = 120;
const ITEMS = 200;
const CHANGES_PER_SECOND = 10;
/** Until then the most that is accepted is measured. */
const MEASURE_MS = 10_000;

/** Tables that hold work, or one row for each thing that is known. None may grow with the webhooks. */
const QUEUES = [
  "events.sync_outbox",
  "sync.subjects",
  "sync.cursors",
  "sync.staged_pages",
  "relay.ordering_keys",
  "relay.workers",
  "relay.destinations",
];

interface Sample {
  rss: number;
  heap: number;
  files: number;
  /** rows of the queues, dead ones too */
  rows: number;
  /** accepted webhooks that wait for sync, and rows of the outbox that wait for dispatch */
  waiting: number;
  spoolBytes: number;
}

interface Scene extends AsyncDisposable {
  world: World;
  simulator: SimulatorProcess;
  destination: ReceiverProcess;
  flood: Flood;
  tartan: TartanProcess;
  dataDir: string;
  floodUrl: string;
  integrationId: string;
  itemIds: readonly string[];
}

export async function benchSoak(): Promise<Row[]> {
  await using scene = await openScene();
  const { world, flood, tartan, floodUrl } = scene;
  await flood.start({ url: floodUrl, perSecond: null });
  await delay(MEASURE_MS);
  const half = Math.round((await flood.counts()).acknowledged / (MEASURE_MS / 1000) / 2);
  tell(`half of what is accepted is ${rate(half)}; ${MINUTES} minutes begin`);
  await flood.start({ url: floodUrl, perSecond: half });

  const stop = new AbortController();
  const changing = changeItems(scene, stop.signal);
  const restarting = restartPostgres(world, stop.signal);
  const samples = await sampling(scene);
  stop.abort();
  const changed = await changing;
  const restarts = await restarting;
  const file = join(scene.dataDir, "acknowledged");
  const counts = await flood.stop(file);
  tell(`${counts.acknowledged} webhooks were acknowledged; waiting until all work is done`);
  await untilQuiet(world);
  const journal = await countsInJournal(world, readFileSync(file));
  const wrong = await wrongItems(scene);
  const last = await metricsOf(tartan.url);
  return [...growthRows(samples), ...outcomeRows({ counts, half, changed, restarts, journal, wrong, last, tartan })];
}

async function openScene(): Promise<Scene> {
  const stack = closeOnInterrupt(new Closer());
  const dataDir = mkdtempSync(join(tmpdir(), "tartan-soak-"));
  stack.defer(() => rmSync(dataDir, { recursive: true, force: true }));
  const world = stack.use(await openWorld());
  const simulator = stack.use(await startSimulatorProcess());
  const destination = stack.use(await startReceiverProcess());
  const flood = stack.use(await startFlood());
  const tartan = await world.tartan(["up"], {
    TARTAN_DATA_DIR: dataDir,
    TARTAN_PLAID_LIMIT_FACTOR: "10000",
    TARTAN_RELAY_ALLOWED_ADDRESSES: "127.0.0.1",
    TARTAN_RELAY_ALLOW_HTTP: "true",
  });
  const unlinked = await world.integrate(flood.plaidUrl);
  const { id: integrationId } = await world.integrate(simulator.url, simulator.clientId, simulator.secret);
  const { items } = await simulator.post<{ items: { item_id: string; access_token: string }[] }>("/_simulator/items", {
    count: ITEMS,
    transactions: 20,
    webhook: `${tartan.url}/v1/integrations/${integrationId}`,
  });
  for (const item of items) await introduceItem(world, { integration_id: integrationId, ...item });
  const urls = { allowHttp: true, checkUrl: () => undefined };
  const { id } = await createDestination(
    { database: world.database, vault: world.vault, urls },
    { url: destination.url },
  );
  await createRoute(world.database, { destination_id: id, filter: { integration_ids: [integrationId] } });
  return {
    world,
    simulator,
    destination,
    flood,
    tartan,
    dataDir,
    integrationId,
    floodUrl: `${tartan.url}/v1/integrations/${unlinked.id}`,
    itemIds: items.map(({ item_id }) => item_id),
    [Symbol.asyncDispose]: () => stack[Symbol.asyncDispose](),
  };
}

/** @returns how many changes were made */
async function changeItems({ simulator, itemIds }: Scene, signal: AbortSignal): Promise<number> {
  const under = new Set<Promise<unknown>>();
  let made = 0;
  for (; !signal.aborted; made++) {
    const item = itemIds[made % itemIds.length] ?? "";
    const change = made % 3 === 0 ? { add: 2, remove: 1 } : { add: 1, modify: 1 };
    const call = simulator
      .post(`/_simulator/items/${item}/transactions`, change)
      .catch((error: unknown) => tell(`the simulator refused a change: ${String(error)}`))
      .finally(() => under.delete(call));
    under.add(call);
    await delay(1000 / CHANGES_PER_SECOND);
  }
  await Promise.all(under);
  return made;
}

/** @returns how many times */
async function restartPostgres(world: World, signal: AbortSignal): Promise<number> {
  for (let restarts = 0; ; restarts++) {
    await delay(RESTART_EVERY_MINUTES * 60_000, undefined, { signal }).catch(() => undefined);
    if (signal.aborted) return restarts;
    const began = performance.now();
    await world.restartPostgres(DOWN_MS);
    tell(`Postgres was stopped, and is back after ${ms(performance.now() - began)}`);
  }
}

async function sampling(scene: Scene): Promise<Sample[]> {
  const samples: Sample[] = [];
  const everyMs = (MINUTES * 60_000) / SAMPLES;
  const began = performance.now();
  for (let n = 1; n <= SAMPLES; n++) {
    await delay(Math.max(0, began + n * everyMs - performance.now()));
    const sample = await sampleOf(scene, samples.at(-1)).catch(() => null);
    if (sample === null) continue;
    samples.push(sample);
    if (n % Math.ceil(SAMPLES / 30) !== 0) continue;
    const { acknowledged, refused, p50Ms, p99Ms, maxMs } = await scene.flood.counts();
    tell(
      `${((n * MINUTES) / SAMPLES).toFixed(1)} min: ${acknowledged} acknowledged (p50 ${ms(p50Ms)}, p99 ${ms(p99Ms)}, at most ${ms(maxMs)}), ` +
        `refused ${JSON.stringify(refused)}, ${mib(sample.rss)} (heap ${mib(sample.heap)}), ${sample.files} files, ` +
        `${sample.rows} rows in queues, ${sample.waiting} wait, spool ${mib(sample.spoolBytes)}`,
    );
  }
  return samples;
}

/** @param before its rows are taken while Postgres is away @throws where Tartan does not answer */
async function sampleOf({ world, tartan, dataDir }: Scene, before: Sample | undefined): Promise<Sample> {
  const { rows } = await world.database
    .query<Pick<Sample, "rows" | "waiting">>(SIZES, [QUEUES])
    .catch(() => ({ rows: before ? [before] : [] }));
  const metrics = await metricsOf(tartan.url);
  return {
    rss: residentBytes(tartan.pid),
    heap: metrics.sum("nodejs_heap_size_used_bytes"),
    files: readdirSync(`/proc/${tartan.pid}/fd`).length,
    rows: rows[0]?.rows ?? 0,
    waiting: rows[0]?.waiting ?? 0,
    spoolBytes: sizeOf(join(dataDir, "spool")),
  };
}

const SIZES = `
  select (select coalesce(sum(n_live_tup + n_dead_tup), 0)::int from pg_stat_user_tables
      where schemaname || '.' || relname = any ($1::text[])) as rows,
    ((select count(*) from events.sync_outbox) + (select count(*) from events.outbox where position is null))::int as waiting`;

/** Bytes of all files in a folder; 0 where there is none. */
function sizeOf(folder: string): number {
  try {
    return readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .reduce((sum, { parentPath, name }) => sum + statSync(join(parentPath, name)).size, 0);
  } catch {
    return 0;
  }
}

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;

/** The last quarter against the second one. Of what is not there at all, one is added to both. */
function growthRows(samples: readonly Sample[]): Row[] {
  const quarter = Math.floor(samples.length / 4);
  const [second, last] = [samples.slice(quarter, 2 * quarter), samples.slice(3 * quarter)];
  const row = (what: string, of: (sample: Sample) => number, show: (value: number) => string, ratio: number): Row => {
    const [before, after] = [median(second.map(of)), median(last.map(of))];
    return {
      bench: "soak",
      what: `${what}, the last quarter of ${MINUTES} minutes`,
      figure: show(after),
      against: `${show(before)} in the second quarter`,
      ratio: (after + 1) / (before + 1),
      aim: { ratio, better: "less" },
    };
  };
  return [
    row("resident memory", ({ rss }) => rss, mib, 1.1),
    row("heap", ({ heap }) => heap, mib, 1.25),
    row("open files", ({ files }) => files, String, 1.1),
    row("rows of queues, dead ones too", ({ rows }) => rows, String, 1.5),
    row("work that waits", ({ waiting }) => Math.max(waiting, 100), String, 2),
    row("size of the spool", ({ spoolBytes }) => spoolBytes, mib, 1.1),
  ];
}

interface Outcome {
  counts: FloodCounts;
  half: number;
  changed: number;
  restarts: number;
  journal: { lost: number; twice: number; rows: number };
  wrong: readonly string[];
  last: Metrics;
  tartan: TartanProcess;
}

function outcomeRows({ counts, half, changed, restarts, journal, wrong, last, tartan }: Outcome): Row[] {
  const none = { ratio: 0, better: "less" } as const;
  const errors = new Map<string, number>();
  for (const line of tartan.output.filter((each) => each.startsWith("{"))) {
    const { msg = "", level } = JSON.parse(line) as { msg?: string; level?: string | number };
    errors.set(`${level}: ${msg}`, (errors.get(`${level}: ${msg}`) ?? 0) + 1);
  }
  for (const [line, times] of errors) tell(`${times} × ${line}`);
  const bench = "soak";
  return [
    {
      bench,
      what: `acknowledged webhooks that are not in the journal, after ${restarts} restarts of Postgres`,
      figure: String(journal.lost),
      against: `${counts.acknowledged} acknowledged, at ${rate(half)}`,
      ratio: journal.lost,
      aim: none,
    },
    {
      bench,
      what: "webhooks that are in the journal twice",
      figure: String(journal.twice),
      against: `${journal.rows} in the journal`,
      ratio: journal.twice,
      aim: none,
    },
    {
      bench,
      what: "linked items whose mirror differs from the simulator",
      figure: String(wrong.length),
      against: `${ITEMS} items, ${changed} changes`,
      ratio: wrong.length,
      aim: none,
    },
    {
      bench,
      what: "answers other than 200, all sent again",
      figure: JSON.stringify(counts.refused),
      against: `${counts.abandoned} webhooks given up`,
    },
    {
      bench,
      what: "longest time that the event loop was blocked in the last minute",
      figure: ms(last.sum("tartan_event_loop_delay_max_seconds") * 1000),
    },
  ];
}
