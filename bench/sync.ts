/**
 * sync: transactions mirrored per second from the simulator, first backfill and then increments, against a raw upsert
 * of the same rows on as many connections as there are cores. The raw upsert fetches nothing, parses nothing, detects
 * nothing and keeps no cursor; it is the limit that the disk and the table set.
 */
import { setTimeout as delay } from "node:timers/promises";
import { introduceItem } from "../test/support/link.ts";
import { requestSync } from "../src/sync/queries.ts";
import { mib, rate, tell, type Row } from "./report.ts";
import { startSimulatorProcess, type SimulatorProcess } from "./simulator.ts";
import { openWorld, residentBytes, type World } from "./world.ts";

const ITEMS = 20;
const EACH = 5000;
const INCREMENT = 1500;
const CORES = 2;

export async function benchSync(): Promise<Row[]> {
  await using world = await openWorld();
  await using simulator = await startSimulatorProcess();
  const { id } = await world.integrate(simulator.url, simulator.clientId, simulator.secret);
  const { items } = await simulator.post<{ items: Item[] }>("/_simulator/items", { count: ITEMS, transactions: EACH });

  const raw = await rawUpsertRate(world, simulator, items);
  tell(`a raw upsert writes ${rate(raw)} transactions`);

  for (const item of items) await introduceItem(world, { integration_id: id, ...item });
  const worker = await startWorker(world);
  const backfill = await mirroredPerSecond(world, ITEMS * EACH);
  const resident = residentBytes(worker.pid);
  tell(`the first backfill mirrors ${rate(backfill)}`);
  await worker.stop();

  for (const { item_id } of items) {
    await simulator.post(`/_simulator/items/${item_id}/transactions`, { add: INCREMENT, webhooks: false });
    await requestSync(world.database, item_id);
  }
  await startWorker(world);
  const increments = await mirroredPerSecond(world, ITEMS * INCREMENT);
  tell(`increments mirror ${rate(increments)}`);

  const aim = { ratio: 0.4, better: "more" } as const;
  const against = `${rate(raw)} raw upsert, ${CORES} connections`;
  const row = (what: string, figure: number): Row => {
    return { bench: "sync", what, figure: rate(figure), against, ratio: figure / raw, aim };
  };
  return [
    row(`first backfill, ${ITEMS} × ${EACH} transactions`, backfill),
    row(`increments, ${ITEMS} × ${INCREMENT} transactions`, increments),
    { bench: "sync", what: "memory of the worker after the backfill", figure: mib(resident) },
  ];
}

interface Item {
  item_id: string;
  access_token: string;
}

/** Plaid's limits would cap the rate below what is measured here, so they are lifted. */
const startWorker = (world: World) => world.tartan(["up", "--only", "sync"], { TARTAN_PLAID_LIMIT_FACTOR: "10000" });

/** Rows that the runs since now added, over the time from the first one's start to the last one's end. */
async function mirroredPerSecond({ database }: World, rows: number): Promise<number> {
  for (const end = Date.now() + 300_000; ;) {
    const { rows: found } = await database.query<{ added: number; seconds: number }>(RUNS_OF_LATE);
    const [{ added, seconds } = { added: 0, seconds: 0 }] = found;
    if (added === rows) {
      await database.query("truncate sync.runs");
      return rows / seconds;
    }
    if (Date.now() > end) throw new Error(`${added} rows were mirrored within five minutes, not ${rows}`);
    await delay(100);
  }
}

const RUNS_OF_LATE = `
  select coalesce(sum((summary #>> '{counts,transactions,added}')::int), 0)::int as added,
    extract(epoch from max(finished_at) - min(started_at))::float8 as seconds
  from sync.runs where kind = 'item'`;

const RAW_UPSERT = `
  insert into bench_raw (transaction_id, account_id, amount, iso_currency_code, date, name, merchant_name, pending,
    payment_channel, personal_finance_category, raw)
  select e->>'transaction_id', e->>'account_id', (e->>'amount')::numeric, e->>'iso_currency_code', (e->>'date')::date,
    e->>'name', e->>'merchant_name', (e->>'pending')::boolean, e->>'payment_channel',
    e->'personal_finance_category'->>'detailed', e
  from jsonb_array_elements($1::jsonb) e
  on conflict (transaction_id) do update set
    account_id = excluded.account_id, amount = excluded.amount, iso_currency_code = excluded.iso_currency_code,
    date = excluded.date, name = excluded.name, merchant_name = excluded.merchant_name, pending = excluded.pending,
    payment_channel = excluded.payment_channel, personal_finance_category = excluded.personal_finance_category,
    raw = excluded.raw`;

async function rawUpsertRate({ database }: World, simulator: SimulatorProcess, items: Item[]): Promise<number> {
  await database.query(`
    create table bench_raw (transaction_id text primary key, account_id text, amount numeric, iso_currency_code text,
      date date, name text, merchant_name text, pending boolean, payment_channel text, personal_finance_category text,
      raw jsonb not null)`);
  await database.query("create index on bench_raw (account_id, date)");
  const pages: string[] = [];
  for (const { item_id } of items) {
    const truth = await simulator.get<{ transactions: unknown[] }>(`/_simulator/items/${item_id}/transactions`);
    for (let at = 0; at < truth.transactions.length; at += 500) {
      pages.push(JSON.stringify(truth.transactions.slice(at, at + 500)));
    }
  }
  let next = 0;
  const began = performance.now();
  const write = async () => {
    for (let page = pages[next++]; page !== undefined; page = pages[next++]) await database.query(RAW_UPSERT, [page]);
  };
  await Promise.all(Array.from({ length: CORES }, write));
  const seconds = (performance.now() - began) / 1000;
  await database.query("drop table bench_raw");
  return (ITEMS * EACH) / seconds;
}
