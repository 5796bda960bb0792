/** The program of docs/changes.md keeps a copy that equals the mirror, through kills, erased items and an expired cursor. */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { eraseItem } from "../../src/lifecycle/items.ts";
import { readerUrl } from "../../src/lifecycle/reader.ts";
import { forget } from "../../src/relay/retention.ts";
import { dispatchAll } from "../relay/past.ts";
import { cleanEnv } from "../support/process.ts";
import { until } from "../support/until.ts";
import { KEY, startWorld, type Item, type World } from "../support/world/index.ts";

const EXAMPLE = join(import.meta.dirname, "../../docs/examples/copy-changes.ts");

let world: World<"sync" | "relay" | "api">;
let items: Item[];
let copier: ChildProcess | undefined;

/** The program, as its reader starts it; disposing kills it at once. */
async function startCopy(key = KEY): Promise<AsyncDisposable & { gone: Promise<unknown> }> {
  const env = {
    TARTAN_URL: world.api.url,
    TARTAN_API_KEY: key,
    MIRROR_URL: await readerUrl(world.database, world.databaseUrl),
    COPY_URL: world.databaseUrl,
  };
  const child = spawn(process.execPath, ["--import", "tsx", EXAMPLE], {
    env: cleanEnv(env),
    stdio: key === KEY ? "inherit" : "ignore",
  });
  copier = child;
  const gone = once(child, "exit");
  return {
    gone,
    [Symbol.asyncDispose]: async () => {
      child.kill("SIGKILL");
      await gone;
    },
  };
}

const of = (table: string, columns: string): string =>
  `select integration_id, '${table}' as resource, jsonb_build_object('item_id', item_id, ${columns}) as key, raw as row from plaid.current_${table}`;

const DIFFERENCE = `
  with mirror as (
    ${of("accounts", "'account_id', account_id")} union all ${of("transactions", "'transaction_id', transaction_id")}
  ), copy as (select integration_id, resource, key, row from mirror_copy)
  select (select count(*) from (table mirror except table copy) missing)::int as missing,
    (select count(*) from (table copy except table mirror) wrong)::int as wrong,
    (select count(*) from mirror)::int as rows`;

/** Until the copy has the rows of the mirror and no other; how many. */
async function equals(): Promise<number> {
  await dispatchAll(world.database);
  let rows = 0;
  await until("the copy equals the mirror", async () => {
    expect(copier?.exitCode ?? null, "the program goes on").toBeNull();
    const { rows: found } = await world.database
      .query<{ missing: number; wrong: number; rows: number }>(DIFFERENCE)
      .catch((error: { code?: string }) => {
        if (error.code === "42P01") return { rows: [] };
        throw error;
      });
    rows = found[0]?.rows ?? 0;
    return found[0]?.missing === 0 && found[0].wrong === 0;
  });
  return rows;
}

/** Changes the truth of each item, and lets sync find it. */
async function change(counts: { add: number; modify: number; remove: number }, some = items): Promise<void> {
  for (const { item_id } of some) {
    world.simulator.control.changeTransactions(item_id, { ...counts, webhooks: false });
    await world.sync.notify(item_id);
  }
  await using worker = await world.sync.start();
  await worker.idle();
}

beforeAll(async () => {
  world = await startWorld({ sync: {}, relay: {}, api: {} });
  items = [await world.sync.synced(120), await world.sync.synced(700), await world.sync.synced(30)];
});
afterAll(() => world[Symbol.asyncDispose]());

it(
  "a copy that begins while syncs commit equals the mirror, and follows added, modified and removed rows and an erased item",
  { timeout: 60_000 },
  async () => {
    // Some changes are dispatched before the copy begins, others wait for it.
    await dispatchAll(world.database);
    await change({ add: 3, modify: 20, remove: 5 });
    await using _copy = await startCopy();
    await change({ add: 30, modify: 20, remove: 10 });
    expect(await equals()).toBeGreaterThan(850);
    const [, , third] = items;
    await eraseItem(world.database, world.integration.id, third?.item_id ?? "");
    await change({ add: 1, modify: 700, remove: 1 }, items.slice(0, 2));
    await equals();
    const { rows } = await world.database.query("select from mirror_copy where item_id = $1", [third?.item_id]);
    expect(rows).toEqual([]);
  },
);

it(
  "a copy that is killed while it applies changes goes on where it was and equals the mirror",
  { timeout: 60_000 },
  async () => {
    const [first, second] = items;
    for (const item of [first, second]) {
      await using _copy = await startCopy();
      await change({ add: 200, modify: 100, remove: 50 }, item ? [item] : []);
      await dispatchAll(world.database);
    }
    await change({ add: 2, modify: 2, remove: 2 }, items.slice(0, 2));
    // The same rows twice in a page.
    for (let twice = 0; twice < 2; twice += 1) await change({ add: 0, modify: 500, remove: 0 }, items.slice(0, 1));
    await using _copy = await startCopy();
    await equals();
  },
);

it("a copy whose cursor has expired begins anew and equals the mirror", { timeout: 60_000 }, async () => {
  const cursor = async (): Promise<unknown> =>
    (await world.database.query("select cursor from mirror_copy_cursor")).rows;
  const before = await cursor();
  await change({ add: 5, modify: 5, remove: 5 }, items.slice(0, 2));
  await dispatchAll(world.database);
  await world.database.query("update events.outbox set written_at = now() - interval '91 days'");
  await forget({ database: world.database, retentionDays: 90 });
  await using _copy = await startCopy();
  await equals();
  expect(await cursor()).not.toEqual(before);
});

it("a copy whose key is refused ends, and does not try the key for ever", { timeout: 60_000 }, async () => {
  await using copy = await startCopy("a-key-that-nobody-made");
  expect(await copy.gone).toEqual([1, null]);
});
