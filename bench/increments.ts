/**
 * increments: what production sends all day. Webhooks of items with one to five new transactions each, synced by a worker, against a bare
 * loop in the same run: undici, /transactions/sync, and one transaction with the upsert and the cursor, as many at once. The bare loop
 * claims nothing, compares nothing, records no run, no event and no webhook's outcome. Beside it, how fast webhooks of unknown items are
 * settled, which needs no run.
 */
import { execFileSync } from "node:child_process";
import { setTimeout as delay } from "node:timers/promises";
import { Pool } from "undici";
import { append } from "../src/journal/append.ts";
import { markWaiting } from "../src/sync/marker.ts";
import { introduceItem } from "../test/support/link.ts";
import { ms, rate, tell, type Row } from "./report.ts";
import { startSimulatorProcess, type SimulatorProcess } from "./simulator.ts";
import { cpuSeconds, openWorld, type World } from "./world.ts";
import { webhookAbout } from "./webhooks.ts";

const ITEMS = Number(process.env["INCREMENTS_ITEMS"] ?? 1000);
const EACH = 20;
const ROUNDS = Number(process.env["INCREMENTS_ROUNDS"] ?? 3);
const CONCURRENCY = 8;
const UNKNOWN = 60_000;
const BATCH = 250;

interface Item {
  item_id: string;
  access_token: string;
}

/** What a round took, in all. */
interface Round {
  perSecond: number;
  /** milliseconds of the processor an item, of the process and of Postgres */
  nodeMs: number;
  postgresMs: number;
}

export async function benchIncrements(): Promise<Row[]> {
  return [...(await small()), await unknown()];
}

async function small(): Promise<Row[]> {
  await using world = await openWorld();
  await using simulator = await startSimulatorProcess();
  const { id } = await world.integrate(simulator.url, simulator.clientId, simulator.secret);
  const { items } = await simulator.post<{ items: Item[] }>("/_simulator/items", {
    count: ITEMS,
    transactions: EACH,
    products: ["transactions"],
  });
  const bare = await openBare(world, simulator, items);
  await bare.round();
  for (const item of items) await introduceItem(world, { integration_id: id, ...item });
  const worker = await world.tartan(["up", "--only", "sync"], {
    TARTAN_PLAID_LIMIT_FACTOR: "10000",
    TARTAN_SYNC_CONCURRENCY: String(CONCURRENCY),
  });
  await quiet(world, ITEMS);
  const rounds: { run: Round; bare: Round }[] = [];
  // The first round warms both up.
  for (let round = 0; round <= ROUNDS; round += 1) {
    for (const [n, { item_id }] of items.entries())
      await simulator.post(`/_simulator/items/${item_id}/transactions`, {
        add: 1 + ((n + round) % 5),
        webhooks: false,
      });
    const measured = {
      bare: await measure(world, process.pid, bare.round),
      run: await runs(world, worker.pid, id, items),
    };
    if (round > 0) rounds.push(measured);
    tell(`${told("runs", measured.run)}; ${told("bare", measured.bare)}`);
  }
  await bare.close();
  const [run, peer] = [meanOf(rounds.map((each) => each.run)), meanOf(rounds.map((each) => each.bare))];
  return [
    {
      bench: "increments",
      what: "runs of items with one to five new transactions",
      figure: rate(run.perSecond),
      against: `${rate(peer.perSecond)} by a bare loop, ${CONCURRENCY} at once`,
      ratio: run.perSecond / peer.perSecond,
      aim: { ratio: 0.5, better: "more" },
    },
    {
      bench: "increments",
      what: "processor a run, of the worker and of Postgres",
      figure: `${run.nodeMs.toFixed(2)} + ${run.postgresMs.toFixed(2)} ms`,
      against: `${peer.nodeMs.toFixed(2)} + ${peer.postgresMs.toFixed(2)} ms in the bare loop`,
      ratio: (run.nodeMs + run.postgresMs) / (peer.nodeMs + peer.postgresMs),
    },
  ];
}

const told = (what: string, { perSecond, nodeMs, postgresMs }: Round): string =>
  `${what} ${rate(perSecond)}, ${nodeMs.toFixed(2)} + ${postgresMs.toFixed(2)} ms of the processor each`;

function meanOf(rounds: readonly Round[]): Round {
  const mean = (of: (round: Round) => number): number =>
    rounds.reduce((sum, each) => sum + of(each), 0) / rounds.length;
  return {
    perSecond: 1 / mean((each) => 1 / each.perSecond),
    nodeMs: mean((each) => each.nodeMs),
    postgresMs: mean((each) => each.postgresMs),
  };
}

/** Appends a webhook for each item at once and waits until all are served. */
async function runs(world: World, pid: number, integrationId: string, items: readonly Item[]): Promise<Round> {
  await world.database.query("truncate sync.runs");
  const webhooks = items.map(({ item_id }) => webhookAbout(integrationId, item_id));
  return await measure(world, pid, async () => {
    for (let from = 0; from < webhooks.length; from += BATCH)
      await append(world.database, webhooks.slice(from, from + BATCH));
    await quiet(world, items.length);
  });
}

/** Waits until so many items have a run that found something. @returns seconds from the first one's start to the last one's end */
async function quiet({ database }: World, count: number): Promise<number> {
  for (const end = Date.now() + 300_000; ;) {
    const { rows } = await database.query<{ items: number; seconds: number }>(RUNS);
    const [{ items, seconds } = { items: 0, seconds: 0 }] = rows;
    if (items === count) return seconds;
    if (Date.now() > end) throw new Error(`${items} of ${count} items were synced within five minutes`);
    await delay(50);
  }
}

