/**
 * The limit of a run: a loop that keeps the promises that Tartan keeps, and nothing else, as lean as its author can write it. A webhook is kept,
 * marks its item due, and gets its outcome. Workers share the items by leases, and Plaid's rate limits by rows. Both requests are sent. One
 * statement, which is one transaction, does the rest only if the lease still holds: it writes the transactions and accounts that changed
 * and marks those that are gone, keeps the cursor, records an event for each table that changed and a row of the outbox that names them,
 * and gives the item its next state. A mark that came meanwhile leaves the item due.
 *
 * What it leaves out costs it nothing: other resources than two, which of their fields are sensitive, pages, failures, retries, row
 * security, checks of what Plaid sends, a history of runs, metrics and logs.
 */
import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { Pool } from "undici";
import type { Database } from "../../src/database/types.ts";
import { newUuid } from "../../src/model/ids.ts";
import type { Increments, Item, Plaid } from "./increments.ts";

const TABLES = `
  create table kept_items (item_id text primary key, token bytea not null, cursor text, due_at timestamptz, lease uuid,
    generation bigint not null default 0, status text not null default 'pending', verified_at timestamptz) with (fillfactor = 80);
  create index on kept_items (due_at) where due_at is not null;
  create table kept_webhooks (id uuid primary key, item_id text not null, body bytea not null,
    received_at timestamptz not null default now(), outcome jsonb);
  create index on kept_webhooks (item_id) where outcome is null;
  create table kept_transactions (item_id text, transaction_id text, account_id text, amount numeric, iso_currency_code text, date date,
    name text, merchant_name text, pending boolean, payment_channel text, personal_finance_category text, raw jsonb not null,
    changed_at timestamptz not null default now(), removed_at timestamptz, primary key (item_id, transaction_id));
  create index on kept_transactions (account_id, date);
  create table kept_accounts (item_id text, account_id text, name text, type text, subtype text, mask text, available numeric,
    current numeric, iso_currency_code text, raw jsonb not null, changed_at timestamptz not null default now(), removed_at timestamptz,
    primary key (item_id, account_id));
  create table kept_events (id uuid primary key, item_id text not null, type text not null, payload text not null,
    created_at timestamptz not null default now());
  create index on kept_events (item_id, id);
  create table kept_outbox (id bigint generated always as identity primary key, events uuid[] not null);
  create unlogged table kept_limits (key text primary key, arrival timestamptz not null)`;

const RECEIVE = {
  name: "kept_receive",
  text: `
  with kept as (
    insert into kept_webhooks (id, item_id, body) select * from unnest($1::uuid[], $2::text[], $3::bytea[]) returning item_id
  )
  update kept_items i set due_at = least(i.due_at, now()), generation = generation + 1 from kept where i.item_id = kept.item_id`,
};

/** Claims $1 items for a minute. Its commit need not wait for the disk: a claim that is forgotten is fenced off like one that is lost. */
const CLAIM = {
  name: "kept_claim",
  text: `
  with due as materialized (
    select item_id from kept_items where due_at <= now() order by due_at limit $1 for update skip locked
  )
  update kept_items i set lease = gen_random_uuid(), due_at = now() + interval '1 minute' from due where i.item_id = due.item_id
  returning i.item_id, i.token, i.cursor, i.lease, i.generation, now() as claimed_at,
    array(select w.id from kept_webhooks w where w.item_id = i.item_id and w.outcome is null) as webhooks,
    set_config('synchronous_commit', 'off', true)`,
};

/** Permits of the keys $1; each key moves on by $2 ms. They are those of all claimed items, for both requests, at once. */
const PERMIT = {
  name: "kept_permit",
  text: `
  with moved as (
    insert into kept_limits as l (key, arrival) select k, now() + ms * interval '1 ms' from unnest($1::text[], $2::float8[]) a (k, ms) order by k
    on conflict (key) do update set arrival = greatest(l.arrival, now()) + (excluded.arrival - now())
    returning arrival - now() as ahead
  )
  select extract(epoch from max(ahead))::float8 * 1000 as ahead_ms, set_config('synchronous_commit', 'off', true) from moved`,
};

