/** A world whose simulator sends its webhooks to Tartan's intake, and the process that works on jobs about items. */
import { systemClock } from "../../src/clock.ts";
import { startFleet, type FleetOptions } from "../../src/fleet/runner.ts";
import { openDirectory } from "../../src/integrations/directory.ts";
import { silentLogger } from "../../src/logger.ts";
import { createPlaidClient } from "../../src/plaid/client.ts";
import { introduceItem } from "../support/link.ts";
import type { TartanProcess } from "../support/process.ts";
import { until } from "../support/until.ts";
import { KEY, startWorld, type Item, type Json, type World } from "../support/world/index.ts";

/** Nothing listens there. */
export const FORMER = "http://127.0.0.1:9/former";

export type FleetWorld = World<"api" | "processes"> & { integration: { id: string; intake: string } };

export async function fleetWorld(): Promise<FleetWorld> {
  const world = await startWorld({ api: {}, processes: {} });
  const { id } = await world.api.integrate();
  return Object.assign(world, { integration: { id, intake: `${world.api.url}/v1/integrations/${id}` } });
}

/** Items at the simulator with a former webhook URL, linked with Tartan. */
export async function linkedItems(world: FleetWorld, count: number, webhook: string | null = FORMER): Promise<Item[]> {
  const { items } = world.simulator.control.createItems({
    count,
    transactions: 0,
    ...(webhook !== null && { webhook }),
  });
  for (const item of items) await introduceItem(world, { integration_id: world.integration.id, ...item });
  return items;
}

export async function linkedPair(world: FleetWorld): Promise<[Item, Item]> {
  const [one, other] = await linkedItems(world, 2);
  return [one as Item, other as Item];
}

/** Asks the simulator about an item, as its integration does. */
export async function ask(world: FleetWorld, endpoint: string, { access_token }: Item, fields = {}): Promise<void> {
  const { clientId: client_id, secret, url } = world.simulator;
  const body = JSON.stringify({ client_id, secret, access_token, ...fields });
  const answer = await fetch(url + endpoint, { method: "POST", headers: { "content-type": "application/json" }, body });
  if (!answer.ok) throw new Error(await answer.text());
}

/** Where the simulator sends the item's webhooks. */
export const urlOf = (world: FleetWorld, { item_id }: Item): unknown =>
  (world.simulator.control.item(item_id) as { webhook: unknown }).webhook;

export async function startFleetOf(world: FleetWorld, options: Partial<FleetOptions> = {}): Promise<AsyncDisposable> {
  const { database, vault } = world;
  const logger = silentLogger;
  const directory = world.use(await openDirectory({ database, vault, logger, clock: systemClock }));
  return await startFleet({
    database,
    directory,
    vault,
    clientFor: ({ plaidUrl: baseUrl, clientId, secret }) =>
      createPlaidClient({ baseUrl, clientId, secret, timeoutMs: 10_000, clock: systemClock }),
    clock: systemClock,
    logger,
    limitFactor: 10_000,
    syncConcurrency: 4,
    pollMs: 50,
    ...options,
  });
}

/** A real process that works on jobs; kill it as a crash would. */
export const fleetProcess = (world: FleetWorld): Promise<TartanProcess> =>
  world.processes.start(["up", "--only", "sync"], { TARTAN_ADMIN_KEY: KEY });

/** Ends the leases of processes that were killed, which others would wait for half a minute. */
export async function endLeases(world: FleetWorld): Promise<void> {
  await world.database.query("update fleet.jobs set lease_until = now() where lease_until is not null");
}

/** Starts a move by the API, fast by default. */
export async function move(world: FleetWorld, body: Record<string, unknown>): Promise<Json> {
  const answer = await world.api.call("POST /v1/webhook-moves", { body: { per_minute: 60_000, ...body } });
  if (answer.status !== 202) throw new Error(answer.text);
  return answer.body;
}

/** The job once it is done; a large one takes its `seconds`. */
export async function ended(world: FleetWorld, id: string, seconds?: number): Promise<Json> {
  let job: Json;
  const isOver = async (): Promise<boolean> => {
    job = (await world.api.call(`GET /v1/jobs/${id}`)).body;
    return job.status !== "running";
  };
  await until(`the end of job ${id}`, isOver, seconds);
  return job;
}
