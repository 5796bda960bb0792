/**
 * Processes die at random instants under load: the receiver, the workers, and Postgres itself, by SIGKILL. What Plaid was
 * told is safe must be safe.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { expect, it } from "vitest";
import { Closer } from "../../src/cli/closer.ts";
import { startEmbedded } from "../../src/database/embedded.ts";
import { migrate } from "../../src/database/migrate.ts";
import { openDatabase } from "../../src/database/pool.ts";
import { silentLogger } from "../../src/logger.ts";
import { queueDepth } from "../../src/sync/queries.ts";
import { freePort } from "../support/ports.ts";
import { expectMirrorEqualsTruth } from "../support/oracle.ts";
import { openStage, until, type Stage } from "../support/stage.ts";
import type { TartanProcess } from "../support/process.ts";

const KILLS = 14;
const ITEMS = 12;

it("what was answered 200 is journaled once and processed, though everything is killed with -9 again and again", async () => {
  await using closer = new Closer();
  const dataDir = mkdtempSync(join(tmpdir(), "tartan-chaos-"));
  closer.defer(() => rmSync(dataDir, { recursive: true, force: true }));
  // Of its own, with fsync on: the Postgres that dies here must not be the other tests'.
  const { url } = closer.use(await startEmbedded({ dataDir, logger: silentLogger }));
  const database = closer.use(await openDatabase({ url, poolSize: 4, applicationName: "chaos", logger: silentLogger }));
  await migrate(database, { logger: silentLogger });
  const stage = closer.use(await openStage({ seed: "chaos", database: { database, url } }));

  const port = String(await freePort());
  const start = {
    receiver: () => stage.tartan(["up", "--only", "receiver"], { TARTAN_PORT: port }),
    worker: () => stage.tartan(["up", "--only", "sync"], { TARTAN_SYNC_LEASE_S: "2" }),
  };
  let receiver = await start.receiver();
  const workers = [await start.worker(), await start.worker()];
  const items = await stage.makeItems(receiver, ITEMS, 700);
  for (const item of items) expect((await stage.link(receiver, item)).status).toBe(200);

  const load = new AbortController();
  const loading = keepChanging(stage, load.signal);
  for (let kill = 0; kill < KILLS; kill++) {
    await delay(300 + 900 * Math.random());
    const victim = kill % 4;
    if (victim === 0) {
      await receiver.kill9();
      receiver = await start.receiver();
    } else if (victim < 3) {
      await workers[victim - 1]?.kill9();
      workers[victim - 1] = await start.worker();
    } else {
      process.kill(postmasterPid(dataDir), "SIGKILL");
      await until("Postgres back", () => answers(stage));
    }
  }
  load.abort();
  await loading;
  await settle(stage, receiver);

  await expectAcknowledgedOnce(stage);
  for (const { item_id } of items) await expectMirrorEqualsTruth(database, stage.simulator, item_id);
}, 180_000);

async function keepChanging({ simulator }: Stage, signal: AbortSignal): Promise<void> {
  const ids = simulator.control.items().items.map((item) => String(item["item_id"]));
  for (let turn = 0; !signal.aborted; turn++) {
    simulator.control.changeTransactions(ids[turn % ids.length] ?? "", {
      add: 2,
      add_pending: 1,
      modify: 1,
      post_pending: 1,
    });
    await delay(15);
  }
}

const postmasterPid = (dataDir: string): number =>
  Number(readFileSync(join(dataDir, "postgres/data/postmaster.pid"), "utf8").split("\n")[0]);

const answers = (stage: Stage): Promise<boolean> =>
  stage.database.query("select 1").then(
    () => true,
    () => false,
  );

/** Plaid's retries come due, everything gets through, the queue runs empty. */
async function settle({ simulator, database }: Stage, _receiver: TartanProcess): Promise<void> {
  await until("every webhook delivered", async () => {
    await simulator.control.advanceClock({ advance_s: 3600 });
    return simulator.control.webhooks({ status: "pending" }).webhooks.length === 0;
  });
  await until(
    "an empty queue",
    async () => {
      await database.query(
        "update sync.subjects set not_before = null, due_at = now() where due_at > now() and lease_token is null",
      );
      const { rows } = await database.query("select from journal.webhooks where processed_at is null limit 1");
      return rows.length === 0 && (await queueDepth(database)).due === 0;
    },
    90,
  );
}

/** Every body that was ever answered 200 stands in the journal, and no token stands there twice. */
async function expectAcknowledgedOnce({ simulator, database }: Stage): Promise<void> {
  const acknowledged = simulator.control
    .webhooks()
    .webhooks.flatMap(({ attempts, item_id }) =>
      attempts.filter(({ http_status }) => http_status === 200).map(() => item_id),
    );
  const { rows } = await database.query<{ item_id: string; count: number }>(
    "select item_id, count(*)::int as count from journal.webhooks where source = 'PLAID' group by item_id",
  );
  const journaled = new Map(rows.map(({ item_id, count }) => [item_id, count]));
  for (const itemId of new Set(acknowledged)) {
    const answered = acknowledged.filter((id) => id === itemId).length;
    expect(journaled.get(itemId ?? "") ?? 0, `webhooks of ${itemId}`).toBeGreaterThanOrEqual(answered);
  }
  const { rows: twice } = await database.query(
    "select verification from journal.webhooks where source = 'PLAID' group by verification having count(*) > 1",
  );
  expect(twice).toEqual([]);
}