/** $1 item, $2 lease, $3 and $4 the answers, $5 cursor, $6 webhooks, $7 their outcome, $8 generation, $9 when it was claimed. */
const COMMIT = {
  name: "kept_commit",
  text: `
  with held as materialized (
    update kept_items set cursor = $5, lease = null, due_at = case when generation <> $8 then now() end, status = 'ok', verified_at = $9
    where item_id = $1 and lease = $2 returning item_id
  ), answer as materialized (
    select $3::jsonb as t, $4::jsonb as a from held
  ), transactions as (
    insert into kept_transactions as k (item_id, transaction_id, account_id, amount, iso_currency_code, date, name, merchant_name, pending,
      payment_channel, personal_finance_category, raw)
    select $1, e->>'transaction_id', e->>'account_id', (e->>'amount')::numeric, e->>'iso_currency_code', (e->>'date')::date,
      e->>'name', e->>'merchant_name', (e->>'pending')::boolean, e->>'payment_channel', e->'personal_finance_category'->>'detailed', e
    from answer, jsonb_array_elements((t->'added') || (t->'modified')) e
    on conflict (item_id, transaction_id) do update set
      account_id = excluded.account_id, amount = excluded.amount, iso_currency_code = excluded.iso_currency_code,
      date = excluded.date, name = excluded.name, merchant_name = excluded.merchant_name, pending = excluded.pending,
      payment_channel = excluded.payment_channel, personal_finance_category = excluded.personal_finance_category,
      raw = excluded.raw, changed_at = now(), removed_at = null
    where k.raw is distinct from excluded.raw or k.removed_at is not null
    returning xmax = 0 as added, raw
  ), removed as (
    update kept_transactions k set removed_at = now(), changed_at = now() from answer, jsonb_array_elements(t->'removed') e
    where k.item_id = $1 and k.transaction_id = e->>'transaction_id' and k.removed_at is null returning k.transaction_id
  ), accounts as (
    insert into kept_accounts as k (item_id, account_id, name, type, subtype, mask, available, current, iso_currency_code, raw)
    select $1, e->>'account_id', e->>'name', e->>'type', e->>'subtype', e->>'mask', (e->'balances'->>'available')::numeric,
      (e->'balances'->>'current')::numeric, e->'balances'->>'iso_currency_code', e
    from answer, jsonb_array_elements(a->'accounts') e
    on conflict (item_id, account_id) do update set
      name = excluded.name, type = excluded.type, subtype = excluded.subtype, mask = excluded.mask, available = excluded.available,
      current = excluded.current, iso_currency_code = excluded.iso_currency_code, raw = excluded.raw, changed_at = now(), removed_at = null
    where k.raw is distinct from excluded.raw or k.removed_at is not null
    returning xmax = 0 as added, raw
  ), closed as (
    update kept_accounts k set removed_at = now(), changed_at = now() from answer
    where k.item_id = $1 and k.removed_at is null
      and not exists (select from jsonb_array_elements(a->'accounts') e where e->>'account_id' = k.account_id)
    returning k.account_id
  ), made (type, data) as (
    select 'transactions.changed', jsonb_build_object('added', jsonb_agg(raw) filter (where added),
      'modified', jsonb_agg(raw) filter (where not added), 'removed', (select jsonb_agg(transaction_id) from removed))
    from transactions having count(*) > 0 or exists (select from removed)
    union all
    select 'accounts.changed', jsonb_build_object('added', jsonb_agg(raw) filter (where added),
      'modified', jsonb_agg(raw) filter (where not added), 'removed', (select jsonb_agg(account_id) from closed))
    from accounts having count(*) > 0 or exists (select from closed)
  ), events as (
    insert into kept_events (id, item_id, type, payload) select gen_random_uuid(), $1, type, data::text from made returning id
  ), outbox as (
    insert into kept_outbox (events) select array_agg(id) from events having count(*) > 0
  ), served as (
    update kept_webhooks set outcome = $7::jsonb where id = any ($6::uuid[]) and exists (select from held)
  )
  select count(*)::int as held from held`,
};

interface Claimed {
  item_id: string;
  token: Buffer;
  cursor: string | null;
  lease: string;
  generation: number;
  claimed_at: Date;
  webhooks: string[];
}

/** Webhooks that one statement keeps. */
const BATCH = 250;
/** How far ahead of its limit a caller may run, in ms. */
const BURST_MS = 1000;
/** A limit that holds nobody up, as that of the worker beside it. */
const STEP_MS = 0.001;
const [ENDPOINTS, OUTCOME] = [["/transactions/sync", "/accounts/get"] as const, JSON.stringify({ outcome: "synced" })];

