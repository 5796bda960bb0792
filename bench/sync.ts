/**
 * sync: transactions mirrored per second from the simulator, first backfill and then increments, against a raw upsert
 * of the same rows on as many connections as there are cores. The raw upsert fetches nothing, parses nothing, detects
 * nothing and keeps no cursor; it is the limit that the disk and the table set.
 */
import { setTimeout as delay } from "node:timers/promises";
import { introduceItem } from "../src/integrations/items.ts";
import { queueDepth } from "../src/sync/queries.ts";
import { mib, rate, tell, type Row } from "./report.ts";
import { startSimulatorProcess, type SimulatorProcess } from "./simulator.ts";
import { openWorld, residentBytes, type World } from "./world.ts";

const ITEMS = 20;
const EACH = 5000;
const INCREMENT = 500;
const CORES = 2;

export async function benchSync(): Promise<Row[]> {
  await using world = await openWorld();
  await using simulator = await startSimulatorProcess();
  const { id } = await world.integrate(simulator.url, simulator.clientId, simulator.secret);
  const items = await simulator.post<{ items: Item[] }>("/_simulator/items", { count: ITEMS, transactions: EACH });
  const total = ITEMS * EACH;

  const raw = await rawUpsertRate(world, simulator, items.items);
  tell(`a raw upsert writes ${rate(raw)} transactions`);

  for (const item of items.items) await introduceItem(world, { integration_id: id, ...item });
  const worker = await startWorker(world);
  const backfill = total / (await secondsUntilIdle(world, total));
  tell(`the first backfill mirrors ${rate(backfill)}`);
  const resident = residentBytes(worker.pid);
  await worker.stop();

  for (const { item_id } of items.items) {
    await simulator.post(`/_simulator/items/${item_id}/transactions`, { add: INCREMENT, webhooks: false });
    await world.database.query(MARK_DUE, [id, item_id]);
  }
  await startWorker(world);
  const added = ITEMS * INCREMENT;
  const increments = added / (await secondsUntilIdle(world, total + added));
  tell(`increments mirror ${rate(increments)}`);

  const aim = { ratio: 0.4, better: "more" } as const;
  const against = `${rate(raw)} raw upsert, ${CORES} connections`;
  return [
    {
      bench: "sync",
      what: `first backfill, ${ITEMS} × ${EACH}`,
      figure: rate(backfill),
      against,
      ratio: backfill / raw,
      aim,
    },
    {
      bench: "sync",
      what: `increments, ${ITEMS} × ${INCREMENT}`,
      figure: rate(increments),
      against,
      ratio: increments / raw,
      aim,
    },
    { bench: "sync", what: "memory of the worker after the backfill", figure: mib(resident) },
  ];
}

interface Item {
  item_id: string;
  access_token: string;
}

/** Plaid's limits would cap the rate below what is measured here, so they are lifted. */
const startWorker = (world: World) => world.tartan(["up", "--only", "sync"], { TARTAN_PLAID_LIMIT_FACTOR: "10000" });

const MARK_DUE = `update sync.subjects set due_at = now(), generation = generation + 1, wanted = '{transactions}'
  where integration_id = $1 and kind = 'item' and id = $2`;

/** From the first row of the run to the last: the start of the process is not what is measured. */
async function secondsUntilIdle({ database }: World, rows: number): Promise<number> {
  const began = performance.now();
  for (;;) {
    const { due, running } = await queueDepth(database);
    if (due + running === 0) break;
    if (performance.now() - began > 300_000) throw new Error("the queue did not run empty within five minutes");
    await delay(20);
  }
  const seconds = (performance.now() - began) / 1000;
  const { rows: counted } = await database.query<{ count: number }>(
    "select count(*)::int as count from plaid.transactions",
  );
  if (counted[0]?.count !== rows) throw new Error(`${counted[0]?.count} rows are mirrored, not ${rows}`);
  return seconds;
}

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
