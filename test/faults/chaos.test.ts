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
import { createDestination } from "../../src/relay/destinations/destinations.ts";
import { createRoute } from "../../src/relay/routing/routes.ts";
import { Random } from "../../src/simulator/random.ts";
import { freePort } from "../support/ports.ts";
import { expectMirrorEqualsTruth } from "../support/oracle.ts";
import { tcpProxy, type TcpProxy } from "../support/proxy.ts";
import { startReceiver, type Receiver } from "../support/receiver.ts";
import { openStage, until, type Stage } from "../support/stage.ts";
import type { TartanProcess } from "../support/process.ts";

const KILLS = Number(process.env["CHAOS_KILLS"] ?? 12);
const SEED = process.env["CHAOS_SEED"] ?? String(Date.now());
const ITEMS = 12;
/** A second: every item is checked again and again, so that no webhook has to be the last. */
const RECONCILE_H = String(2 / 3600);

it(
  `a webhook that was answered 200 is in the journal exactly once and delivered, although processes are killed and connections cut (seed ${SEED})`,
  async () => {
    await using closer = new Closer();
    const scene = await openScene(closer);
    const items = await scene.stage.makeItems({ url: scene.receiverUrl }, ITEMS, 700);
    for (const item of items) expect((await scene.stage.link({ url: scene.receiverUrl }, item)).status).toBe(200);

    const load = new AbortController();
    const loading = keepChanging(scene.stage, load.signal);
    const random = new Random(SEED);
    const done: string[] = [];
    for (let kill = 0; kill < KILLS; kill += 1) {
      await delay(200 + random.below(900));
      const victim = random.pick(Object.keys(HARM));
      done.push(victim);
      await HARM[victim]?.(scene);
    }
    load.abort();
    await loading;
    await scene.stage.simulator.control.idle();

    await expectAcknowledgedOnce(scene.stage);
    for (const { item_id } of items) {
      await until(`the mirror of ${item_id} equal (${done.join(" ")})`, () => isEqual(scene, item_id), 120);
    }
    await expectDelivered(scene);
  },
  KILLS * 13_000 + 180_000,
);

interface Scene {
  stage: Stage;
  database: Database;
  dataDir: string;
  proxy: TcpProxy;
  /** where Plaid's webhooks go, whichever process listens there */
  receiverUrl: string;
  /** the user's application */
  application: Receiver;
  processes: Record<Role, TartanProcess>;
  start(role: Role): Promise<TartanProcess>;
}

const ROLES = ["receiver", "sync", "sync2", "relay"] as const;
type Role = (typeof ROLES)[number];

async function openScene(closer: Closer): Promise<Scene> {
  const dataDir = mkdtempSync(join(tmpdir(), "tartan-chaos-"));
  closer.defer(() => rmSync(dataDir, { recursive: true, force: true }));
  // Of its own, with fsync on: the Postgres that dies here must not be the other tests'.
  const { url } = closer.use(await startEmbedded({ dataDir, logger: silentLogger }));
  const database = closer.use(await openDatabase({ url, poolSize: 4, applicationName: "chaos", logger: silentLogger }));
  await migrate(database, { logger: silentLogger });
  const stage = closer.use(await openStage({ seed: `chaos ${SEED}`, database: { database, url } }));
  const proxy = closer.use(await tcpProxy(url));
  const application = closer.use(await startReceiver());
  const deps = { database, vault: stage.vault, urls: { allowHttp: true, checkUrl: () => undefined } };
  // By its default schedule a delivery that was cut off twice waits for five minutes.
  const destination = await createDestination(deps, { url: application.url, schedule: [1, 1, 2, 2, 2, 2, 2, 2] });
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
    return stage.tartan(["up", "--only", only], { ...env, ...(role === "receiver" && { TARTAN_PORT: port }) });
  };
  const started = await Promise.all(ROLES.map(async (role) => [role, await start(role)] as const));
  const processes = Object.fromEntries(started) as Scene["processes"];
  return {
    stage,
    database,
    dataDir,
    proxy,
    receiverUrl: processes.receiver.url,
    application,
    processes,
    start,
  };
}