/** @param atOnce how many items are synced at the same time */
export async function openKept(
  database: Database,
  plaid: Plaid,
  items: readonly Item[],
  atOnce: number,
): Promise<Increments> {
  await database.query(TABLES);
  const key = randomBytes(32);
  await database.query("insert into kept_items (item_id, token) select * from unnest($1::text[], $2::bytea[])", [
    items.map(({ item_id }) => item_id),
    items.map(({ access_token }) => sealed(key, access_token)),
  ]);
  const pool = new Pool(plaid.url, { connections: atOnce * 2 });
  const headers = {
    "content-type": "application/json",
    "plaid-client-id": plaid.clientId,
    "plaid-secret": plaid.secret,
  };
  const ask = async (path: string, body: object): Promise<string> => {
    const answer = await pool.request({ path, method: "POST", headers, body: JSON.stringify(body) });
    return await answer.body.text();
  };
  const sync = async (claimed: Claimed): Promise<void> => {
    const { item_id, lease, cursor, webhooks, generation, claimed_at } = claimed;
    const access_token = opened(key, claimed.token);
    const [transactions, accounts] = await Promise.all([
      ask(ENDPOINTS[0], { access_token, ...(cursor !== null && { cursor }), count: 500 }),
      ask(ENDPOINTS[1], { access_token }),
    ]);
    const { next_cursor, has_more } = JSON.parse(transactions) as { next_cursor: string; has_more: boolean };
    if (has_more) throw new Error("an increment has one page");
    const about = [item_id, lease, transactions, accounts, next_cursor, webhooks, OUTCOME, generation, claimed_at];
    const { rows } = await database.query<{ held: number }>(COMMIT, about);
    if (rows[0]?.held !== 1) throw new Error("the lease was lost");
  };
  const round = async (): Promise<void> => {
    await receive(database, items);
    const next = claiming(database, atOnce * 2);
    const work = async (): Promise<void> => {
      for (let claimed = await next(); claimed; claimed = await next()) await sync(claimed);
    };
    await Promise.all(Array.from({ length: atOnce }, work));
  };
  return { round, [Symbol.asyncDispose]: () => pool.close() };
}

async function receive(database: Database, items: readonly Item[]): Promise<void> {
  const body = (item_id: string): Buffer =>
    Buffer.from(JSON.stringify({ webhook_type: "TRANSACTIONS", webhook_code: "SYNC_UPDATES_AVAILABLE", item_id }));
  for (let from = 0; from < items.length; from += BATCH) {
    const ids = items.slice(from, from + BATCH).map(({ item_id }) => item_id);
    await database.query(RECEIVE, [ids.map(() => newUuid()), ids, ids.map(body)]);
  }
}

/** Hands out claimed items, which it claims some at a time, with their permits. */
function claiming(database: Database, count: number): () => Promise<Claimed | undefined> {
  let waiting: Claimed[] = [];
  let claim: Promise<number> | null = null;
  const more = async (): Promise<number> => {
    const { rows } = await database.query<Claimed>(CLAIM, [count]);
    if (rows.length > 0) await permit(database, rows);
    waiting = rows;
    claim = null;
    return rows.length;
  };
  return async () => {
    while (waiting.length === 0) if ((await (claim ??= more())) === 0) return undefined;
    return waiting.shift();
  };
}

async function permit(database: Database, claimed: readonly Claimed[]): Promise<void> {
  const keys = ENDPOINTS.flatMap((path) => [path, ...claimed.map(({ item_id }) => `${path} ${item_id}`)]);
  const steps = keys.map((key) => (key.includes(" ") ? STEP_MS : STEP_MS * claimed.length));
  const { rows } = await database.query<{ ahead_ms: number }>(PERMIT, [keys, steps]);
  const waitMs = (rows[0]?.ahead_ms ?? 0) - BURST_MS;
  if (waitMs > 0) await delay(waitMs);
}

function sealed(key: Buffer, text: string): Buffer {
  const nonce = randomBytes(12);
  const cipher = createCipheriv("aes-256-gcm", key, nonce);
  return Buffer.concat([nonce, cipher.update(text, "utf8"), cipher.final(), cipher.getAuthTag()]);
}

function opened(key: Buffer, bytes: Buffer): string {
  const decipher = createDecipheriv("aes-256-gcm", key, bytes.subarray(0, 12));
  decipher.setAuthTag(bytes.subarray(-16));
  return decipher.update(bytes.subarray(12, -16), undefined, "utf8") + decipher.final("utf8");
}
