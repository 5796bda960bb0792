/**
 * growth: what costs as much with ten million journaled webhooks as with ten thousand. Both journals are spread over
 * the same ninety days, as a real one is. Each has a Postgres of its own, and they are measured in turn, so that neither has a
 * better minute of the machine than the other.
 */
import { load } from "./load.ts";
import { ms, rate, tell, type Row } from "./report.ts";
import { startSigner, type Signer } from "./webhooks.ts";
import { execute } from "../test/support/execute.ts";
import { openWorld, type World } from "./world.ts";
import { listWebhooks } from "../src/journal/records.ts";
import { claimSubjects } from "./claims.ts";

const SMALL = 10_000;
/** Filling ten million takes over five minutes; `GROWTH_ROWS=1000000` gives a first idea. */
const LARGE = Number(process.env["GROWTH_ROWS"] ?? 10_000_000);
/** An absolute path: the large journal stays there, and a later run that finds it fills none. */
const KEPT = process.env["GROWTH_DIR"];
const BATCH = 500_000;
const DAYS = 90;
const WEBHOOKS_PER_ITEM = 200;
const ROUNDS = 3;
const ACCEPTED = 30_000;
const CLAIMS = 200;
/** How many items a round asks for, and how often the same page is then asked for again. */
const ITEMS = 40;
const AGAIN = 5;

interface Journal {
  world: World;
  items: number;
  url: string;
  path: string;
  accepts: number[];
  claims: number[];
  /** a page that was read a moment before, and one that was not */
  warm: number[];
  cold: number[];
}

export async function benchGrowth(): Promise<Row[]> {
  await using signer = await startSigner();
  await using few = await openWorld();
  await using many = await openWorld({}, KEPT);
  const small = await openJournal(few, signer, SMALL);
  const large = await openJournal(many, signer, LARGE);
  for (let round = 0; round <= ROUNDS; round += 1) {
    for (const journal of [small, large]) await measure(journal, signer, round > 0);
    tell(`round ${round} of ${ROUNDS}`);
  }
  const aim = { ratio: 1.25, better: "less" } as const;
  const row = (what: string, figure: string, against: string, ratio: number): Row => ({
    bench: "growth",
    what: `${what} with ${LARGE.toLocaleString("en")} webhooks`,
    figure,
    against: `${against} with ${SMALL.toLocaleString("en")}`,
    ratio,
    aim,
  });
  const medians = (what: string, of: (journal: Journal) => number[]): Row => {
    const [a, b] = [median(of(large)), median(of(small))];
    return row(what, ms(a), ms(b), a / b);
  };
  const [accepted, before] = [median(large.accepts), median(small.accepts)];
  const { aim: _, ...first } = medians("the same page, asked for the first time,", ({ cold }) => cold);
  return [
    row("accept", rate(accepted), rate(before), before / accepted),
    medians("claim of 8 subjects", ({ claims }) => claims),
    medians("audit query, a page of 50 that is in memory,", ({ warm }) => warm),
    first,
  ];
}

/** Fills the journal, unless it is full already, and starts a receiver for it. */
async function openJournal(world: World, signer: Signer, rows: number): Promise<Journal> {
  const items = rows / WEBHOOKS_PER_ITEM;
  const { rows: found } = await world.database.query<{ full: boolean }>(
    "select exists (select from sync.subjects where id = 'item-0') as full",
  );
  if (!found[0]?.full) await fill(world, rows);
  const { id } = await world.integrate(signer.url);
  const { url } = await world.tartan(["up", "--only", "receiver"]);
  return { world, items, url, path: `/v1/integrations/${id}`, accepts: [], claims: [], warm: [], cold: [] };
}

async function measure(journal: Journal, signer: Signer, counts: boolean): Promise<void> {
  const { world, url, path, items } = journal;
  const { perSecond } = await load({ url, requests: signer.requests(path, ACCEPTED), connections: 64 });
  // What accepting leaves to be written would otherwise be written while the queries are measured.
  await execute(world.databaseUrl, "checkpoint");
  const claimMs = await claimSubjects(world, CLAIMS);
  const { warm, cold } = await audit(world, items);
  if (!counts) return;
  journal.accepts.push(perSecond);
  journal.claims.push(claimMs);
  journal.warm.push(...warm);
  journal.cold.push(...cold);
}

