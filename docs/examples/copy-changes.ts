/** Keeps a copy of tables of items in a Postgres of yours: `tartan db url` gives MIRROR_URL. */
import { setTimeout as sleep } from "node:timers/promises";
import { Client } from "pg";

const { TARTAN_URL, TARTAN_API_KEY, MIRROR_URL, COPY_URL, TABLES = "accounts,transactions" } = process.env;

const copy = new Client({ connectionString: COPY_URL });
await copy.connect();
await copy.query(`
  create table if not exists mirror_copy (
    integration_id text, resource text, key jsonb, item_id text not null, row jsonb not null,
    primary key (integration_id, resource, key));
  create index if not exists mirror_copy_by_item on mirror_copy (integration_id, item_id);
  create table if not exists mirror_copy_cursor (only_one boolean primary key default true check (only_one), cursor text not null)`);

/** The changes of a page in their order, as text: JSON.parse would round their numbers. */
const PAGE = `
  with changes as (
    select c ->> 'integration_id' as integration_id, c ->> 'item_id' as item_id, c ->> 'resource' as resource, c -> 'key' as key,
      c ->> 'change' as change, c -> 'row' as row, c ->> 'account_id' as account_id, n
    from jsonb_array_elements($1::jsonb -> 'data') with ordinality as page (c, n)
  ), erased as (
    select integration_id, item_id, account_id, n from changes where change = 'erased'
  ), last as (
    select distinct on (integration_id, resource, key) * from changes where change <> 'erased' order by integration_id, resource, key, n desc
  )`;
/** Whether the row `of` is one that the erasure `e` stands for. */
const isErased = (of: string): string => `e.integration_id = ${of}.integration_id and e.item_id = ${of}.item_id
  and (e.account_id is null or e.account_id = ${of}.row ->> 'account_id')`;
const ERASE = `${PAGE} delete from mirror_copy m using erased e where ${isErased("m")}`;
const REMOVE = `${PAGE}
  delete from mirror_copy m using last l
  where l.change = 'removed' and m.integration_id = l.integration_id and m.resource = l.resource and m.key = l.key`;
const REPLACE = `${PAGE}
  insert into mirror_copy (integration_id, resource, key, item_id, row)
  select integration_id, resource, key, item_id, row from last l
  where change <> 'removed' and not exists (select from erased e where e.n > l.n and ${isErased("l")})
  on conflict (integration_id, resource, key) do update set row = excluded.row`;
const KEEP = `
  insert into mirror_copy_cursor (cursor) values ($1) on conflict (only_one) do update set cursor = excluded.cursor`;

for (;;) {
  const { rows } = await copy.query<{ cursor: string }>("select cursor from mirror_copy_cursor");
  const cursor = rows[0]?.cursor ?? (await copyAll());
  const page = await ask(`/v1/changes?resource=${TABLES}&limit=500&wait_s=20&cursor=${cursor}`);
  if (page.status === 410) await copy.query("delete from mirror_copy_cursor");
  else if (page.status === 200) await apply(page.text);
  else await sleep(1000);
}

/** Applies a page and keeps its cursor, both or neither. */
async function apply(text: string): Promise<void> {
  const { next_cursor } = JSON.parse(text) as { next_cursor: string };
  await inTransaction(copy, "begin", async () => {
    for (const statement of [ERASE, REMOVE, REPLACE]) await copy.query(statement, [text]);
    await copy.query(KEEP, [next_cursor]);
  });
}

/** Copies the tables. The cursor is taken first, so that no change falls between the copy and the changes behind it. */
async function copyAll(): Promise<string> {
  const { next_cursor } = JSON.parse((await ask("/v1/changes?cursor=now")).text) as { next_cursor: string };
  const { data } = JSON.parse((await ask("/v1/changes/resources")).text) as {
    data: { resource: string; key: string[] }[];
  };
  const mirror = new Client({ connectionString: MIRROR_URL });
  await mirror.connect();
  await inTransaction(copy, "begin", async () => {
    await copy.query("delete from mirror_copy");
    for (const { resource, key } of data.filter((each) => TABLES.split(",").includes(each.resource))) {
      await inTransaction(mirror, "begin read only", () => copyTable(mirror, resource, key));
    }
    await copy.query(KEEP, [next_cursor]);
  });
  await mirror.end();
  return next_cursor;
}

async function copyTable(mirror: Client, table: string, key: string[]): Promise<void> {
  const members = key.map((column) => `'${column}', ${column}`).join(", ");
  await mirror.query(`declare all_rows no scroll cursor for
    select jsonb_build_object('integration_id', integration_id, 'item_id', item_id, 'change', 'added', 'resource', '${table}',
      'key', jsonb_build_object(${members}), 'row', raw)::text as change from plaid.current_${table}`);
  for (;;) {
    const { rows } = await mirror.query<{ change: string }>("fetch 1000 from all_rows");
    if (rows.length === 0) break;
    await copy.query(REPLACE, [`{"data":[${rows.map(({ change }) => change).join(",")}]}`]);
  }
  await mirror.query("close all_rows");
}

async function ask(path: string): Promise<{ status: number; text: string }> {
  const response = await fetch(`${TARTAN_URL}${path}`, { headers: { authorization: `Bearer ${TARTAN_API_KEY}` } });
  const text = await response.text();
  // A key or a table that is refused will be refused again.
  if ([400, 401, 403, 404].includes(response.status)) throw new Error(text);
  return { status: response.status, text };
}

async function inTransaction(client: Client, begin: string, work: () => Promise<void>): Promise<void> {
  await client.query(begin);
  await work();
  await client.query("commit");
}
