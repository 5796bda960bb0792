/**
 * everything in one process: receiver, sync, relay and API share one event loop, and a Postgres. Webhooks of items that nobody linked come
 * as fast as they are answered, while a simulated Plaid changes 100 linked items a second and a destination gets every event.
 *
 * 1. The receiver alone, before and after: the limit. What it has accepted is then settled by all roles.
 * 2. The changes alone.
 * 3. Everything, as fast as webhooks are answered: accepting must keep 0.8 of it. What waits for its delivery is then delivered.
 * 4. Everything, at half of that: a changed row must be visible within 250 ms of its webhook.
 * 5. The same with as many changes as Plaid lets one client read (2,500 requests of /transactions/sync a minute).
 *
 * 1 to 3 say what a webhook, a change and a delivery take of the processors, and so what these allow in 3 and 4 at most. From 3 on nothing
 * may block the event loop for more than 50 ms.
 */
import { setTimeout as delay } from "node:timers/promises";
import { createDestination } from "../src/relay/destinations/destinations.ts";
import { createRoute } from "../src/relay/routing/routes.ts";
import { queueDepth } from "../src/sync/depth.ts";
import { introduceItem } from "../test/support/link.ts";
import type { TartanProcess } from "../test/support/process.ts";
import { ADMITTED_PER_SECOND, CHANGES_PER_SECOND, rowsOf, type Measured } from "./everything-rows.ts";
import { load, type LoadResult } from "./load.ts";
import { metricsOf, type Metrics } from "./metrics.ts";
import { startReceiverProcess, type ReceiverProcess } from "./receiver.ts";
import { usedSeconds } from "./processors.ts";
import { ms, rate, tell, type Row } from "./report.ts";
import { startSimulatorProcess, type SimulatorProcess } from "./simulator.ts";
import { forgetMarks, noteMarks, stageRows, stagesSince, type Stages } from "./stages.ts";
import { startSigner, type Signer } from "./webhooks.ts";
import { cpuSeconds, openWorld, postgresSeconds, type World } from "./world.ts";

const CONNECTIONS = 64;
const WARM_UP = 5000;
const SECONDS = Number(process.env["EVERYTHING_SECONDS"] ?? 15);
/** Each item changes once in each part, so that a row and the webhook that led to it are easily matched. */
const ITEMS = CHANGES_PER_SECOND * SECONDS;
const ENV = {
  TARTAN_PLAID_LIMIT_FACTOR: "10000",
  TARTAN_RELAY_ALLOWED_ADDRESSES: "127.0.0.1",
  TARTAN_RELAY_ALLOW_HTTP: "true",
};

interface Scene {
  world: World;
  simulator: SimulatorProcess;
  signer: Signer;
  destination: ReceiverProcess;
  /** of the integration whose items nobody linked */
  path: string;
  itemIds: readonly string[];
}

export async function benchEverything(): Promise<Row[]> {
  await using world = await openWorld({ track_commit_timestamp: "on" });
  await using simulator = await startSimulatorProcess();
  await using signer = await startSigner();
  await using destination = await startReceiverProcess();
  const { id } = await world.integrate(signer.url);
  const scene = { world, simulator, signer, destination, path: `/v1/integrations/${id}`, itemIds: [] };

  const before = await alone(scene);
  tell(`the receiver alone takes ${rate(before.perSecond)}`);
  const tartan = await world.tartan(["up"], ENV);
  const settle = await settled(scene, tartan);
  const linked = { ...scene, itemIds: await linkItems(scene, tartan) };
  await addDestination(linked);
  await noteMarks(world);
  const change = await changedAlone(linked, tartan);
  const full = await everything(linked, tartan, undefined);
  const half = await everything(linked, tartan, full.accepted.perSecond / 2);
  const admitted = await everything(linked, tartan, full.accepted.perSecond / 2, ADMITTED_PER_SECOND);
  await tartan.stop();
  const after = await alone(scene);
  tell(`the receiver alone takes ${rate(after.perSecond)} afterwards`);
  const limit = (before.perSecond + after.perSecond) / 2;
  const accept = (before.usedSeconds / before.ok + after.usedSeconds / after.ok) / 2;
  const { deliver } = full;
  return rowsOf(limit, { full, half, admitted }, { accept, settle, change, deliver, available: accept * limit });
}

