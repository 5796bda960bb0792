/** The journals that growth.ts measures: webhooks of ninety days, and the subjects of their items. */
import { tell } from "./report.ts";
import { execute } from "../test/support/execute.ts";
import type { World } from "./world.ts";

const BATCH = 500_000;
const DAYS = 90;
const WEBHOOKS_PER_ITEM = 200;

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

/** The subjects of all items, and 32 that are due. One item in ten waits for its next check. */
const FILL_SUBJECTS = `
  insert into sync.subjects (integration_id, kind, id, due_at, status)
  select 'svi_filled', 'item', 'item-' || n, case when n % 10 = 0 then now() + interval '30 days' end, 'ok'
  from generate_series(0, $1::int - 1) n
  union all select 'svi_due_' || n % 4, 'item', 'due-' || n, now(), 'ok' from generate_series(1, 32) n`;

/** Fills the journal with so many webhooks, unless it is full already, and resolves with the number of its items. */
export async function fillJournal(world: World, rows: number): Promise<number> {
  const items = rows / WEBHOOKS_PER_ITEM;
  const { rows: found } = await world.database.query<{ full: boolean }>(
    "select exists (select from sync.subjects where id = 'item-0') as full",
  );
  if (!found[0]?.full) await fill(world, rows, items);
  return items;
}

async function fill({ database, databaseUrl }: World, rows: number, items: number): Promise<void> {
  for (let day = DAYS + 7; day > 0; day -= 7) {
    await database.query("select journal.ensure_partitions(now() - make_interval(days => $1))", [day]);
  }
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
