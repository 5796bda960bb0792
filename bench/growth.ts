/**
 * growth: what costs as much with ten million journaled webhooks as with ten thousand. Both journals are spread over
 * the same ninety days, as a real one is, and everything is measured on the same server in the same run.
 */
import { load } from "./load.ts";
import { ms, rate, tell, type Row } from "./report.ts";
import { startSigner } from "./webhooks.ts";
import { execute } from "../test/support/execute.ts";
import { openWorld, type World } from "./world.ts";
import { listWebhooks } from "../src/journal/records.ts";
import { claimSubjects } from "./claims.ts";

const SMALL = 10_000;
/** Filling ten million takes over five minutes; `GROWTH_ROWS=1000000` gives a first idea. */
const LARGE = Number(process.env["GROWTH_ROWS"] ?? 10_000_000);
const BATCH = 500_000;
const DAYS = 90;
const WEBHOOKS_PER_ITEM = 200;

interface Figures {
  accept: number;
  claimMs: number;
  queryMs: number;
}

export async function benchGrowth(): Promise<Row[]> {
  await using world = await openWorld();
  await using signer = await startSigner();
  const { id } = await world.integrate(signer.url);
  await makePartitions(world);
  const receiver = await world.tartan(["up", "--only", "receiver"]);

  const measure = async (rows: number): Promise<Figures> => {
    const path = `/v1/integrations/${id}`;
    const accepts: number[] = [];
    for (let round = 0; round < 3; round++) {
      const { perSecond } = await load({ url: receiver.url, requests: signer.requests(path, 30_000), connections: 64 });
      accepts.push(perSecond);
    }
    const claimMs = await claimSubjects(world, 200);
    return { accept: Math.max(...accepts), claimMs, queryMs: await auditQueryMs(world, rows) };
  };

  await fill(world, id, SMALL);
  await load({ url: receiver.url, requests: signer.requests(`/v1/integrations/${id}`, 20_000), connections: 64 });
  const small = await measure(SMALL);
  tell(`with ${SMALL.toLocaleString("en")} rows: ${rate(small.accept)}`);
  await fill(world, id, LARGE);
  const large = await measure(LARGE);
  tell(`with ${LARGE.toLocaleString("en")} rows: ${rate(large.accept)}`);

  const aim = { ratio: 1.25, better: "less" } as const;
  const row = (what: string, figure: string, against: string, ratio: number): Row => ({
    bench: "growth",
    what: `${what} with ${LARGE.toLocaleString("en")} webhooks`,
    figure,
    against: `${against} with ${SMALL.toLocaleString("en")}`,
    ratio,
    aim,
  });
  return [
    row("accept", rate(large.accept), rate(small.accept), small.accept / large.accept),
    row("claim of 8 subjects", ms(large.claimMs), ms(small.claimMs), large.claimMs / small.claimMs),
    row("audit query, page of 50", ms(large.queryMs), ms(small.queryMs), large.queryMs / small.queryMs),
  ];
}

async function makePartitions({ database }: World): Promise<void> {
  for (let day = DAYS + 7; day > 0; day -= 7) {
    await database.query("select journal.ensure_partitions(now() - make_interval(days => $1))", [day]);
  }
}

/** Rows with the shape and indexes of real ones, 200 for an item in both journals, so that queries find as much. */
const FILL = `
  insert into journal.webhooks (id, integration_id, source, subject_kind, subject_id, item_id, user_id, webhook_type,
    webhook_code, environment, received_at, body, key_id, signed_at, processed_at, update_info)
  select (substr(tartan.least_id_at(at)::text, 1, 14) || '7' || substr(md5(random()::text), 1, 3) || '-8'
      || substr(md5(random()::text), 1, 3) || '-' || substr(md5(n::text), 1, 12))::uuid,
    $1, 'PLAID', 'item', 'item-' || item, 'item-' || item, 'user-' || item,
    case n % 10 when 0 then 'ITEM' else 'TRANSACTIONS' end,
    case n % 10 when 0 then 'LOGIN_REPAIRED' when 1 then 'DEFAULT_UPDATE' else 'SYNC_UPDATES_AVAILABLE' end,
    'sandbox', at, convert_to(repeat('x', 220), 'UTF8'), 'kid', at, at, '{"outcome":"synced"}'
  from generate_series($2::bigint, $3::bigint) n
  cross join lateral (select now() - random() * interval '${DAYS} days' as at, floor(random() * $4::int)::int as item) r`;

async function fill({ databaseUrl }: World, integrationId: string, rows: number): Promise<void> {
  for (let from = 1; from <= rows; from += BATCH) {
    const last = Math.min(rows, from + BATCH - 1);
    await execute(databaseUrl, { text: FILL, values: [integrationId, from, last, rows / WEBHOOKS_PER_ITEM] });
    if (rows > BATCH) tell(`${last.toLocaleString("en")} rows`);
  }
  await execute(databaseUrl, "vacuum analyze journal.webhooks", "checkpoint");
}

/** The five audit patterns for random items, each page of 50; the median of them all. */
async function auditQueryMs({ database }: World, rows: number): Promise<number> {
  const took: number[] = [];
  for (let turn = 0; turn < 60; turn++) {
    const item_id = `item-${Math.floor(Math.random() * (rows / WEBHOOKS_PER_ITEM))}`;
    const user_id = item_id.replace("item", "user");
    const patterns = [
      { item_id },
      { user_id },
      { item_id, type: "TRANSACTIONS" },
      { user_id, type: "TRANSACTIONS", code: "DEFAULT_UPDATE" },
      { item_id, source: "PLAID" },
    ] as const;
    for (const pattern of patterns) {
      const began = performance.now();
      await listWebhooks(database, { ...pattern, limit: 50 });
      if (turn >= 10) took.push(performance.now() - began);
    }
  }
  return took.toSorted((a, b) => a - b)[Math.floor(took.length / 2)] ?? 0;
}