/** What a process with the receiver alone accepts. */
async function alone({ world, signer, path }: Scene): Promise<LoadResult & { usedSeconds: number }> {
  const receiver = await world.tartan(["up", "--only", "receiver"], ENV);
  const send = (requests: Buffer[]) => load({ url: receiver.url, requests, connections: CONNECTIONS });
  const warm = await send(signer.requests(path, WARM_UP));
  const requests = signer.requests(path, Math.round(warm.perSecond * SECONDS));
  const used = await usedSeconds(world, [receiver.pid]);
  const result = allAccepted(await send(requests));
  const after = await usedSeconds(world, [receiver.pid]);
  await receiver.stop();
  return { ...result, usedSeconds: after - used };
}

const everyone = ({ simulator, destination }: Scene, tartan: TartanProcess): number[] => [
  tartan.pid,
  simulator.pid,
  destination.pid,
];

/** Waits until what the receiver alone has accepted is settled. @returns seconds of the processors a webhook */
async function settled(scene: Scene, tartan: TartanProcess): Promise<number> {
  const { world } = scene;
  const count = async (): Promise<number> =>
    (await world.database.query<{ count: number }>(UNMARKED)).rows[0]?.count ?? 0;
  const [waiting, used] = [await count(), await usedSeconds(world, everyone(scene, tartan))];
  await untilIdle(world);
  return ((await usedSeconds(world, everyone(scene, tartan))) - used) / Math.max(1, waiting);
}

/**
 * Changes each item, with nothing else to do, and many at a time: marks, dispatch and deliveries share transactions then, as they do beside
 * many webhooks. @returns seconds of the processors a change
 */
async function changedAlone(scene: Scene, tartan: TartanProcess): Promise<number> {
  const used = await usedSeconds(scene.world, everyone(scene, tartan));
  await changeItems(scene, 10 * CHANGES_PER_SECOND);
  await untilIdle(scene.world);
  return ((await usedSeconds(scene.world, everyone(scene, tartan))) - used) / ITEMS;
}

/**
 * @param perSecond webhooks of items that nobody linked; as fast as they are answered when absent
 * @param changes of linked items each second
 */
async function everything(
  scene: Scene,
  tartan: TartanProcess,
  perSecond: number | undefined,
  changes = CHANGES_PER_SECOND,
): Promise<Measured> {
  const { world, signer, destination, path } = scene;
  const warm = await load({ url: tartan.url, requests: signer.requests(path, WARM_UP), connections: CONNECTIONS });
  const requests = signer.requests(path, Math.round((perSecond ?? warm.perSecond) * SECONDS));
  await destination.reset();
  await forgetMarks(world);
  const { rows: started } = await world.database.query<{ at: Date }>("select now() as at");
  const since = started[0]?.at ?? new Date();
  const [was, cpu, cpuOfPostgres] = [await metricsOf(tartan.url), cpuSeconds(tartan.pid), await postgresSeconds(world)];
  const itemIds = scene.itemIds.slice(0, changes * SECONDS);
  const changing = changeItems({ ...scene, itemIds }, changes);
  const pace = perSecond === undefined ? {} : { perSecond };
  const accepted = allAccepted(await load({ url: tartan.url, requests, connections: CONNECTIONS, ...pace }));
  const [is, used, usedByPostgres] = [
    await metricsOf(tartan.url),
    cpuSeconds(tartan.pid),
    await postgresSeconds(world),
  ];
  const { count: delivered } = await destination.counts();
  await changing;
  await untilMarked(world);
  const grown = (name: string): number => is.sum(name) - was.sum(name);
  const runsPerSecond = grown("tartan_sync_runs_total") / accepted.seconds;
  const deliveredPerSecond = delivered / accepted.seconds;
  tell(
    `accepted ${rate(accepted.perSecond)} (p99 ${ms(accepted.p99Ms)}), ${rate(runsPerSecond)} runs, ${rate(deliveredPerSecond)} deliveries; ` +
      `${(used - cpu).toFixed(1)} s of CPU, ${(usedByPostgres - cpuOfPostgres).toFixed(1)} s of Postgres's, in ${accepted.seconds.toFixed(1)} s; ` +
      `gave way ${is.text("tartan_gave_way_seconds_total")}`,
  );
  const blockedMs = longestDelayMs(was, await metricsOf(tartan.url));
  const deliver = await untilDelivered(scene, tartan);
  const stages = await stagesFound(world, since, itemIds.length);
  tell(
    `fresh within p50 ${ms(stages.fresh.p50)}, p99 ${ms(stages.fresh.p99)} (${stages.rows} rows); blocked for less than ${ms(blockedMs)}; ` +
      stageRows("", stages, "it")
        .map(({ what, figure }) => `${what.split(",")[0]} ${figure}`)
        .join(", "),
  );
  return { accepted, stages, runsPerSecond, deliveredPerSecond, blockedMs, deliver };
}

