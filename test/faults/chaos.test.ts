/**
 * Processes die at random instants under load, by SIGKILL: the receiver, the workers, the relay, Postgres, and all of them at
 * once; connections to Postgres freeze, are cut, or go nowhere. A webhook that was answered 200 must be stored, token by token.
 *
 * CHAOS_KILLS sets how often something is killed or disturbed; CHAOS_SEED repeats the order of a run that failed.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { expect, it } from "vitest";
import { Closer } from "../../src/cli/wiring/closer.ts";
import { startEmbedded } from "../../src/embedded/embedded.ts";
import { migrate } from "../../src/database/migrate.ts";
import { openDatabase } from "../../src/database/pool.ts";
import type { Database } from "../../src/database/types.ts";
import { silentLogger } from "../../src/logger.ts";
import { createRoute } from "../../src/relay/routing/routes.ts";
import { Random } from "../../src/simulator/random.ts";
import { freePort } from "../support/ports.ts";
import { expectMirrorEqualsTruth } from "../support/oracle.ts";
import { tcpProxy, type TcpProxy } from "../support/proxy.ts";
import { startReceiver, type Receiver } from "../support/receiver.ts";
import type { TartanProcess } from "../support/process.ts";
import { startWorld, type World } from "../support/world/index.ts";
import { until } from "../support/until.ts";

const KILLS = Number(process.env["CHAOS_KILLS"] ?? 12);
const SEED = process.env["CHAOS_SEED"] ?? String(Date.now());
const ITEMS = 12;
/** A second: every item is checked again and again, so that no webhook has to be the last. */
const RECONCILE_H = String(2 / 3600);

it(
  `a webhook that was answered 200 is in the journal exactly once and delivered, although processes are killed and connections cut (seed ${SEED})`,
  async () => {
    await using closer = new Closer();
    const chaos = await openChaos(closer);
    const { world, receiver } = chaos;
    const items = world.integration.makeItemsFor(receiver, ITEMS, 700);
    for (const item of items) expect((await world.integration.linkAt(receiver, item)).status).toBe(200);

    const load = new AbortController();
    const loading = keepChanging(world, load.signal);
    const random = new Random(SEED);
    const done: string[] = [];
    for (let kill = 0; kill < KILLS; kill += 1) {
      await delay(200 + random.below(900));
      const victim = random.pick(Object.keys(HARM));
      done.push(victim);
      await HARM[victim]?.(chaos);
    }
    load.abort();
    await loading;
    await world.simulator.control.idle();

    await expectAcknowledgedOnce(world);
    for (const { item_id } of items) {
      await until(`the mirror of ${item_id} equal (${done.join(" ")})`, () => isEqual(chaos, item_id), 120);
    }
    await expectDelivered(chaos);
  },
  KILLS * 13_000 + 180_000,
);

interface Chaos {
  world: World<"integration" | "processes">;
  dataDir: string;
  proxy: TcpProxy;
  /** where Plaid's webhooks go, whichever process listens there */
  receiver: { url: string };
  /** the user's application */
  application: Receiver;
  processes: Record<Role, TartanProcess>;
  start(role: Role): Promise<TartanProcess>;
}

const ROLES = ["receiver", "sync", "sync2", "relay"] as const;
type Role = (typeof ROLES)[number];

async function openChaos(closer: Closer): Promise<Chaos> {
  const dataDir = mkdtempSync(join(tmpdir(), "tartan-chaos-"));
  closer.defer(() => rmSync(dataDir, { recursive: true, force: true }));
  // Of its own, with fsync on: the Postgres that dies here must not be the other tests'.
  const { url } = closer.use(await startEmbedded({ dataDir, logger: silentLogger }));
  const database = closer.use(await openDatabase({ url, poolSize: 4, applicationName: "chaos", logger: silentLogger }));
  await migrate(database, { logger: silentLogger });
  const options = { database: { given: { database, url } }, simulator: { seed: `chaos ${SEED}` } };
  const world = closer.use(await startWorld({ ...options, integration: {}, destinations: {}, processes: {} }));
  const proxy = closer.use(await tcpProxy(url));
  const application = closer.use(await startReceiver());
  // By its default schedule a delivery that was cut off twice waits for five minutes.
  const destination = await world.destinations.create({ url: application.url, schedule: [1, 1, 2, 2, 2, 2, 2, 2] });
  await createRoute(database, { destination_id: destination.id, filter: { types: ["webhook.received"] } });

  const port = String(await freePort());
  const env = {
    TARTAN_DATABASE_URL: proxy.through(url),
    TARTAN_RECONCILE_H: RECONCILE_H,
    TARTAN_SYNC_LEASE_S: "2",
    TARTAN_RELAY_ALLOW_HTTP: "true",
    TARTAN_RELAY_ALLOWED_ADDRESSES: "127.0.0.1",
  };
  const start = (role: Role) => {
    const only = role === "sync2" ? "sync" : role;
    return world.processes.start(["up", "--only", only], { ...env, ...(role === "receiver" && { TARTAN_PORT: port }) });
  };
  const started = await Promise.all(ROLES.map(async (role) => [role, await start(role)] as const));
  const processes = Object.fromEntries(started) as Chaos["processes"];
  return { world, dataDir, proxy, receiver: { url: processes.receiver.url }, application, processes, start };
}

async function killAndRestart(chaos: Chaos, ...roles: Role[]): Promise<void> {
  await Promise.all(roles.map((role) => chaos.processes[role].kill9()));
  await Promise.all(
    roles.map(async (role) => {
      chaos.processes[role] = await chaos.start(role);
    }),
  );
}

/** Ends the postmaster alone. @returns its process id */
function killPostgres({ dataDir }: Chaos): number {
  const pid = postmasterPid(dataDir);
  process.kill(pid, "SIGKILL");
  return pid;
}

