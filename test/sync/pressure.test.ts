/** Sync beside an intake that is busy: it gives way, and never stands still. */
import { expect, it } from "vitest";
import { expectMirrorEqualsTruth } from "../support/oracle.ts";
import { closedGates, endlessPressure } from "../support/pressure.ts";
import { until } from "../support/until.ts";
import { startWorld } from "../support/world/index.ts";

it("while webhooks wait without end, all items are synced all the same", async () => {
  using pressure = endlessPressure();
  await using world = await startWorld({ sync: { pressure } });
  const items = world.integration.makeItems(12, 30);
  for (const item of items) await world.integration.link(item);
  const worker = await world.sync.start();
  await worker.idle();
  for (const { item_id } of items) {
    world.simulator.control.changeTransactions(item_id, { add: 2, modify: 1, remove: 1, webhooks: false });
    await world.sync.notify(item_id);
  }
  await worker.idle();
  for (const { item_id } of items) await expectMirrorEqualsTruth(world.database, world.simulator, item_id);
});

it("a run that gives way holds no transaction, no lock and no connection", async () => {
  const pressure = closedGates();
  await using world = await startWorld({ sync: { pressure }, database: { poolSize: 4 } });
  const items = world.integration.makeItems(3, 5);
  for (const item of items) await world.integration.link(item);
  const worker = await world.sync.start({ concurrency: 3 });
  await until("three runs have come to the gate", async () => pressure.came("runs") === 3);
  await until("the worker waits", async () => (await inTransaction(world)) === 0);
  const { rows } = await world.database.query<{ locks: number }>(
    `select count(*)::int as locks from pg_locks l join pg_stat_activity a using (pid)
     where a.datname = current_database() and l.pid <> pg_backend_pid() and l.mode <> 'AccessShareLock' and l.locktype = 'relation'`,
  );
  expect(rows[0]?.locks).toBe(0);
  // Nothing of these subjects is locked: a statement that would wait for a lock fails.
  await world.database.transaction(async (tx) => {
    const { rowCount } = await tx.query("select from sync.subjects where kind = 'item' for update nowait");
    expect(rowCount).toBe(3);
  });
  expect(await runs(world)).toBe(0);
  pressure.open();
  await worker.idle();
  for (const { item_id } of items) await expectMirrorEqualsTruth(world.database, world.simulator, item_id);
});

it("a worker that stops gives back the subjects whose runs still give way", async () => {
  const pressure = closedGates();
  await using world = await startWorld({ sync: { pressure } });
  const [item] = world.integration.makeItems(1, 5);
  if (!item) throw new Error("the simulator made no item");
  await world.integration.link(item);
  const worker = await world.sync.start();
  await until("the run has come to the gate", async () => pressure.came("runs") === 1);
  const stopped = worker[Symbol.asyncDispose]();
  // The gate of this test does not heed the signal; a real one lets a run in that is asked to stop.
  pressure.open();
  await stopped;
  expect((await world.sync.subject(item.item_id)).lease_token).toBeNull();
  expect(await runs(world)).toBe(0);
  const other = await world.sync.start();
  await other.idle();
  await expectMirrorEqualsTruth(world.database, world.simulator, item.item_id);
});

type Asked = { database: { query<Row>(text: string): Promise<{ rows: Row[] }> } };

const runs = async ({ database }: Asked): Promise<number> =>
  (await database.query<{ count: number }>("select count(*)::int as count from sync.runs")).rows[0]?.count ?? -1;

const inTransaction = async ({ database }: Asked): Promise<number> =>
  (
    await database.query<{ count: number }>(
      `select count(*)::int as count from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()
         and xact_start is not null and backend_type = 'client backend'`,
    )
  ).rows[0]?.count ?? -1;