/** Rows with the shape and indexes of real ones, in the order of their arrival, about 200 for an item in both journals. */
const FILL = `
  insert into journal.webhooks (id, integration_id, source, subject_kind, subject_id, item_id, user_id, webhook_type,
    webhook_code, environment, received_at, body, key_id, signed_at, processed_at, update_info)
  select (substr(tartan.least_id_at(at)::text, 1, 14) || '7' || substr(md5(random()::text), 1, 3) || '-8'
      || substr(md5(random()::text), 1, 3) || '-' || substr(md5(n::text), 1, 12))::uuid,
    'svi_filled', 'PLAID', 'item', 'item-' || item, 'item-' || item, 'user-' || item,
    case n % 10 when 0 then 'ITEM' else 'TRANSACTIONS' end,
    case n % 10 when 0 then 'LOGIN_REPAIRED' when 1 then 'DEFAULT_UPDATE' else 'SYNC_UPDATES_AVAILABLE' end,
    'sandbox', at, convert_to(format(E'{\n  "environment": "sandbox",\n  "error": null,\n  "item_id": "item-%s",\n  "webhook_code": "SYNC_UPDATES_AVAILABLE",\n  "webhook_type": "TRANSACTIONS",\n  "initial_update_complete": true,\n  "historical_update_complete": true\n}', item), 'UTF8'), 'kid', at, at, '{"outcome":"synced"}'
  from generate_series($1::bigint, $2::bigint) n
  cross join lateral (select now() - interval '${DAYS} days' * (1 - n::float8 / $3) as at, floor(random() * $4::int)::int as item) r`;

/** The subjects of all items: one in ten waits for its next check, and 32 are due. */
const FILL_SUBJECTS = `
  insert into sync.subjects (integration_id, kind, id, due_at, status)
  select 'svi_filled', 'item', 'item-' || n, case when n % 10 = 0 then now() + interval '30 days' end, 'ok'
  from generate_series(0, $1::int - 1) n
  union all select 'svi_due_' || n % 4, 'item', 'due-' || n, now(), 'ok' from generate_series(1, 32) n`;

async function fill({ database, databaseUrl }: World, rows: number): Promise<void> {
  for (let day = DAYS + 7; day > 0; day -= 7) {
    await database.query("select journal.ensure_partitions(now() - make_interval(days => $1))", [day]);
  }
  const items = rows / WEBHOOKS_PER_ITEM;
  for (let from = 1; from <= rows; from += BATCH) {
    const last = Math.min(rows, from + BATCH - 1);
    await execute(databaseUrl, { text: FILL, values: [from, last, rows, items] });
    if (rows > BATCH) tell(`${last.toLocaleString("en")} rows`);
  }
  await execute(
    databaseUrl,
    { text: FILL_SUBJECTS, values: [items] },
    "vacuum analyze journal.webhooks",
    "vacuum analyze sync.subjects",
    "checkpoint",
  );
}

/** The five audit patterns for random items, each page of 50: first as it is found, then again. */
async function audit({ database }: World, items: number): Promise<{ warm: number[]; cold: number[] }> {
  const warm: number[] = [];
  const cold: number[] = [];
  for (let turn = 0; turn < ITEMS; turn++) {
    const item_id = `item-${Math.floor(Math.random() * items)}`;
    const user_id = item_id.replace("item", "user");
    const patterns = [
      { item_id },
      { user_id },
      { item_id, type: "TRANSACTIONS" },
      { user_id, type: "TRANSACTIONS", code: "DEFAULT_UPDATE" },
      { item_id, source: "PLAID" },
    ] as const;
    const pattern = patterns[turn % patterns.length];
    for (let time = 0; time <= AGAIN; time += 1) {
      const began = performance.now();
      await listWebhooks(database, { ...pattern, limit: 50 });
      (time === 0 ? cold : warm).push(performance.now() - began);
    }
  }
  return { warm, cold };
}

const median = (took: readonly number[]): number => took.toSorted((a, b) => a - b)[Math.floor(took.length / 2)] ?? 0;