const RUNS = `
  select count(distinct subject_id)::int as items, extract(epoch from max(finished_at) - min(started_at))::float8 as seconds
  from sync.runs where kind = 'item' and (summary #>> '{counts,transactions,added}')::int > 0`;

/** Items a second, and what of the processor each took in the process and in Postgres. */
async function measure(world: World, pid: number, work: () => Promise<void>): Promise<Round> {
  const before = { node: cpuSeconds(pid), postgres: await postgresSeconds(world), at: performance.now() };
  await work();
  const seconds = (performance.now() - before.at) / 1000;
  return {
    perSecond: ITEMS / seconds,
    nodeMs: ((cpuSeconds(pid) - before.node) / ITEMS) * 1000,
    postgresMs: (((await postgresSeconds(world)) - before.postgres) / ITEMS) * 1000,
  };
}

/** Seconds of the processor that all processes of Postgres have used. */
async function postgresSeconds({ database }: World): Promise<number> {
  const { rows } = await database.query<{ pid: number }>("select pg_backend_pid() as pid");
  const status = execFileSync("ps", ["-o", "ppid=", "-p", String(rows[0]?.pid ?? 0)], { encoding: "utf8" });
  const children = execFileSync("ps", ["-o", "pid=", "--ppid", status.trim()], { encoding: "utf8" });
  return children.split("\n").reduce((sum, line) => sum + (line.trim() === "" ? 0 : cpuSeconds(Number(line))), 0);
}

const UPSERT = {
  name: "bench_upsert",
  text: `
  insert into bench_increments (item_id, transaction_id, account_id, amount, iso_currency_code, date, name, merchant_name, pending,
    payment_channel, personal_finance_category, raw)
  select $1, e->>'transaction_id', e->>'account_id', (e->>'amount')::numeric, e->>'iso_currency_code', (e->>'date')::date,
    e->>'name', e->>'merchant_name', (e->>'pending')::boolean, e->>'payment_channel',
    e->'personal_finance_category'->>'detailed', e
  from jsonb_array_elements($2::jsonb) e
  on conflict (item_id, transaction_id) do update set
    account_id = excluded.account_id, amount = excluded.amount, iso_currency_code = excluded.iso_currency_code,
    date = excluded.date, name = excluded.name, merchant_name = excluded.merchant_name, pending = excluded.pending,
    payment_channel = excluded.payment_channel, personal_finance_category = excluded.personal_finance_category,
    raw = excluded.raw`,
};
const KEEP_CURSOR = {
  name: "bench_keep_cursor",
  text: "insert into bench_cursors (item_id, cursor) values ($1, $2) on conflict (item_id) do update set cursor = excluded.cursor",
};

/** The loop that somebody writes by hand: cursors in memory when it begins, one transaction for each answer. */
async function openBare({ database }: World, { url, clientId, secret }: SimulatorProcess, items: readonly Item[]) {
  await database.query(`
    create table bench_increments (item_id text, transaction_id text, account_id text, amount numeric, iso_currency_code text, date date,
      name text, merchant_name text, pending boolean, payment_channel text, personal_finance_category text, raw jsonb not null,
      primary key (item_id, transaction_id))`);
  await database.query("create index on bench_increments (account_id, date)");
  await database.query("create table bench_cursors (item_id text primary key, cursor text not null)");
  const pool = new Pool(url, { connections: CONCURRENCY });
  const cursors = new Map<string, string>();
  const headers = { "content-type": "application/json", "plaid-client-id": clientId, "plaid-secret": secret };
  const sync = async ({ item_id, access_token }: Item): Promise<void> => {
    const body = JSON.stringify({ access_token, cursor: cursors.get(item_id), count: 500 });
    const answer = await pool.request({ path: "/transactions/sync", method: "POST", headers, body });
    const { added, next_cursor } = (await answer.body.json()) as { added: unknown[]; next_cursor: string };
    await database.transaction(async (tx) => {
      await tx.query(UPSERT, [item_id, JSON.stringify(added)]);
      await tx.query(KEEP_CURSOR, [item_id, next_cursor]);
    });
    cursors.set(item_id, next_cursor);
  };
  const round = async (): Promise<void> => {
    let next = 0;
    const work = async (): Promise<void> => {
      for (let item = items[next++]; item; item = items[next++]) await sync(item);
    };
    await Promise.all(Array.from({ length: CONCURRENCY }, work));
  };
  return { round, close: () => pool.close() };
}

/** Webhooks of items that nobody linked: the marker settles them. */
async function unknown(): Promise<Row> {
  await using world = await openWorld();
  const { id } = await world.integrate("http://127.0.0.1:9");
  let perSecond = 0;
  for (const round of ["warm", "measured"]) {
    for (let from = 0; from < UNKNOWN; from += BATCH)
      await append(
        world.database,
        Array.from({ length: BATCH }, (_, n) => webhookAbout(id, `${round}_${from + n}`)),
      );
    const began = performance.now();
    while ((await markWaiting(world.database)).more);
    perSecond = UNKNOWN / ((performance.now() - began) / 1000);
    tell(`unknown items, ${round}: ${rate(perSecond)} settled, ${ms(1000 / perSecond)} each`);
  }
  return {
    bench: "increments",
    what: `webhooks of ${UNKNOWN.toLocaleString("en")} unknown items settled by one marker`,
    figure: rate(perSecond),
    against: "5,000/s asked for",
    ratio: perSecond / 5000,
    aim: { ratio: 1, better: "more" },
  };
}
