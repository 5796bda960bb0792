/**
 * The commit of a claim does not wait for the disk, so a crash of Postgres may forget it. Here it does for certain: the process that
 * writes the log of asynchronous commits stands still until Postgres dies.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { Closer } from "../../src/cli/wiring/closer.ts";
import { openDatabase } from "../../src/database/pool.ts";
import { migrate } from "../../src/database/migrate.ts";
import { startEmbedded } from "../../src/embedded/embedded.ts";
import { silentLogger } from "../../src/logger.ts";
import { renew } from "../../src/sync/queue.ts";
import type { Claim } from "../../src/sync/types.ts";
import { expectMirrorEqualsTruth } from "../support/oracle.ts";
import { until } from "../support/until.ts";
import { startWorld, type World } from "../support/world/index.ts";
import { gated } from "../sync/support.ts";

const subjectOf = async ({ database }: World<"sync">, itemId: string) =>
  (
    await database.query<{ lease_token: string | null; due: boolean }>(
      "select lease_token, due_at <= now() as due from sync.subjects where kind = 'item' and id = $1",
      [itemId],
    )
  ).rows[0];

async function openCrashing(
  closer: Closer,
): Promise<{ world: World<"sync">; crash: (walWriter: number) => Promise<void> }> {
  const dataDir = mkdtempSync(join(tmpdir(), "tartan-lost-claim-"));
  closer.defer(() => rmSync(dataDir, { recursive: true, force: true }));
  const { url } = closer.use(await startEmbedded({ dataDir, logger: silentLogger }));
  const database = closer.use(await openDatabase({ url, poolSize: 8, applicationName: "test", logger: silentLogger }));
  await migrate(database, { logger: silentLogger });
  const world = closer.use(await startWorld({ database: { given: { database, url } }, sync: {} }));
  const postmaster = (): number => {
    try {
      return parseInt(readFileSync(join(dataDir, "postgres/data/postmaster.pid"), "utf8"), 10);
    } catch {
      return NaN;
    }
  };
  return {
    world,
    crash: async (walWriter) => {
      const killed = postmaster();
      process.kill(killed, "SIGKILL");
      process.kill(walWriter, "SIGKILL");
      await until("Postgres", async () => {
        const answers = await database.query("select 1").catch(() => null);
        // Processes of the old server answer until they notice that it is gone.
        return answers !== null && ![killed, NaN].includes(postmaster());
      });
    },
  };
}

/** From here on a commit that does not wait for the disk is not written. */
async function stopWalWriter({ database }: World<"sync">): Promise<number> {
  const { rows } = await database.query<{ pid: number }>(
    "select pid from pg_stat_activity where backend_type = 'walwriter'",
  );
  const pid = rows[0]?.pid;
  if (pid === undefined) throw new Error("there is no process that writes the log");
  process.kill(pid, "SIGSTOP");
  return pid;
}

it("a worker that lives on with a claim that Postgres forgot in a crash writes nothing, and the subject is synced again", async () => {
  await using closer = new Closer();
  const { world, crash } = await openCrashing(closer);
  const item = await world.sync.synced(10);
  world.simulator.control.changeTransactions(item.item_id, { add: 3, webhooks: false });
  let stopped = 0;
  let release: () => void = () => undefined;
  const paused = new Promise<void>((resolve) => (release = resolve));
  let reached = 0;
  const warnings: string[] = [];
  await world.sync.notify(item.item_id);
  stopped = await stopWalWriter(world);
  const worker = await world.sync.start({
    concurrency: 1,
    logger: {
      ...silentLogger,
      warn: (_fields: object, text: string) => void warnings.push(text),
    } as typeof silentLogger,
    clientFor: gated(async (path, _body, pass) => {
      await pass();
      reached += 1;
      if (path === "/transactions/sync" && stopped !== 0) await paused;
    }),
  });
  await until("the request of the run", () => reached > 0);
  const before = await subjectOf(world, item.item_id);
  await crash(stopped);
  stopped = 0;
  // Read before any worker claims it again: this one has its only slot taken.
  const after = await subjectOf(world, item.item_id);
  const leaseToken = before?.lease_token ?? "";
  const lost = { integrationId: world.integration.id, kind: "item", id: item.item_id, leaseToken } as Claim;
  await expect(renew(world.database, lost, 60)).rejects.toMatchObject({ code: "lease_lost" });
  release();
  await until("the run after the crash", async () => {
    const { rows } = await world.database.query("select from journal.webhooks where processed_at is null");
    return rows.length === 0;
  });
  await worker.idle();
  await worker[Symbol.asyncDispose]();
  expect(after).toEqual({ lease_token: null, due: true });
  expect(warnings).toContain("a lease was lost; nothing was written");
  await expectMirrorEqualsTruth(world.database, world.simulator, item.item_id);
});
