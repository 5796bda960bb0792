/**
 * The loop that somebody writes by hand who promises little: cursors in memory when it begins, and for each answer one transaction with the
 * upsert and the cursor. It claims nothing, compares nothing, and records no run, no event and no webhook's outcome.
 */
import { Pool } from "undici";
import type { Database } from "../../src/database/types.ts";
import type { Increments, Item, Plaid } from "./increments.ts";

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

/** @param atOnce how many items are synced at the same time */
export async function openBare(
  database: Database,
  { url, clientId, secret }: Plaid,
  items: readonly Item[],
  atOnce: number,
): Promise<Increments> {
  await database.query(`
    create table bench_increments (item_id text, transaction_id text, account_id text, amount numeric, iso_currency_code text, date date,
      name text, merchant_name text, pending boolean, payment_channel text, personal_finance_category text, raw jsonb not null,
      primary key (item_id, transaction_id))`);
  await database.query("create index on bench_increments (account_id, date)");
  await database.query("create table bench_cursors (item_id text primary key, cursor text not null)");
  const pool = new Pool(url, { connections: atOnce });
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
    await Promise.all(Array.from({ length: atOnce }, work));
  };
  return { round, [Symbol.asyncDispose]: () => pool.close() };
}