async function killAndRestart(scene: Scene, ...roles: Role[]): Promise<void> {
  await Promise.all(roles.map((role) => scene.processes[role].kill9()));
  await Promise.all(
    roles.map(async (role) => {
      scene.processes[role] = await scene.start(role);
    }),
  );
}

/** Ends the postmaster alone. @returns its process id */
function killPostgres({ dataDir }: Scene): number {
  const pid = postmasterPid(dataDir);
  process.kill(pid, "SIGKILL");
  return pid;
}

/** Processes of the old server answer until they notice that it is gone, so that is not enough. */
const backAgain = ({ dataDir, database }: Scene, killed: number) =>
  until("Postgres back", async () => ![killed, 0, NaN].includes(postmasterPid(dataDir)) && (await answers(database)));

/** A disturbance of the network, for a while. */
async function disturbed(scene: Scene, disturb: (proxy: TcpProxy) => void): Promise<void> {
  disturb(scene.proxy);
  await delay(2500);
  scene.proxy.thaw();
}

const HARM: Record<string, (scene: Scene) => Promise<void>> = {
  receiver: (scene) => killAndRestart(scene, "receiver"),
  sync: (scene) => killAndRestart(scene, "sync"),
  both_syncs: (scene) => killAndRestart(scene, "sync", "sync2"),
  relay: (scene) => killAndRestart(scene, "relay"),
  postgres: async (scene) => {
    await backAgain(scene, killPostgres(scene));
  },
  everything: async (scene) => {
    const killed = killPostgres(scene);
    await Promise.all(ROLES.map((role) => scene.processes[role].kill9()));
    await backAgain(scene, killed);
    await killAndRestart(scene, ...ROLES);
  },
  frozen: (scene) => disturbed(scene, (proxy) => proxy.freeze()),
  answers_frozen: (scene) => disturbed(scene, (proxy) => proxy.freeze("answers")),
  black_hole: (scene) =>
    disturbed(scene, (proxy) => {
      proxy.freeze();
      proxy.blackHole();
    }),
  cut: async ({ proxy }) => proxy.cut(),
};

async function keepChanging({ simulator }: Stage, signal: AbortSignal): Promise<void> {
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

const isEqual = ({ database, stage }: Scene, itemId: string): Promise<boolean> =>
  expectMirrorEqualsTruth(database, stage.simulator, itemId).then(
    () => true,
    () => false,
  );

/** Each token that was answered 200 stands in the journal once, and no token stands there twice. */
async function expectAcknowledgedOnce({ simulator, database }: Stage): Promise<void> {
  const attempts = simulator.control.webhooks().webhooks.flatMap((webhook) => webhook.attempts);
  const acknowledged = attempts.flatMap(({ http_status, jwt_sha256 }) => (http_status === 200 ? [jwt_sha256] : []));
  expect(acknowledged.length).toBeGreaterThan(KILLS);
  const { rows } = await database.query<{ token: string; times: number }>(
    `select encode(sha256(convert_to(verification, 'UTF8')), 'hex') as token, count(*)::int as times
     from journal.webhooks where source = 'PLAID' group by 1`,
  );
  const journaled = new Map(rows.map(({ token, times }) => [token, times]));
  expect(acknowledged.filter((token) => token !== null && !journaled.has(token))).toEqual([]);
  expect(rows.filter(({ times }) => times > 1)).toEqual([]);
}

/** The application got every journaled webhook. */
async function expectDelivered({ database, application }: Scene): Promise<void> {
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
    "select count(*)::int as waiting, min(written_at) as oldest from journal.outbox where position is null",
  );
  return JSON.stringify({ deliveries, health, outbox });
}