/** Waits until all is delivered. @returns seconds of the processors a delivery */
async function untilDelivered(scene: Scene, tartan: TartanProcess): Promise<number> {
  const { world, destination } = scene;
  const { count } = await destination.counts();
  const used = await usedSeconds(world, everyone(scene, tartan));
  await untilIdle(world);
  const made = (await destination.counts()).count - count;
  return ((await usedSeconds(world, everyone(scene, tartan))) - used) / Math.max(1, made);
}

/** The least bound of the metric below which the longest delays of all seconds between two scrapes are, in milliseconds. */
function longestDelayMs(was: Metrics, is: Metrics): number {
  const name = "tartan_event_loop_delay_seconds_bucket";
  const bounds = is.labels(name, "le").toSorted((a, b) => Number(a) - Number(b));
  const grown = (le: string): number => is.value(name, { le }) - was.value(name, { le });
  const bound = bounds.find((le) => grown(le) === grown("+Inf"));
  return bound === undefined || bound === "+Inf" ? Infinity : Number(bound) * 1000;
}

async function linkItems({ world, simulator }: Scene, { url }: TartanProcess): Promise<string[]> {
  const { id } = await world.integrate(simulator.url, simulator.clientId, simulator.secret);
  const { items } = await simulator.post<{ items: { item_id: string; access_token: string }[] }>("/_simulator/items", {
    count: ITEMS,
    transactions: 20,
    webhook: `${url}/v1/integrations/${id}`,
  });
  for (const item of items) await introduceItem(world, { integration_id: id, ...item });
  await untilIdle(world);
  tell(`${ITEMS} items are linked`);
  return items.map(({ item_id }) => item_id);
}

async function addDestination({ world: { database, vault }, destination }: Scene): Promise<void> {
  const urls = { allowHttp: true, checkUrl: () => undefined };
  const { id } = await createDestination({ database, vault, urls }, { url: destination.url, concurrency: 64 });
  await createRoute(database, { destination_id: id, form: "original" });
}

/** Changes each item once. */
async function changeItems({ simulator, itemIds }: Scene, perSecond: number): Promise<void> {
  const began = performance.now();
  const calls: Promise<unknown>[] = [];
  for (const [sent, item] of itemIds.entries()) {
    const wait = began + (sent * 1000) / perSecond - performance.now();
    if (wait > 0) await delay(wait);
    calls.push(simulator.post(`/_simulator/items/${item}/transactions`, { add: 1 }));
  }
  await Promise.all(calls);
}

function allAccepted(result: LoadResult): LoadResult {
  if (Object.keys(result.other).length === 0) return result;
  throw new Error(`not every webhook was accepted: ${result.ok}, ${JSON.stringify(result.other)}`);
}

async function stagesFound(world: World, since: Date, changed: number): Promise<Stages> {
  const stages = await stagesSince(world, since);
  if (stages.rows < changed * 0.9) throw new Error(`only ${stages.rows} of ${changed} rows were found`);
  return stages;
}

const UNMARKED = "select coalesce(sum(cardinality(webhooks)), 0)::int as count from events.sync_outbox";
const untilMarked = (world: World): Promise<void> => untilIdle(world, false);

/** Waits until sync has nothing to do and, with `relay`, the relay has dispatched all and sent what is due. */
async function untilIdle({ database }: World, relay = true): Promise<void> {
  for (const end = Date.now() + 180_000; Date.now() < end;) {
    const { due, running } = await queueDepth(database);
    const { rows } = await database.query<{ waiting: boolean }>(relay ? RELAY_BUSY : SYNC_BUSY);
    if (due + running === 0 && rows[0]?.waiting === false) return;
    await delay(100);
  }
  throw new Error("the queues did not run empty within three minutes");
}

const SYNC_BUSY = "select exists (select from events.sync_outbox) as waiting";
const RELAY_BUSY = `
  select exists (select from events.sync_outbox) or exists (select from events.outbox where position is null)
    or exists (select from relay.deliveries where due_at <= now()) as waiting`;
