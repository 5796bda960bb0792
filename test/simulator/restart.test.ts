/** A simulator that keeps its world in a file, over restarts and kills. */
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { startSimulator, type Simulator } from "../../src/simulator/index.ts";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "tartan-world-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const open = (file: string) => startSimulator({ seed: "restart", rateLimits: false, stateFile: join(folder, file) });

interface Synced {
  added: { transaction_id: string }[];
  modified: { transaction_id: string }[];
  removed: { transaction_id: string }[];
  next_cursor: string;
  error_code?: string;
}

async function sync(simulator: Simulator, access_token: string, cursor: string): Promise<Synced> {
  const { url, clientId: client_id, secret } = simulator;
  const answer = await fetch(`${url}/transactions/sync`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ client_id, secret, access_token, cursor, count: 500 }),
  });
  return (await answer.json()) as Synced;
}

it("a stopped world continues with the same items, transactions, cursors and ids", async () => {
  const before = await open("stopped");
  const [item] = before.control.createItems({ count: 2, transactions: 40 }).items as [
    { item_id: string; access_token: string },
  ];
  const first = await sync(before, item.access_token, "");
  before.control.changeTransactions(item.item_id, { add: 3, modify: 2, remove: 1 });
  await before.control.advanceClock({ advance_s: 3600 });
  const truth = before.control.transactionsText(item.item_id);
  const now = before.clock.now();
  const all = before.control.items();
  await before[Symbol.asyncDispose]();

  await using after = await open("stopped");
  expect(after.control.items()).toEqual(all);
  expect(after.control.transactionsText(item.item_id)).toBe(truth);
  expect(after.clock.now()).toBeGreaterThanOrEqual(now);
  const next = await sync(after, item.access_token, first.next_cursor);
  expect([next.added.length, next.modified.length, next.removed.length]).toEqual([3, 2, 1]);
  const known = new Set([...first.added, ...next.added].map(({ transaction_id }) => transaction_id));
  const { added } = after.control.changeTransactions(item.item_id, { add: 5 });
  for (const id of added) expect(known).not.toContain(id);
  const made = after.control.createItems({ count: 1 }).items[0];
  expect(all.items.map(({ item_id }) => item_id)).not.toContain(made?.item_id);
});

it("a killed world refuses earlier cursors, so that a client misses no lost change", async () => {
  const before = await open("killed");
  const [item] = before.control.createItems({ count: 1, transactions: 10 }).items as [
    { item_id: string; access_token: string },
  ];
  await sync(before, item.access_token, "");
  const file = join(folder, "killed");
  await expect.poll(() => saved(file, before), { timeout: 10_000 }).toBe(true);
  copyFileSync(file, join(folder, "left-behind"));
  before.control.changeTransactions(item.item_id, { add: 4 });
  const { next_cursor } = await sync(before, item.access_token, "");
  await before[Symbol.asyncDispose]();

  await using after = await open("left-behind");
  expect((await sync(after, item.access_token, next_cursor)).error_code).toBe("INVALID_FIELD");
  expect((await sync(after, item.access_token, "")).added).toHaveLength(10);
});

/** Whether a start from a copy of `file` would know the item that `simulator` has. */
async function saved(file: string, simulator: Simulator): Promise<boolean> {
  copyFileSync(file, `${file}.look`);
  await using look = await startSimulator({ stateFile: `${file}.look` });
  const called = ({ items }: { items: Record<string, unknown>[] }) =>
    items.filter((each) => each["sync_called"]).length;
  return called(look.control.items()) === called(simulator.control.items());
}

it("a history that had not fully arrived continues after a restart", async () => {
  const extraction = { initialMs: 60_000, historicalMs: 60_000 };
  const options = { seed: "arriving", extraction, stateFile: join(folder, "arriving") };
  const before = await startSimulator(options);
  const [item] = before.control.createItems({ count: 1, transactions: 20, ready: false }).items as [
    { item_id: string; access_token: string },
  ];
  await before[Symbol.asyncDispose]();
  await using after = await startSimulator(options);
  const stage = () => after.control.items().items[0]?.["stage"];
  expect([after.control.items().items[0]?.["item_id"], stage()]).toEqual([item.item_id, "NOT_READY"]);
  await after.control.advanceClock({ advance_s: 61 });
  expect(stage()).toBe("HISTORICAL");
});

it("a state file that is not a snapshot is refused in a sentence and left unchanged", async () => {
  writeFileSync(join(folder, "nonsense"), "not a snapshot");
  await expect(open("nonsense")).rejects.toMatchObject({ code: "simulator_invalid_request" });
});