/** Processes of the old server answer until they notice that it is gone, so that is not enough. */
const backAgain = ({ dataDir, world }: Chaos, killed: number) =>
  until(
    "Postgres back",
    async () => ![killed, NaN].includes(postmasterPid(dataDir)) && (await answers(world.database)),
  );

/** A disturbance of the network, for a while. */
async function disturbed(chaos: Chaos, disturb: (proxy: TcpProxy) => void): Promise<void> {
  disturb(chaos.proxy);
  await delay(2500);
  chaos.proxy.thaw();
}

const HARM: Record<string, (chaos: Chaos) => Promise<void>> = {
  receiver: (chaos) => killAndRestart(chaos, "receiver"),
  sync: (chaos) => killAndRestart(chaos, "sync"),
  both_syncs: (chaos) => killAndRestart(chaos, "sync", "sync2"),
  relay: (chaos) => killAndRestart(chaos, "relay"),
  postgres: async (chaos) => {
    await backAgain(chaos, killPostgres(chaos));
  },
  everything: async (chaos) => {
    const killed = killPostgres(chaos);
    await Promise.all(ROLES.map((role) => chaos.processes[role].kill9()));
    await backAgain(chaos, killed);
    await killAndRestart(chaos, ...ROLES);
  },
  frozen: (chaos) => disturbed(chaos, (proxy) => proxy.freeze()),
  answers_frozen: (chaos) => disturbed(chaos, (proxy) => proxy.freeze("answers")),
  black_hole: (chaos) =>
    disturbed(chaos, (proxy) => {
      proxy.freeze();
      proxy.blackHole();
    }),
  cut: async ({ proxy }) => proxy.cut(),
};

async function keepChanging({ simulator }: World<"integration" | "processes">, signal: AbortSignal): Promise<void> {
  const ids = simulator.control.items().items.map((item) => String(item["item_id"]));
  for (let turn = 0; !signal.aborted; turn += 1) {
    simulator.control.changeTransactions(ids[turn % ids.length] ?? "", {
      add: 2,
      add_pending: 1,
      modify: 1,
      post_pending: 1,
    });
    await delay(15);
  }
}

/** NaN while there is none. */
function postmasterPid(dataDir: string): number {
  try {
    return parseInt(readFileSync(join(dataDir, "postgres/data/postmaster.pid"), "utf8"), 10);
  } catch {
    return NaN;
  }
}

const answers = (database: Database): Promise<boolean> =>
  database.query("select 1").then(
    () => true,
    () => false,
  );

const isEqual = ({ world }: Chaos, itemId: string): Promise<boolean> =>
  expectMirrorEqualsTruth(world.database, world.simulator, itemId).then(
    () => true,
    () => false,
  );

/**
 * Each token that was answered 200 stands in the journal once, and no token stands there twice. Those that a receiver spooled
 * while Postgres was away come there with its drain.
 */
async function expectAcknowledgedOnce({ simulator, database }: World<"integration" | "processes">): Promise<void> {
  const attempts = simulator.control.webhooks().webhooks.flatMap((webhook) => webhook.attempts);
  const acknowledged = attempts.flatMap(({ http_status, jwt_sha256 }) => (http_status === 200 ? [jwt_sha256] : []));
  expect(acknowledged.length).toBeGreaterThan(KILLS);
  const journaled = async (): Promise<Map<string | null, number>> => {
    const { rows } = await database.query<{ token: string; times: number }>(
      `select encode(sha256(convert_to(verification, 'UTF8')), 'hex') as token, count(*)::int as times
       from journal.webhooks where source = 'PLAID' group by 1`,
    );
    return new Map(rows.map(({ token, times }) => [token, times]));
  };
  const isMissing = (stored: Map<string | null, number>): boolean =>
    acknowledged.some((token) => token !== null && !stored.has(token));
  await until("every acknowledged token in the journal", async () => !isMissing(await journaled()), 120);
  expect([...(await journaled())].filter(([, times]) => times > 1)).toEqual([]);
}

/** The application got every journaled webhook. */
async function expectDelivered({ world: { database }, application }: Chaos): Promise<void> {
  const missing = async (): Promise<string[]> => {
    const got = new Set(application.received.map(({ id }) => id.replace("evt_", "")));
    const { rows } = await database.query<{ id: string }>(
      "select replace(id::text, '-', '') as id from journal.webhooks where source <> 'RECONCILER'",
    );
    return rows.map(({ id }) => id).filter((id) => !got.has(id));
  };
  // Thousands may wait by now, so what counts is that they become fewer; looking costs time too.
  let ids = await missing();
  for (let stalled = 0; ids.length > 0;) {
    await delay(1000);
    const left = await missing();
    stalled = left.length < ids.length ? 0 : stalled + 1;
    ids = left;
    if (stalled === 60) throw new Error(`${ids.length} are missing: ${await whyMissing(database, ids)}`);
  }
}

/** The deliveries of the webhooks by status, and how their destination fares, as JSON. */
async function whyMissing(database: Database, ids: readonly string[]): Promise<string> {
  const { rows: deliveries } = await database.query(
    `select status, attempts, tries, cause, due_at < now() as due, count(*)::int, min(due_at) as least_due_at
     from unnest($1::uuid[]) as m (id) left join relay.deliveries d on d.event_id = m.id group by 1, 2, 3, 4, 5`,
    [ids],
  );
  const { rows: health } = await database.query("select now(), * from relay.health");
  const { rows: outbox } = await database.query(
    "select count(*)::int as waiting, min(written_at) as oldest from events.outbox where position is null",
  );
  return JSON.stringify({ deliveries, health, outbox });
}
