/**
 * freshness: from a webhook's receipt to its row being visible, at 100 webhooks a second. Visible is when Postgres
 * committed the row (track_commit_timestamp), received is what the journal says.
 */
import { setTimeout as delay } from "node:timers/promises";
import { introduceItem } from "../test/support/link.ts";
import { queueDepth } from "../src/sync/depth.ts";
import { ms, tell, type Row } from "./report.ts";
import { startSimulatorProcess } from "./simulator.ts";
import { openWorld, type World } from "./world.ts";

const PER_SECOND = 40;
const SECONDS = 20;
/** Each item changes once, so that a row and the webhook that led to it are easily matched. */
const ITEMS = PER_SECOND * SECONDS;

export async function benchFreshness(): Promise<Row[]> {
  await using world = await openWorld({ track_commit_timestamp: "on" });
  await using simulator = await startSimulatorProcess();
  const tartan = await world.tartan(["up"], { TARTAN_PLAID_LIMIT_FACTOR: "10000" });
  const { id } = await world.integrate(simulator.url, simulator.clientId, simulator.secret);
  const { items } = await simulator.post<{ items: { item_id: string; access_token: string }[] }>("/_simulator/items", {
    count: ITEMS,
    transactions: 20,
    webhook: `${tartan.url}/v1/integrations/${id}`,
  });
  for (const item of items) await introduceItem(world, { integration_id: id, ...item });
  await untilIdle(world);
  tell(`${ITEMS} items are linked; ${PER_SECOND} changes a second for ${SECONDS} s`);

  const { rows: started } = await world.database.query<{ at: Date }>("select now() as at");
  const began = performance.now();
  const calls: Promise<unknown>[] = [];
  for (let sent = 0; sent < PER_SECOND * SECONDS; sent++) {
    const wait = began + (sent * 1000) / PER_SECOND - performance.now();
    if (wait > 0) await delay(wait);
    const item = items[sent]?.item_id ?? "";
    calls.push(simulator.post(`/_simulator/items/${item}/transactions`, { add: 1 }));
  }
  await Promise.all(calls);
  await delay(500);
  await untilIdle(world);

  const { rows } = await world.database.query<{ p50: number; p99: number; webhooks: number }>(FRESHNESS, [
    started[0]?.at,
  ]);
  const found = rows[0];
  if (!found || found.webhooks < PER_SECOND * SECONDS * 0.9) throw new Error(`only ${found?.webhooks} rows were found`);
  return [
    {
      bench: "freshness",
      what: `webhook received → row visible at ${PER_SECOND}/s, p50 / p99`,
      figure: `${ms(found.p50)} / ${ms(found.p99)}`,
      against: `${found.webhooks} rows`,
    },
  ];
}

/** Each new row against the first webhook of its item since the changes began. */
const FRESHNESS = `
  with visible as (
    select item_id, pg_xact_commit_timestamp(xmin) as at from plaid.transactions where added_at >= $1
  ), received as (
    select item_id, min(received_at) as at from journal.webhooks where received_at >= $1 group by item_id
  ), pairs as (
    select extract(epoch from v.at - r.at) * 1000 as took from visible v join received r using (item_id)
  )
  select percentile_cont(0.5) within group (order by took)::float8 as p50,
         percentile_cont(0.99) within group (order by took)::float8 as p99,
         count(*)::int as webhooks
  from pairs`;

async function untilIdle({ database }: World): Promise<void> {
  for (let turn = 0; turn < 6000; turn++) {
    const { due, running } = await queueDepth(database);
    if (due + running === 0) return;
    await delay(20);
  }
  throw new Error("the queue did not run empty within two minutes");
}
